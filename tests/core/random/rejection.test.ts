/** Gamma, Poisson and binomial draws: goodness of fit in every branch. */
import { describe, expect, it } from "vitest";
import { fold, rootKey } from "../../../src/core/key.ts";
import { binomial, gamma, logGammaDraws, poisson } from "../../../src/core/random/rejection.ts";
import { expectCounts, expectFollows, tally } from "../../support/goodness.ts";
import { binomialPmf, gammaP, poissonPmf } from "../../support/special.ts";
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

describe("gamma", () => {
  it.each([0.05, 0.5, 1, 1.5, 4, 30, 1e4])("follows its distribution for concentration %f", (alpha) => {
    expectFollows(gamma(fold(key, `${alpha}`), [alpha], N), (x) => gammaP(alpha, x), `gamma ${alpha}`);
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
