import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fold, rootKey } from "../core/key.ts";
import { exponential, normal, uniform } from "../core/random/draws.ts";
import { bulkEss, meanEss, rankNormalize, rhat, tailEss } from "./chains.ts";
import { paretoK } from "./pareto.ts";
import { type ResamplingScheme, resampleRows } from "./resample.ts";
import { diagnose, normalizeWeights, sumWeights, weightSums } from "./weights.ts";

const key = rootKey("weights");
const logs = fc.array(
  fc.oneof(fc.double({ min: -500, max: 500, noNaN: true }), fc.constant(Number.NEGATIVE_INFINITY)),
  { minLength: 1, maxLength: 30 },
);

describe("sums of weights", () => {
  it("form a monoid: parts merge into the whole, in any grouping, also when a part has no weight at all", () => {
    fc.assert(
      fc.property(logs, logs, logs, (a, b, c) => {
        const whole = diagnose(sumWeights([...a, ...b, ...c]));
        const left = diagnose(weightSums.concat(weightSums.concat(sumWeights(a), sumWeights(b)), sumWeights(c)));
        const right = diagnose(weightSums.concat(sumWeights(a), weightSums.concat(sumWeights(b), sumWeights(c))));
        for (const merged of [left, right]) {
          expect(merged.ess).toBeCloseTo(whole.ess, 6);
          if (whole.ess > 0) expect(merged.logMean).toBeCloseTo(whole.logMean, 6);
        }
        expect(weightSums.concat(weightSums.empty, sumWeights(a))).toEqual(sumWeights(a));
      }),
    );
  });

  it("are exact where they can be", () => {
    expect(diagnose(sumWeights([0, 0, 0, 0]))).toEqual({
      ess: 4,
      essRatio: 1,
      largestWeight: 0.25,
      logMean: 0,
      standardError: 0,
    });
    const two = diagnose(sumWeights([Math.log(3) + 1000, 1000]));
    expect(two.ess).toBeCloseTo(16 / 10, 12);
    expect(two.largestWeight).toBeCloseTo(0.75, 12);
    expect(two.logMean).toBeCloseTo(1000 + Math.log(2), 9);
    expect(diagnose(sumWeights([Number.NEGATIVE_INFINITY])).ess).toBe(0);
    expect(Array.from(normalizeWeights([Math.log(3), 0]))).toEqual([
      expect.closeTo(0.75, 12),
      expect.closeTo(0.25, 12),
    ]);
  });
});

