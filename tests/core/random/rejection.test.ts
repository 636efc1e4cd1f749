/** Gamma, Poisson and binomial draws: goodness of fit in every branch, places, refusals. */
import binomialPmf from "@stdlib/stats-base-dists-binomial-pmf";
import gammaCdf from "@stdlib/stats-base-dists-gamma-cdf";
import poissonPmf from "@stdlib/stats-base-dists-poisson-pmf";
import { describe, expect, it } from "vitest";
import { fold, rootKey } from "../../../src/core/key.ts";
import { exp, log, logFactorial } from "../../../src/core/numeric/elementary.ts";
import { binomial, gamma, logGammaDraws, poisson } from "../../../src/core/random/rejection.ts";
import { expectCounts, expectFollows, tally } from "../../support/goodness.ts";
import { expectMean } from "../../support/statistics.ts";

const key = rootKey("rejection");
const N = 50_000;

const pmf = (cells: number, p: (k: number) => number) => Array.from({ length: cells }, (_, k) => p(k));
/** Counts of 0 … cells − 2 and of all beyond. */
const cut = (draws: Float32Array, cells: number) =>
  tally(
    draws.map((x) => Math.min(x, cells - 1)),
    cells,
  );
const closed = (probabilities: number[]) => {
  const most = probabilities.slice(0, -1);
  return [...most, Math.max(0, 1 - most.reduce((a, b) => a + b, 0))];
};

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

describe("gamma", () => {
  it.each([0.05, 0.5, 1, 1.5, 4, 30, 1e4])("follows its distribution for concentration %f", (alpha) => {
    expectFollows(gamma(fold(key, `${alpha}`), [alpha], N), (x) => gammaCdf(x, alpha, 1), `gamma ${alpha}`);
  });

  it("keeps the logarithms of draws that underflow", () => {
    const alpha = 0.002;
    const draws = logGammaDraws(key, [alpha], N);
    expect(draws.every(Number.isFinite)).toBe(true);
    expect(Math.min(...draws)).toBeLessThan(-700);
    // For small α, α·log g is minus an exponential but for terms of order α.
    expectMean(draws, -500.5745, { detects: 22 });
    const some = gamma(key, [0.7], 1000);
    logGammaDraws(key, [0.7], 1000).forEach((x, i) => {
      expect(x).toBeCloseTo(Math.log(some[i] as number), 4);
    });
  });
});

describe("poisson", () => {
  it.each([0, 0.01, 0.7, 3, 9.99, 10, 25, 180])("follows its distribution for rate %f", (rate) => {
    const cells = Math.ceil(rate + 10 * Math.sqrt(rate) + 5);
    const probabilities = closed(pmf(cells, (k) => (rate === 0 ? Number(k === 0) : poissonPmf(k, rate))));
    if (rate === 0) expect(Math.max(...poisson(key, [0], 100))).toBe(0);
    else expectCounts(cut(poisson(fold(key, `${rate}`), [rate], N), cells), probabilities, `poisson ${rate}`);
  });

  it("has mean and variance of the rate for large rates", () => {
    for (const rate of [1e4, 1e6]) {
      const draws = Float64Array.from(poisson(key, [rate], N), (x) => (x - rate) / Math.sqrt(rate));
      expectMean(draws, 0, { detects: 0.06 });
      expectMean(
        draws.map((x) => x * x),
        1,
        { detects: 0.1 },
      );
    }
  });
});

describe("binomial", () => {
  it.each([
    [1, 0.3],
    [20, 0.5],
    [20, 0.97],
    [1000, 0.004],
    [40, 0.25],
    [60, 0.8],
    [1000, 0.5],
    [100_000, 0.001],
  ])("follows its distribution for %i trials of %f", (count, prob) => {
    const cells = count > 1e4 ? 300 : count + 1;
    const probabilities = closed(pmf(cells, (k) => binomialPmf(k, count, prob)));
    const draws = binomial(fold(key, `${count} ${prob}`), [count], [prob], N);
    expectCounts(cut(draws, cells), probabilities, `binomial ${count} ${prob}`);
  });

  it("is certain where it must be", () => {
    expect([...binomial(key, [0, 7, 7], [0.5, 0, 1], 3)]).toEqual([0, 0, 7]);
    const rare = binomial(key, [1e9], [1e-9], N);
    expectMean(rare, 1, { detects: 0.06 });
  });
});

const ALL = {
  gamma: (n: number, offset: number, at: (i: number) => number) =>
    gamma(
      key,
      Array.from({ length: n }, (_, i) => 0.3 + at(i + offset)),
      n,
      offset,
    ),
  logGammaDraws: (n: number, offset: number, at: (i: number) => number) =>
    logGammaDraws(
      key,
      Array.from({ length: n }, (_, i) => 0.3 + at(i + offset)),
      n,
      offset,
    ),
  poisson: (n: number, offset: number, at: (i: number) => number) =>
    poisson(
      key,
      Array.from({ length: n }, (_, i) => 20 * at(i + offset)),
      n,
      offset,
    ),
  binomial: (n: number, offset: number, at: (i: number) => number) =>
    binomial(
      key,
      [37],
      Array.from({ length: n }, (_, i) => at(i + offset)),
      n,
      offset,
    ),
};

describe("places", () => {
  const fraction = (i: number) => (i * 0.618) % 1;

  it.each(Object.entries(ALL))("%s: element i depends on offset + i and its parameters only", (_, draw) => {
    const whole = draw(500, 0, fraction);
    expect(draw(123, 77, fraction)).toEqual(whole.slice(77, 200));
    const others = draw(500, 0, (i) => (i % 2 === 0 ? fraction(i) : 0.9));
    others.forEach((x, i) => {
      if (i % 2 === 0) expect(x).toBe(whole[i]);
    });
  });

  it("is the same on every machine", () => {
    const fingerprint = Object.values(ALL).map((draw) =>
      new Uint32Array(draw(5000, 0, fraction).buffer).reduce((hash, word) => (Math.imul(hash, 31) + word) | 0, 0),
    );
    expect(fingerprint).toEqual([-559524043, 809729969, 1866727424, -1012662272]);
  });
});

describe("refusals", () => {
  it.each([
    [() => gamma(key, [0], 1), /concentration\[0\] is 0/],
    [() => gamma(key, [1, 2], 3), /expected 1 or 3 values/],
    [() => poisson(key, [Number.NaN], 1), /rate\[0\] is NaN/],
    [() => poisson(key, [-1], 1), /rate\[0\] is -1/],
    [() => binomial(key, [1.5], [0.5], 1), /count\[0\] is 1.5/],
    [() => binomial(key, [1], [1.1], 1), /prob\[0\] is 1.1/],
  ])("%o", (draw, says) => {
    expect(draw).toThrow(says);
  });
});
