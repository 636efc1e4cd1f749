import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fold, rootKey } from "../../../src/core/key.ts";
import { normal } from "../../../src/core/random/draws.ts";
import {
  bulkEss,
  type Chains,
  meanEss,
  meanMcse,
  rankNormalize,
  rhat,
  splitChains,
  tailEss,
} from "../../../src/inference/diagnostics/chains.ts";
import { lcg } from "../../support/lcg.ts";

const key = rootKey("chains");

/** Stationary x' = ax + ξ: autocorrelation a^t, so the ESS of n draws for the mean is n(1 − a)/(1 + a). */
const autoregressive = (a: number, length: number, chains: number): Float64Array[] =>
  Array.from({ length: chains }, (_, c) => {
    const noise = normal(fold(fold(key, "ar"), c), length);
    const x = new Float64Array(length);
    let value = (noise[0] as number) / Math.sqrt(1 - a * a);
    for (let t = 0; t < length; t++) {
      if (t > 0) value = a * value + (noise[t] as number);
      x[t] = value;
    }
    return x;
  });

describe("against arviz-stats 0.8.0", () => {
  // x' = ax + u₁ + u₂ + u₃ − 3/2 from 0, u of chain c from lcg(1000 + c); then chain c is (1 + scale·c)x + shift·c.
  const chains = (a: number, m: number, n: number, shift: number, scale: number) =>
    Array.from({ length: m }, (_, c) => {
      const u = lcg(1000 + c);
      let x = 0;
      return Float64Array.from({ length: n }, () => {
        x = a * x + (u() + u() + u() - 1.5);
        return x;
      }).map((v) => v * (1 + scale * c) + shift * c);
    });

  it.each([
    { args: [0, 4, 100, 0, 0], rhat: 1.0019209062, bulk: 326.461, tail: 373.613, mean: 334.89, mcse: 0.0277599848 },
    { args: [0.6, 4, 100, 0, 0], rhat: 1.0288463087, bulk: 101.126, tail: 124.966, mean: 101.986, mcse: 0.0662659364 },
    { args: [0.9, 4, 251, 0, 0], rhat: 1.0133579742, bulk: 77.916, tail: 180.251, mean: 77.435, mcse: 0.1228356091 },
    {
      args: [-0.5, 3, 200, 0, 0],
      rhat: 1.0069707742,
      bulk: 1666.891,
      tail: 537.086,
      mean: 1666.891,
      mcse: 0.0148232565,
    },
    { args: [0.6, 4, 100, 0.5, 0], rhat: 1.3999182851, bulk: 9.33, tail: 38.3, mean: 9.07, mcse: 0.2975885148 },
    {
      args: [0.3, 4, 100, 0, 0.5],
      rhat: 1.1126219051,
      bulk: 196.322,
      tail: 238.528,
      mean: 196.445,
      mcse: 0.0716001542,
    },
  ])("$args: R-hat to nine digits, effective sizes but for where sums are cut", ({ args, ...published }) => {
    const x = chains(...(args as [number, number, number, number, number]));
    expect(rhat(x)).toBeCloseTo(published.rhat, 8);
    // They keep half a pair more of the autocorrelations and leave out a factor n/(n − 1): a percent, more where ess is 9.
    const slack = published.bulk < 20 ? 0.08 : 0.02;
    const near = (ours: number, theirs: number) => expect(Math.abs(ours / theirs - 1)).toBeLessThan(slack);
    near(bulkEss(x), published.bulk);
    near(tailEss(x), published.tail);
    near(meanEss(splitChains(x)), published.mean);
    near(meanMcse(x), published.mcse);
  });

  it("ties share their rank", () => {
    const x = chains(0.6, 4, 100, 0, 0).map((chain) => chain.map((v) => Math.floor(3 * v)));
    expect(rhat(x)).toBeCloseTo(1.0283130310461, 8);
    expect(Math.abs(bulkEss(x) / 100.7156 - 1)).toBeLessThan(0.02);
    expect(Math.abs(tailEss(x) / 229.0964 - 1)).toBeLessThan(0.02);
  });
});

describe("chains of AR(1)", () => {
  it.each([0, 0.5, 0.9, -0.4])("with coefficient %d have the ESS n(1 − a)/(1 + a)", (a) => {
    const [length, chains] = [4000, 8];
    const truth = (length * chains * (1 - a)) / (1 + a);
    const draws = autoregressive(a, length, chains);
    for (const ess of [meanEss(draws), bulkEss(draws)]) {
      expect(ess / truth).toBeGreaterThan(0.85);
      expect(ess / truth).toBeLessThan(1.15);
    }
    expect(rhat(draws)).toBeLessThan(1.01);
    // Variance of the mean: 1/(1 − a)² of a unit of noise, over all draws.
    const sd = Math.sqrt(1 / (1 - a) ** 2 / (length * chains));
    expect(meanMcse(draws) / sd).toBeGreaterThan(0.9);
    expect(meanMcse(draws) / sd).toBeLessThan(1.1);
  });

  it("have a Monte Carlo standard error that is the spread of their means over repetitions", () => {
    const all = autoregressive(0.7, 500, 4 * 300);
    const scores = Array.from({ length: 300 }, (_, r) => {
      const chains = all.slice(4 * r, 4 * r + 4);
      const mean = chains.reduce((s, x) => s + x.reduce((p, q) => p + q, 0), 0) / 2000;
      return (mean / meanMcse(chains)) ** 2;
    });
    const average = scores.reduce((s, x) => s + x, 0) / scores.length;
    // Mean of 300 squares of normal scores: 1 ± 6·√(2/300).
    expect(Math.abs(average - 1)).toBeLessThan(0.5);
  });
});