describe("Pareto k", () => {
  // x ~ Exp(1), w = e^{λx}: the tail is Pareto with shape λ exactly.
  it.each([0.2, 0.5, 0.8])("is λ = %d for e^{λx}, x ~ Exp(1)", (lambda) => {
    const n = 50_000;
    const estimates = Array.from({ length: 20 }, (_, i) =>
      paretoK(exponential(fold(key, i), n).map((x) => lambda * x)),
    );
    const mean = estimates.reduce((s, k) => s + k, 0) / estimates.length;
    // Standard error of one fit to m = 3√n tail draws: (1 + k)/√m; the prior of ten draws at ½ pulls by 10(½ − k)/m.
    const m = 3 * Math.sqrt(n);
    const pulled = lambda + (10 * (0.5 - lambda)) / (m + 10);
    expect(Math.abs(mean - pulled)).toBeLessThan((6 * (1 + lambda)) / Math.sqrt(m * estimates.length));
  });

  it("has no tail to speak of for even weights, and nothing to say of very few", () => {
    expect(paretoK(new Float64Array(1000))).toBe(Number.NEGATIVE_INFINITY);
    expect(paretoK([0, 1, 2])).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("resampling", () => {
  const schemes: ResamplingScheme[] = ["multinomial", "systematic", "stratified", "residual"];
  it.each(schemes)("%s draws row i m·wᵢ times in expectation", (scheme) => {
    const weights = Float64Array.from([0.45, 0.05, 0, 0.3, 0.2]);
    const [m, runs] = [7, 4000];
    const counts = new Float64Array(5);
    for (let r = 0; r < runs; r++) for (const row of resampleRows(weights, m, scheme, fold(key, r))) counts[row]!++;
    weights.forEach((w, i) => {
      // The counts of all schemes have at most the variance of the multinomial's.
      const sd = Math.sqrt((m * w * (1 - w)) / runs);
      expect(Math.abs(counts[i]! / runs - m * w)).toBeLessThanOrEqual(6 * sd);
    });
  });

  it("keeps what is certain: residual copies, and even weights under systematic and stratified", () => {
    const count = (rows: Int32Array, i: number) => rows.filter((r) => r === i).length;
    for (let r = 0; r < 50; r++) {
      const rows = resampleRows(Float64Array.from([0.5, 0.3, 0.2]), 9, "residual", fold(key, r));
      expect(count(rows, 0)).toBeGreaterThanOrEqual(4);
      expect(count(rows, 1)).toBeGreaterThanOrEqual(2);
      for (const scheme of ["systematic", "stratified"] as const) {
        const even = resampleRows(new Float64Array(8).fill(1 / 8), 8, scheme, fold(key, r));
        if (scheme === "systematic") expect(Array.from(even).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      }
    }
    expect(resampleRows(Float64Array.from([0, 1]), 3, "multinomial", key)).toEqual(Int32Array.from([1, 1, 1]));
  });

  it("is a function of the key, and refuses what are no weights", () => {
    const w = normalizeWeights(normal(key, 100));
    expect(resampleRows(w, 50, "stratified", key)).toEqual(resampleRows(w, 50, "stratified", key));
    expect(() => resampleRows(Float64Array.from([1, 1]), 3, "systematic", key)).toThrow(/must sum to 1, got 2/);
    expect(() => resampleRows(Float64Array.from([1.5, -0.5]), 3, "systematic", key)).toThrow(/non-negative, got -0.5/);
    expect(() => resampleRows(Float64Array.from([1]), 3, "some" as never, key)).toThrow(/the schemes are/);
  });
});

describe("chains", () => {
  const autoregressive = (a: number, length: number, chains: number) =>
    Array.from({ length: chains }, (_, c) => {
      const noise = normal(fold(fold(key, "ar"), c), length);
      const x = new Float64Array(length);
      let value = noise[0]! / Math.sqrt(1 - a * a);
      for (let t = 0; t < length; t++) x[t] = value = t === 0 ? value : a * value + noise[t]!;
      return x;
    });

  it.each([0, 0.5, 0.9, -0.4])("of AR(1) with coefficient %d are worth n(1 − a)/(1 + a)", (a) => {
    const [length, chains] = [4000, 8];
    const truth = (length * chains * (1 - a)) / (1 + a);
    const draws = autoregressive(a, length, chains);
    expect(meanEss(draws) / truth).toBeGreaterThan(0.85);
    expect(meanEss(draws) / truth).toBeLessThan(1.15);
    expect(bulkEss(draws) / truth).toBeGreaterThan(0.85);
    expect(rhat(draws)).toBeLessThan(1.01);
  });

  it("that stand apart in place or in spread are found out", () => {
    const draws = autoregressive(0.3, 500, 4);
    const shifted = draws.map((x, c) => (c === 0 ? x.map((v) => v + 2) : x));
    const spread = draws.map((x, c) => (c === 0 ? x.map((v) => 4 * v) : x));
    const drifting = draws.map((x) => x.map((v, t) => v + t / 100));
    for (const bad of [shifted, spread, drifting]) expect(rhat(bad)).toBeGreaterThan(1.05);
    expect(tailEss(draws)).toBeGreaterThan(300);
  });

  it("are ranked with ties shared: the scores are those of the normal quantiles", () => {
    const [scores] = rankNormalize([Float64Array.from([3, 1, 2, 2])]);
    // Ranks 4, 1, 2.5, 2.5 of 4: Φ⁻¹((r − 3/8)/4.25).
    expect(scores?.[0]).toBeCloseTo(1.0491, 3);
    expect(scores?.[1]).toBeCloseTo(-1.0491, 3);
    expect(scores?.[2]).toBe(scores?.[3]);
    expect(Math.max(...uniform(key, 10))).toBeLessThan(1);
  });
});
