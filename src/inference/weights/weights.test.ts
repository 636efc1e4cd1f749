import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { diagnose, normalizeWeights, sumWeights, weightSums } from "./weights.ts";

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

  it("have an identity on both sides", () => {
    fc.assert(
      fc.property(logs, (a) => {
        const sums = sumWeights(a);
        expect(weightSums.concat(weightSums.empty, sums)).toEqual(sums);
        expect(weightSums.concat(sums, weightSums.empty)).toEqual(sums);
      }),
    );
    expect(weightSums.concat(weightSums.empty, weightSums.empty)).toEqual(weightSums.empty);
    expect(sumWeights([])).toEqual(weightSums.empty);
  });

  it("count draws of weight zero: they halve the evidence and ESS/n", () => {
    fc.assert(
      fc.property(logs, (a) => {
        const plain = diagnose(sumWeights(a));
        const half = diagnose(sumWeights([...a, ...a.map(() => Number.NEGATIVE_INFINITY)]));
        expect(half.ess).toBeCloseTo(plain.ess, 9);
        expect(half.essRatio).toBeCloseTo(plain.essRatio / 2, 9);
        if (plain.ess === 0) expect(half.logMean).toBe(Number.NEGATIVE_INFINITY);
        else expect(half.logMean).toBeCloseTo(plain.logMean - Math.log(2), 9);
      }),
    );
  });

  it("know no unit: a constant shifts the evidence and nothing else", () => {
    fc.assert(
      fc.property(logs, fc.double({ min: -1e3, max: 1e3, noNaN: true }), (a, c) => {
        const [plain, moved] = [a, a.map((l) => l + c)].map((x) => diagnose(sumWeights(x)));
        expect(moved?.ess).toBeCloseTo(plain?.ess ?? 0, 6);
        if (plain !== undefined && plain.ess > 0) {
          expect(moved?.logMean).toBeCloseTo(plain.logMean + c, 6);
          expect(moved?.standardError).toBeCloseTo(plain.standardError, 6);
          expect(plain.ess).toBeGreaterThanOrEqual(1 - 1e-12);
          expect(plain.ess).toBeLessThanOrEqual(a.length + 1e-9);
          expect(plain.largestWeight).toBeGreaterThanOrEqual(1 / a.length - 1e-12);
        }
      }),
    );
  });

  it("have the standard error of the delta method", () => {
    // Weights 3 and 1: mean 2, variance 1, so 1/4 relative to the mean squared, and half that for the mean of two.
    expect(diagnose(sumWeights([Math.log(3), 0])).standardError).toBeCloseTo(Math.sqrt(1 / 8), 12);
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
    expect(Array.from(normalizeWeights([Number.NEGATIVE_INFINITY, -1e4]))).toEqual([0, 1]);
    expect(Array.from(normalizeWeights([Math.log(3), 0]))).toEqual([
      expect.closeTo(0.75, 12),
      expect.closeTo(0.25, 12),
    ]);
  });
});
