/** A mixture trained on biased shares, debiased by an energy fitted to unbiased points: against the exact energies and ESS/n. */
import { pipe } from "fp-ts/lib/function.js";
import { fitTilt, fold, infer, logDensities, model, type NdArray, ndarray, rootKey, sample, snis, tilt } from "tilted";
import { TRIANGLE, triangle } from "tilted/data";
import { categorical, mixtureSameFamily, normal } from "tilted/dist";
import { energy } from "tilted/models";
import { adam } from "tilted/optim";
import { expect, it } from "vitest";

const means = ndarray(Float32Array.from(TRIANGLE.means.flat()), [3, 2]);
const weights = ndarray(Float32Array.from(TRIANGLE.biased));
const biased = model(function* () {
  const clusters = normal(means, TRIANGLE.scale).event(1);
  return yield* sample("x", mixtureSameFamily(categorical({ probs: weights }), clusters));
});

/** Energies E_k = log(p_k/q_k) at the corners, as E_A − E_B and E_A − E_C. */
const gapsOf = (q: readonly number[]) => {
  const [a, b, c] = TRIANGLE.biased.map((p, k) => Math.log(p / (q[k] as number))) as [number, number, number];
  return [a - b, a - c] as const;
};
const GAPS = gapsOf(TRIANGLE.truth);
/** ESS/n = 1 / Σ q²/p when the clusters do not overlap. */
const ESS_RATIO = 1 / TRIANGLE.truth.reduce((s, q, k) => s + q ** 2 / (TRIANGLE.biased[k] as number), 0);
/** Goals of the write-up's toy. */
const GAP_GOAL = 0.25;
const ESS_GOAL = 0.03;

const points = (n: number, seed: number) => triangle("truth").sample(fold(rootKey(seed), "points"), n);

/** Points of which each corner has exactly its true share: the shares of random ones are off by themselves. */
function stratified(n: number, seed: number): NdArray {
  const pool = points(10 * n, seed);
  const left = TRIANGLE.truth.map((q) => Math.round(q * n));
  const rows = [...pool.labels.keys()].filter((i) => {
    const k = pool.labels[i] as number;
    left[k] = (left[k] as number) - 1;
    return (left[k] as number) >= 0;
  });
  return ndarray(Float32Array.from(rows.flatMap((i) => [...pool.points.subarray(2 * i, 2 * i + 2)])), [n, 2]);
}

async function debias(target: NdArray, seed: number) {
  const network = energy(2, { hidden: [16] });
  const learn = fitTilt("x", network, target, { optimizer: adam(5e-3), steps: 500, folds: 4 });
  const { energy: fitted, params } = await infer(biased, learn, { seed });
  const corrected = pipe(biased, tilt("x", fitted));
  // Conditioned on x, the density is log p(x) − E(x), and log p(x) without the tilt.
  const log = (m: typeof biased | typeof corrected) => logDensities(m, { x: means }, { params }).data;
  const [tilted, base] = [log(corrected), log(biased)];
  const e = [0, 1, 2].map((k) => (base[k] as number) - (tilted[k] as number)) as [number, number, number];
  const { essRatio } = await infer(corrected, snis(20_000), { params, seed: seed + 1000 });
  return { gaps: [e[0] - e[1], e[0] - e[2]] as const, essRatio };
}

const expectGaps = (gaps: readonly [number, number], exact: readonly [number, number]) => {
  expect(Math.abs(gaps[0] - exact[0])).toBeLessThan(GAP_GOAL);
  expect(Math.abs(gaps[1] - exact[1])).toBeLessThan(GAP_GOAL);
};

it("exact answers are 2.367, 2.079 and .383", () => {
  expect(GAPS[0]).toBeCloseTo(2.367, 3);
  expect(GAPS[1]).toBeCloseTo(2.079, 3);
  expect(ESS_RATIO).toBeCloseTo(0.383, 3);
});

it("from 100 points in their true shares: the gaps of each of 5 samples, ESS/n in the mean", async () => {
  const ratios: number[] = [];
  for (let seed = 1; seed <= 5; seed++) {
    const { gaps, essRatio } = await debias(stratified(100, seed), seed);
    expectGaps(gaps, GAPS);
    ratios.push(essRatio);
  }
  // Each fit loses a little to the noise that it learns inside the clusters.
  expect(Math.abs(ratios.reduce((a, b) => a + b) / ratios.length - ESS_RATIO)).toBeLessThan(ESS_GOAL);
});

// The shares of 100 random points move a gap by .24, one standard deviation: no fit can know better than its sample.
it.each([2, 4])("from 100 random points, near the gaps of their own shares, sample %i", async (seed) => {
  const sampled = points(100, seed);
  const counts = [0, 0, 0];
  for (const k of sampled.labels) counts[k] = (counts[k] as number) + 1;
  const { gaps } = await debias(ndarray(sampled.points, [100, 2]), seed);
  expectGaps(gaps, gapsOf(counts.map((count) => count / 100)));
});

it("from 2000 random points: gaps and ESS/n", async () => {
  const { gaps, essRatio } = await debias(ndarray(points(2000, 11).points, [2000, 2]), 11);
  expectGaps(gaps, GAPS);
  expect(Math.abs(essRatio - ESS_RATIO)).toBeLessThan(ESS_GOAL);
});
