import { describe, expect, it } from "vitest";
import { fold, rootKey } from "../core/key.ts";
import { normal } from "../core/random/draws.ts";
import { logZ } from "./log-z.ts";

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
