/** The tilt of the latent space: fit an energy to the balanced digits, then sample by weights and by Langevin dynamics. */
import { pipe } from "fp-ts/function";
import {
  adam,
  contrastive,
  cosineDecay,
  fitTilt,
  infer,
  langevin,
  logistic,
  type NdArray,
  ndarray,
  type Progress,
  selfNormalized,
  snis,
  snisLikelihood,
  type TiltFit,
  type TiltObjective,
  tilt,
} from "tilted";
import { aggregateBase, energy, type LatentBase, type Posteriors, posteriorRows, priorBase } from "tilted/models";
import type { BaseName, ObjectiveName } from "./options.ts";
import { ENERGY, LANGEVIN, PROPOSALS } from "./recipe.ts";

const OBJECTIVES: Readonly<Record<ObjectiveName, () => TiltObjective>> = {
  logistic,
  snis: snisLikelihood,
  "self-normalized": selfNormalized,
  contrastive,
};

export const baseOf = (name: BaseName, latent: number, biased: Posteriors): LatentBase =>
  name === "prior" ? priorBase(latent) : aggregateBase(biased);

/** Fits the energy. It sees balanced digits through q(z|x), drawn afresh at every step; it never sees a label. */
export const fitEnergy = (
  base: LatentBase,
  latent: number,
  balanced: Posteriors,
  objective: ObjectiveName,
  seed: string,
  onProgress?: (progress: Progress) => void,
): Promise<TiltFit> =>
  infer(
    base,
    fitTilt("z", energy(latent, { hidden: ENERGY.hidden }), posteriorRows(balanced), {
      objective: OBJECTIVES[objective](),
      optimizer: adam(cosineDecay({ from: ENERGY.learningRate, steps: ENERGY.steps })),
      steps: ENERGY.steps,
      every: ENERGY.every,
      folds: ENERGY.folds,
      negatives: ENERGY.negatives,
      batch: Number.MAX_SAFE_INTEGER,
    }),
    { seed, ...(onProgress && { onProgress }) },
  );

/** Weighted draws of the tilted base, and as many resampled ones as asked. */
export async function sampleByWeights(base: LatentBase, fit: TiltFit, samples: number, seed: string) {
  const particles = await infer(pipe(base, tilt("z", fit.energy)), snis(PROPOSALS), { params: fit.params, seed });
  const { z } = particles.resample(samples, { scheme: "systematic", seed: `${seed}/resample` });
  return { particles, z };
}

/** Chains of the tilted base at temperature 1, and as many of their states as asked, thinned evenly. */
export async function sampleByLangevin(
  base: LatentBase,
  fit: TiltFit,
  samples: number,
  seed: string,
  onProgress?: (progress: Progress) => void,
) {
  const { chains, steps, warmup, stepSize } = LANGEVIN;
  const method = langevin({ chains, steps, warmup, stepSize, adjusted: true, sites: ["z"] });
  const run = await infer(pipe(base, tilt("z", fit.energy)), method, {
    params: fit.params,
    seed,
    ...(onProgress && { onProgress }),
  });
  return { run, z: thin(run.sites.z, samples) };
}

/** `samples` states spread evenly over all chains and steps: `[chains, steps, d]` to `[samples, d]`. */
function thin(z: NdArray, samples: number): NdArray {
  const [chains, steps, d] = z.shape as [number, number, number];
  const total = chains * steps;
  const data = new Float32Array(samples * d);
  for (let i = 0; i < samples; i++) {
    const at = Math.floor((i * total) / samples);
    data.set(z.data.subarray(at * d, (at + 1) * d), i * d);
  }
  return ndarray(data, [samples, d]);
}
