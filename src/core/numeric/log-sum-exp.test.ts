import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { logAddExp, logMeanExp, logSumExp } from "./log-sum-exp.ts";

const small = fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 20 });
const naive = (x: readonly number[]) => Math.log(x.reduce((s, v) => s + Math.exp(v), 0));
const { NEGATIVE_INFINITY: NONE, POSITIVE_INFINITY: ALL } = Number;

describe("log Σ exp on the host", () => {
  it("is what the formula says where that does not overflow, and moves with a common shift", () => {
    fc.assert(
      fc.property(small, fc.double({ min: -1e4, max: 1e4, noNaN: true }), (x, shift) => {
        expect(logSumExp(x)).toBeCloseTo(naive(x), 10);
        expect(logMeanExp(x)).toBeCloseTo(naive(x) - Math.log(x.length), 10);
        expect(logSumExp(x.map((v) => v + shift)) - shift).toBeCloseTo(naive(x), 8);
      }),
    );
  });

  it("takes every step-th entry of a part", () => {
    const x = [9, 1, 9, 2, 9, 3, 9, 9];
    expect(logMeanExp(x, { from: 1, to: 6, step: 2 })).toBe(logMeanExp([1, 2, 3]));
    expect(logSumExp(x, { from: 1, to: 6, step: 2 })).toBe(logSumExp([1, 2, 3]));
  });

  it("knows infinities and nothing", () => {
    expect([logSumExp([]), logSumExp([NONE, NONE]), logMeanExp([NONE])]).toEqual([NONE, NONE, NONE]);
    expect([logSumExp([0, ALL]), logMeanExp([ALL, NONE])]).toEqual([ALL, ALL]);
    expect(logMeanExp([NONE, 0])).toBeCloseTo(-Math.LN2, 15);
    expect(logSumExp([0, Number.NaN])).toBeNaN();
  });

  it("of two is the same", () => {
    const number = fc.double({ min: -700, max: 700, noNaN: true });
    fc.assert(
      fc.property(number, number, (a, b) => {
        expect(logAddExp(a, b)).toBeCloseTo(logSumExp([a, b]), 10);
      }),
    );
    expect([logAddExp(NONE, NONE), logAddExp(NONE, 3), logAddExp(ALL, ALL), logAddExp(2, 2)]).toEqual([
      NONE,
      3,
      ALL,
      2 + Math.LN2,
    ]);
  });
});
