import { describe, expect, it } from "vitest";
import { fold, rootKey } from "../../../src/core/key.ts";
import { exponential } from "../../../src/core/random/draws.ts";
import { paretoK, paretoShape } from "../../../src/inference/weights/pareto.ts";
import { lcg } from "../../support/lcg.ts";
import { expectDiffers, expectMean, meanOf } from "../../support/statistics.ts";

const key = rootKey("pareto");
const fits = (runs: number, n: number, logWeight: (x: number) => number) =>
  Array.from({ length: runs }, (_, r) => paretoK(exponential(fold(key, r), n).map(logWeight)));

describe("paretoShape", () => {
  // Fixture: `_gpdfit` of arviz-stats 0.8.0 on exceedances of e^{λx} over its own 135th largest, x = −log u, u from lcg(7).
  const u = lcg(7);
  const x = Float64Array.from({ length: 2000 }, () => -Math.log(u()));
  it.each([
    [0.2, 0.36679953181347924],
    [0.5, 0.7172850973455271],
    [0.8, 1.0587173322983445],
    [1.3, 1.6157985805137958],
  ])("agrees with another implementation to all digits, λ = %d", (lambda, published) => {
    const weights = x.map((v) => Math.exp(lambda * v)).sort();
    const cut = weights[weights.length - 136] as number;
    expect(paretoShape(weights.subarray(-135).map((w) => w - cut))).toBeCloseTo(published, 9);
    // The same fit from log-weights: 3√2000 rounded up is 135 of them.
    expect(paretoK(x.map((v) => lambda * v))).toBeCloseTo(published, 9);
  });

  it("is free of the unit of the weights", () => {
    const weights = x.map((v) => 0.6 * v);
    expect(paretoK(weights.map((l) => l + 300))).toBeCloseTo(paretoK(weights), 9);
    expect(paretoK(weights.map((l) => l - 3000))).toBeCloseTo(paretoK(weights), 9);
  });
});

describe("paretoK", () => {
  // x ~ Exp(1), w = e^{λx}: every exceedance is generalised Pareto with shape λ exactly. The fit shrinks it by ten observations at ½.
  it.each([0.2, 0.5, 0.8])("is λ = %d for weights e^{λx}, x ~ Exp(1)", (lambda) => {
    const n = 20_000;
    const tail = Math.ceil(3 * Math.sqrt(n));
    const estimates = fits(120, n, (x) => lambda * x);
    const shrunk = (tail * lambda + 5) / (tail + 10);
    expectMean(estimates, shrunk, { what: "k", detects: 0.09 });
    // The spread of one fit is that of the maximum-likelihood estimate, (1 + k)/√m.
    const { standardError } = meanOf(estimates);
    const spread = (standardError * Math.sqrt(estimates.length) * Math.sqrt(tail)) / (1 + lambda);
    expect(spread).toBeGreaterThan(0.65);
    expect(spread).toBeLessThan(1.35);
    expectDiffers(meanOf(estimates), lambda + 0.12);
  });

  it("is small for bounded weights, however uneven", () => {
    // w = e^{−x}: the largest weights are nearly uniform, which is shape −1.
    const { value } = meanOf(fits(40, 5000, (x) => -x));
    expect(value).toBeGreaterThan(-1.1);
    expect(value).toBeLessThan(-0.7);
  });

  it("has no tail to speak of for equal weights, and nothing to say of very few", () => {
    expect(paretoK(new Float64Array(1000))).toBe(Number.NEGATIVE_INFINITY);
    expect(paretoK([0, 1, 2])).toBe(Number.POSITIVE_INFINITY);
    expect(paretoK(Float64Array.from({ length: 24 }, (_, i) => i))).toBe(Number.POSITIVE_INFINITY);
    expect(paretoK(Float64Array.from({ length: 25 }, (_, i) => i))).not.toBe(Number.POSITIVE_INFINITY);
  });

  it("takes draws of weight zero for what they are", () => {
    const dead = Float64Array.from({ length: 1000 }, (_, i) => (i < 3 ? i : Number.NEGATIVE_INFINITY));
    expect(paretoK(dead)).toBe(Number.POSITIVE_INFINITY);
    const half = Float64Array.from(exponential(key, 4000), (x, i) =>
      i % 2 === 0 ? 0.3 * x : Number.NEGATIVE_INFINITY,
    );
    expect(paretoK(half)).toBeGreaterThan(0);
    expect(paretoK(half)).toBeLessThan(0.7);
  });

  it("is the same whether the tail is found by a cut or by looking at all", () => {
    const n = 100_000;
    const x = Float64Array.from(exponential(key, n), (v) => 0.5 * v);
    const sorted = x.slice().sort();
    const tail = sorted.subarray(n - Math.ceil(3 * Math.sqrt(n)) - 1);
    const max = tail[tail.length - 1] as number;
    const exceedances = tail.subarray(1).map((l) => Math.exp(l - max) - Math.exp((tail[0] as number) - max));
    const wanted = paretoShape(exceedances);
    expect(paretoK(x)).toBe(wanted);
    // In order, the sample is right; with the tail where the sample does not look, it is wrong.
    expect(paretoK(sorted)).toBe(wanted);
    const stride = n / 4096;
    const looked = new Set(Array.from({ length: 4096 }, (_, i) => Math.floor(i * stride)));
    const hidden = new Float64Array(n);
    let [low, high] = [0, n - 1];
    for (let i = 0; i < n; i++) hidden[i] = sorted[looked.has(i) ? low++ : high--] as number;
    expect(paretoK(hidden)).toBe(wanted);
    const shown = new Float64Array(n);
    [low, high] = [0, n - 1];
    for (let i = 0; i < n; i++) shown[i] = sorted[looked.has(i) ? high-- : low++] as number;
    expect(paretoK(shown)).toBe(wanted);
  });

  it("says that nothing can be said of weights that are no numbers", () => {
    const x = Float64Array.from(exponential(key, 50_000));
    x[17] = Number.NaN;
    expect(paretoK(x)).toBe(Number.POSITIVE_INFINITY);
    expect(paretoK(x.subarray(0, 100))).toBe(Number.POSITIVE_INFINITY);
  });

  it("takes tails of equal weights for what they are", () => {
    const x = new Float64Array(100_000).fill(-1);
    x.fill(0, 500, 600);
    // A hundred of a thousand weights of the tail lie above the others, all alike.
    expect(paretoK(x)).not.toBeNaN();
    x.fill(0, 500, 50_000);
    expect(paretoK(x)).toBe(Number.POSITIVE_INFINITY);
  });

  it("leaves its argument as it was", () => {
    const logWeights = Float64Array.from(exponential(key, 100));
    const copy = logWeights.slice();
    paretoK(logWeights);
    expect(logWeights).toEqual(copy);
  });
});
