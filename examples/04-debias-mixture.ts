/**
 * 4. Debiasing, with every answer known. A model was trained on biased data: three clusters with weights .8/.1/.1 where the truth
 * is .3/.4/.3. A hundred unbiased points, with no labels, teach an energy what to correct. The exact energy is one number for each
 * cluster: log(.8/.3), log(.1/.4), log(.1/.3), up to a constant.
 *
 *   npx tsx examples/04-debias-mixture.ts
 */
import { pipe } from "fp-ts/lib/function.js";
import { fitTilt, fold, infer, logDensities, model, ndarray, rootKey, sample, snis, tilt } from "tilted";
import { shares, TRIANGLE, triangle } from "tilted/data";
import { categorical, mixtureSameFamily, normal } from "tilted/dist";
import { energy } from "tilted/models";
import { adam } from "tilted/optim";
import { textHistogram } from "tilted/plot";

const means = ndarray(Float32Array.from(TRIANGLE.means.flat()), [3, 2]);
const weights = ndarray(Float32Array.from(TRIANGLE.biased));

// The biased model.
const biased = model(function* () {
  const clusters = normal(means, TRIANGLE.scale).event(1);
  return yield* sample("x", mixtureSameFamily(categorical({ probs: weights }), clusters));
});

// One hundred unbiased points.
const target = ndarray(triangle("truth").sample(fold(rootKey(1), "points"), 100).points, [100, 2]);

// The energy is learned by telling the points from draws of the model (a logistic density ratio), cross-fitted in four folds.
const learn = fitTilt("x", energy(2, { hidden: [32, 32] }), target, { optimizer: adam(2e-3), steps: 1000, folds: 4 });
const fit = await infer(biased, learn, { seed: 1 });

// The corrected model is the biased one with a factor −E(x).
const corrected = pipe(biased, tilt("x", fit.energy));
const draws = await infer(corrected, snis(20_000), { params: fit.params, seed: 2 });

// Which cluster is a point in? The nearest.
const nearest = (points: ArrayLike<number>) => {
  const counts = [0, 0, 0];
  for (let i = 0; i < points.length; i += 2) {
    const distances = TRIANGLE.means.map(([a, b]) => Math.hypot((points[i] ?? 0) - a, (points[i + 1] ?? 0) - b));
    const at = distances.indexOf(Math.min(...distances));
    counts[at] = (counts[at] ?? 0) + 1;
  }
  return shares(counts);
};
const bars = (title: string, values: number[]) =>
  console.log(`${title}\n${textHistogram({ labels: ["A", "B", "C"], values, width: 30 })}\n`);
bars("the biased model", nearest(draws.sites.x.data));
bars("the unbiased points", nearest(target.data));
bars("the corrected model", nearest(draws.resample(10_000).x.data));

// The learned energy at the centres, against the exact one; only differences mean anything. Conditioned on x, the model's
// density is log p(x) − E(x); without the tilt it is log p(x).
const log = (m: typeof corrected | typeof biased) => logDensities(m, { x: means }, { params: fit.params }).data;
const [tilted, base] = [log(corrected), log(biased)];
const E = [0, 1, 2].map((k) => (base[k] ?? 0) - (tilted[k] ?? 0));
const gap = (k: number) => ((E[0] ?? 0) - (E[k] ?? 0)).toFixed(2);
console.log(`energy gaps: A−B ${gap(1)} (exact 2.37), A−C ${gap(2)} (exact 2.08)`);
console.log(`ESS/n of weighted draws ${draws.essRatio.toFixed(3)} (exact .383)`);
