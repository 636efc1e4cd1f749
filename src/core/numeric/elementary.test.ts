/** exp, log and log k! of our own against the machine's. */
import { describe, expect, it } from "vitest";
import { exp, log, logFactorial } from "./elementary.ts";

describe("elementary functions", () => {
  it("agree with the machine's to two roundings, from end to end of the range", () => {
    for (let i = -1000; i <= 1000; i++) {
      const x = 2 ** (i + 0.37) * (1 + Math.sin(i) / 3);
      expect(Math.abs(log(x) - Math.log(x))).toBeLessThanOrEqual(2 ** -51 * Math.abs(Math.log(x)));
      const y = i * 0.7 + Math.cos(i);
      expect(Math.abs(exp(y) / Math.exp(y) - 1)).toBeLessThan(2 ** -50);
      expect(log(1 + i * 2 ** -40)).toBeCloseTo(Math.log1p(i * 2 ** -40), 15);
    }
    expect([log(0), log(-1), log(Number.POSITIVE_INFINITY)]).toEqual([
      Number.NEGATIVE_INFINITY,
      Number.NaN,
      Number.POSITIVE_INFINITY,
    ]);
    expect([exp(0), exp(-800), exp(800), exp(Number.NaN), log(1)]).toEqual([
      1,
      0,
      Number.POSITIVE_INFINITY,
      Number.NaN,
      0,
    ]);
    expect(log(2 ** -1074) / Math.log(2)).toBeCloseTo(-1074, 10);
    expect(exp(-744)).toBe(Math.exp(-744));
  });

  it("log k! is a sum of logarithms", () => {
    let sum = 0;
    for (let k = 0; k < 300; k++) {
      if (k > 1) sum += Math.log(k);
      expect(Math.abs(logFactorial(k) - sum)).toBeLessThan(1e-11 * Math.max(1, sum));
    }
  });
});
