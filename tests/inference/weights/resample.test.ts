import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fold, rootKey } from "../../../src/core/key.ts";
import { type ResamplingScheme, resampleRows } from "../../../src/inference/weights/resample.ts";
import { normalizeWeights } from "../../../src/inference/weights/weights.ts";
import { ALPHA, criticalZ } from "../../support/statistics.ts";

const key = rootKey("resample");
const schemes: ResamplingScheme[] = ["multinomial", "systematic", "stratified", "residual"];

const countsOf = (rows: Int32Array, n: number) => {
  const counts = new Float64Array(n);
  for (const row of rows) counts[row] = (counts[row] as number) + 1;
  return counts;
};
/** Weights with zeros among them, the first and the last too. */
const weights = fc
  .array(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })), { minLength: 1, maxLength: 25 })
  .filter((w) => w.reduce((s, x) => s + x, 0) > 1e-6)
  .map((w) => {
    const total = w.reduce((s, x) => s + x, 0);
    return Float64Array.from(w, (x) => x / total);
  });
const draw = fc.record({ w: weights, m: fc.integer({ min: 0, max: 60 }), seed: fc.integer() });

describe.each(schemes)("%s resampling", (scheme) => {
  const example = Float64Array.from([0.45, 0.05, 0, 0.3, 0.2]);

  it("draws row i m·wᵢ times in expectation, with no more noise than independent draws", () => {
    const [m, runs] = [7, 20_000];
    const sums = new Float64Array(5);
    const squares = new Float64Array(5);
    for (let r = 0; r < runs; r++) {
      countsOf(resampleRows(example, m, scheme, fold(key, r)), 5).forEach((c, i) => {
        sums[i] = (sums[i] as number) + c;
        squares[i] = (squares[i] as number) + (c - m * (example[i] as number)) ** 2;
      });
    }
    const z = criticalZ(ALPHA);
    example.forEach((w, i) => {
      const variance = m * w * (1 - w);
      expect(Math.abs((sums[i] as number) / runs - m * w)).toBeLessThanOrEqual(z * Math.sqrt(variance / runs));
      const observed = (squares[i] as number) / runs;
      // Spread of a variance estimate: √2 of itself, a little more for the skewed rare rows.
      expect(observed).toBeLessThanOrEqual(variance * (1 + (2.5 * z) / Math.sqrt(runs)));
      if (scheme === "multinomial") {
        expect(observed).toBeGreaterThanOrEqual(variance * (1 - (2.5 * z) / Math.sqrt(runs)));
      }
    });
  });

  it("gives m rows that have weight, and is a function of the key", () => {
    fc.assert(
      fc.property(draw, ({ w, m, seed }) => {
        const rows = resampleRows(w, m, scheme, rootKey(seed));
        expect(rows.length).toBe(m);
        for (const row of rows) expect(w[row]).toBeGreaterThan(0);
        expect(resampleRows(w, m, scheme, rootKey(seed))).toEqual(rows);
      }),
    );
  });

  it("keeps its promise on how far a count may stray", () => {
    // Residual: at least ⌊m·w⌋. Systematic: within one of m·w. Stratified: within two.
    fc.assert(
      fc.property(draw, ({ w, m, seed }) => {
        const counts = countsOf(resampleRows(w, m, scheme, rootKey(seed)), w.length);
        w.forEach((x, i) => {
          const [count, expected] = [counts[i] as number, m * x];
          if (scheme === "residual") expect(count).toBeGreaterThanOrEqual(Math.floor(expected - 1e-6));
          if (scheme === "systematic") expect(Math.abs(count - expected)).toBeLessThan(1 + 1e-6);
          if (scheme === "stratified") expect(Math.abs(count - expected)).toBeLessThan(2 + 1e-6);
        });
      }),
    );
  });

  it("comes in random order", () => {
    // Half the weight on each of two rows: the first drawn is either, so no one may read a prefix as sorted.
    const firsts = Array.from(
      { length: 400 },
      (_, r) => resampleRows(Float64Array.from([0.5, 0.5]), 10, scheme, fold(key, r))[0] as number,
    );
    const ones = firsts.reduce((s, x) => s + x, 0);
    expect(Math.abs(ones - 200)).toBeLessThan(criticalZ(ALPHA) * 10);
  });

  it("refuses what are no weights", () => {
    expect(() => resampleRows(Float64Array.from([1, 1]), 3, scheme, key)).toThrow(/must sum to 1, got 2/);
    expect(() => resampleRows(Float64Array.from([1.5, -0.5]), 3, scheme, key)).toThrow(/non-negative, got -0.5/);
    expect(() => resampleRows(Float64Array.from([Number.NaN, 1]), 3, scheme, key)).toThrow(/non-negative, got NaN/);
    expect(() => resampleRows(new Float64Array(0), 3, scheme, key)).toThrow(/must sum to 1, got 0/);
    expect(() => resampleRows(Float64Array.from([1]), 1.5, scheme, key)).toThrow(
      /number of draws must be a whole number of at least 0, got 1.5/,
    );
  });
});

describe("resampling", () => {
  it("of equal weights keeps every row once, for schemes that promise it", () => {
    for (const n of [3, 7, 8, 49, 100]) {
      const even = new Float64Array(n).fill(1 / n);
      for (const scheme of ["systematic", "stratified", "residual"] as const) {
        const counts = countsOf(resampleRows(even, n, scheme, fold(key, n)), n);
        if (scheme !== "stratified") expect(counts).toEqual(new Float64Array(n).fill(1));
      }
    }
  });

  it("of one row with all the weight has no choice", () => {
    for (const scheme of schemes) {
      expect(resampleRows(Float64Array.from([0, 1, 0]), 3, scheme, key)).toEqual(Int32Array.from([1, 1, 1]));
    }
  });

  it("is less noisy the more even the points, for a smooth function of sorted draws", () => {
    const n = 200;
    const w = normalizeWeights(Float64Array.from({ length: n }, (_, i) => Math.sin(i / 20)));
    const h = Float64Array.from({ length: n }, (_, i) => i / n);
    const truth = w.reduce((s, x, i) => s + x * (h[i] as number), 0);
    const error = (scheme: ResamplingScheme) => {
      let sum = 0;
      for (let r = 0; r < 300; r++) {
        const rows = resampleRows(w, n, scheme, fold(key, r));
        sum += (rows.reduce((s, i) => s + (h[i] as number), 0) / n - truth) ** 2;
      }
      return Math.sqrt(sum / 300);
    };
    // One offset for all strata errs in all of them alike, O(1/n); an offset for each averages out, O(n^{-3/2}).
    expect(error("stratified")).toBeLessThan(error("systematic"));
    expect(error("systematic")).toBeLessThan(error("residual") / 4);
    expect(error("residual")).toBeLessThan(error("multinomial"));
  });

  it("refuses an unknown scheme", () => {
    expect(() => resampleRows(Float64Array.from([1]), 3, "some" as never, key)).toThrow(/the schemes are/);
  });
});
