import { describe, expect, it } from "vitest";
import { fold, rootKey } from "../../../src/core/key.ts";
import { normal } from "../../../src/core/random/draws.ts";
import { logZ, logZWithDraws } from "../../../src/inference/weights/log-z.ts";

describe("logZ", () => {
  // N(0, 1) tilted by E = a x²/2 − b x: Z = (1 + a)^{−1/2} exp(b²/(2(1 + a))).
  const [a, b] = [1, 2];
  const truth = -0.5 * Math.log(1 + a) + (b * b) / (2 * (1 + a));
  const draw = (seed: number, n: number) => normal(fold(rootKey("log-z"), seed), n).map((x) => b * x - (a * x * x) / 2);

  it("brackets the truth in expectation, on both sides, for few draws", () => {
    const runs = Array.from({ length: 8000 }, (_, i) => logZ(draw(i, 64)));
    const mean = (side: "lower" | "upper") => runs.reduce((s, r) => s + r[side].value, 0) / runs.length;
    const sd = (side: "lower" | "upper") =>
      Math.sqrt(runs.reduce((s, r) => s + (r[side].value - mean(side)) ** 2, 0) / runs.length ** 2);
    // The gaps, about Var(w)/(2nZ²) below and twice that above, are many standard errors wide.
    expect(mean("lower") + 4 * sd("lower")).toBeLessThan(truth);
    expect(mean("upper") - 4 * sd("upper")).toBeGreaterThan(truth);
  });

  it("closes on the truth, with an honest standard error", () => {
    const errors = Array.from({ length: 200 }, (_, i) => {
      const { lower } = logZ(draw(1e6 + i, 4096));
      return (lower.value - truth) / lower.standardError;
    });
    const spread = Math.sqrt(errors.reduce((s, e) => s + e * e, 0) / errors.length);
    expect(spread).toBeGreaterThan(0.75);
    expect(spread).toBeLessThan(1.35);
    const { lower, upper } = logZ(draw(0, 1 << 18));
    expect(upper.value - lower.value).toBeLessThan(1e-4);
    expect(Math.abs(lower.value - truth)).toBeLessThan(6 * lower.standardError);
  });

  it("is exact for a constant, and refuses too few weights", () => {
    const { lower, upper } = logZ(new Float64Array(100).fill(-3), "log p(data) + log Z");
    expect([lower.value, upper.value, lower.standardError, lower.of]).toEqual([-3, -3, 0, "log p(data) + log Z"]);
    expect(() => logZ([1, 2])).toThrow(/at least 64 weights/);
  });
});

describe("logZWithDraws", () => {
  // N(0, I) in d dimensions tilted by |x − c|²/2·a, a = 1: p_E = N(c/2, I/2), log Z = −(d/2) log 2 − d c²/4.
  const setting = (d: number, c: number, seed: number, n: number, m: number) => {
    const at = (name: string, rows: number) => normal(fold(rootKey(name), seed), rows * d);
    const weights = (x: Float32Array, map: (v: number) => number) =>
      Float64Array.from({ length: x.length / d }, (_, i) =>
        x.subarray(i * d, (i + 1) * d).reduce((s, v) => s - (map(v) - c) ** 2 / 2, 0),
      );
    return {
      base: weights(at("base", n), (v) => v),
      target: weights(at("target", m), (v) => c / 2 + v * Math.SQRT1_2),
      truth: (-d / 2) * Math.log(2) - (d * c * c) / 4,
    };
  };
  const summary = (runs: readonly number[]) => {
    const mean = runs.reduce((a, b) => a + b, 0) / runs.length;
    return { mean, error: Math.sqrt(runs.reduce((s, r) => s + (r - mean) ** 2, 0)) / runs.length };
  };

  it("is above the truth in expectation, by little where the weights are even", () => {
    const runs = Array.from({ length: 2000 }, (_, i) => {
      const { base, target, truth } = setting(1, 2, i, 256, 64);
      return logZWithDraws(base, target).upper.value - truth;
    });
    const { mean, error } = summary(runs);
    expect(mean - 5 * error).toBeGreaterThan(0);
    expect(mean).toBeLessThan(0.2);
  });

  it("stays above where the base draws miss the tilt, and where its own upper side fails them", () => {
    const runs = Array.from({ length: 50 }, (_, i) => setting(30, 2, i, 1024, 64));
    const gaps = (f: (r: (typeof runs)[number]) => number) => summary(runs.map((r) => f(r) - r.truth));
    const own = gaps(({ base }) => logZ(base).lower.value);
    const both = gaps(({ base, target }) => logZWithDraws(base, target).upper.value);
    expect(own.mean + 5 * own.error).toBeLessThan(0);
    expect(both.mean - 5 * both.error).toBeGreaterThan(0);
  });

  it("has an honest standard error, and none from one draw", () => {
    const runs = Array.from({ length: 400 }, (_, i) => {
      const { base, target } = setting(1, 1, 1e5 + i, 2048, 512);
      return logZWithDraws(base, target).upper;
    });
    const { mean } = summary(runs.map(({ value }) => value));
    const spread = Math.sqrt(
      summary(runs.map(({ value, standardError }) => ((value - mean) / standardError) ** 2)).mean,
    );
    expect(spread).toBeGreaterThan(0.8);
    expect(spread).toBeLessThan(1.25);
    const { base, target } = setting(1, 1, 0, 128, 1);
    expect(logZWithDraws(base, target).upper.standardError).toBe(Number.POSITIVE_INFINITY);
    expect(() => logZWithDraws(base, [])).toThrow(/no draw of the tilted model/);
  });
});