describe("R-hat", () => {
  const draws = autoregressive(0.3, 500, 4);
  it("finds chains that stand apart in place, in spread, or drift", () => {
    expect(rhat(draws)).toBeLessThan(1.01);
    const shifted = draws.map((x, c) => (c === 0 ? x.map((v) => v + 2) : x));
    const spread = draws.map((x, c) => (c === 0 ? x.map((v) => 4 * v) : x));
    const drifting = draws.map((x) => x.map((v, t) => v + t / 100));
    for (const bad of [shifted, spread, drifting]) expect(rhat(bad)).toBeGreaterThan(1.05);
    expect(tailEss(draws)).toBeGreaterThan(300);
  });

  it("grows with the distance between chains, and so effective sizes fall", () => {
    const apart = (by: number) => draws.map((x, c) => x.map((v) => v + by * c));
    const distances = [0.2, 0.5, 1, 3];
    const rhats = distances.map((by) => rhat(apart(by)));
    const sizes = distances.map((by) => bulkEss(apart(by)));
    expect(rhats).toEqual([...rhats].sort((a, b) => a - b));
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    expect(sizes.at(-1)).toBeLessThan(10);
  });

  it("knows no units: any increasing map leaves the rank-normalised size alone, any affine one R-hat", () => {
    expect(bulkEss(draws.map((x) => x.map(Math.exp)))).toBeCloseTo(bulkEss(draws), 9);
    expect(rhat(draws.map((x) => x.map((v) => 100 - 3 * v)))).toBeCloseTo(rhat(draws), 6);
  });

  it("does not depend on the order of chains", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (order) => {
        const shuffled = order.map((c) => draws[c] as Float64Array);
        expect(rhat(shuffled)).toBeCloseTo(rhat(draws), 9);
        expect(bulkEss(shuffled)).toBeCloseTo(bulkEss(draws), 6);
      }),
      { numRuns: 5 },
    );
  });
});

describe("chains with nothing to say", () => {
  const constant = (values: readonly number[]): Chains => values.map((v) => new Float64Array(50).fill(v));
  it("that are constant are no evidence of mixing: not a number, never near 1", () => {
    expect(rhat(constant([2, 2, 2]))).toBeNaN();
    expect(bulkEss(constant([2, 2, 2]))).toBeNaN();
    expect(tailEss(constant([2, 2, 2]))).toBeNaN();
  });

  it("that are constant and differ are caught", () => {
    expect(rhat(constant([1, 2, 3]))).toBeGreaterThan(1e6);
    // Six halves in three places count as three draws.
    expect(bulkEss(constant([1, 2, 3]))).toBeLessThan(10);
  });

  it("that are very short have no diagnostics", () => {
    const short = [Float64Array.from([1, 2, 3]), Float64Array.from([2, 1, 4])];
    expect(rhat(short)).toBeNaN();
    expect(bulkEss(short)).toBeNaN();
  });

  it("one alone is compared with itself: its halves", () => {
    const still = autoregressive(0.2, 1000, 1);
    expect(rhat(still)).toBeLessThan(1.02);
    expect(rhat(still.map((x) => x.map((v, t) => v + t / 200)))).toBeGreaterThan(1.5);
  });
});

describe("pieces", () => {
  it("splitting drops the middle draw of an odd chain", () => {
    expect(splitChains([Float64Array.from([1, 2, 3, 4, 5])])).toEqual([
      Float64Array.from([1, 2]),
      Float64Array.from([4, 5]),
    ]);
  });

  it("ranks become normal quantiles, Φ⁻¹((r − 3/8)/(S + 1/4))", () => {
    const [scores] = rankNormalize([Float64Array.from([3, 1, 2, 2])]);
    expect(scores?.[0]).toBeCloseTo(1.0491313979639707, 8);
    expect(scores?.[1]).toBeCloseTo(-1.0491313979639707, 8);
    expect(scores?.[2]).toBeCloseTo(0, 12);
    expect(scores?.[3]).toBe(scores?.[2]);
    // Φ⁻¹(0.625/1e5.25) by scipy: far in the tail.
    const many = rankNormalize([Float64Array.from({ length: 100_000 }, (_, i) => i)])[0] as Float64Array;
    expect(many[0]).toBeCloseTo(-4.3686, 3);
    expect(many[99_999]).toBeCloseTo(4.3686, 3);
  });
});
