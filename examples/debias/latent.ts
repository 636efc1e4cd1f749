/** The tilt of the latent space: fit an energy to the balanced digits, then sample by weights and by Langevin dynamics. */
import { pipe } from "fp-ts/lib/function.js";
import {
  type DrawableRows,
  fitTilt,
  infer,
  langevin,
  type NdArray,
  ndarray,
  type Posteriors,
  type Progress,
  snis,
  type TiltFit,
  tilt,
} from "tilted";
import { energy } from "tilted/models";
import { adam, linearWarmup } from "tilted/optim";
import {
  aggregateBase,
  contrastive,
  type LatentBase,
  logistic,
  priorBase,
  selfNormalized,
  snisLikelihood,
  type TiltObjective,
} from "tilted/tilt";
import type { BaseName, EngineOption, ObjectiveName } from "./options.ts";
import { ENERGY, LANGEVIN, PROPOSALS, STEP_SIZE } from "./recipe.ts";
import { spreadRows } from "./rows.ts";

const OBJECTIVES: Readonly<Record<ObjectiveName, () => TiltObjective>> = {
  logistic,
  snis: snisLikelihood,
  "self-normalized": selfNormalized,
  contrastive,
};

/** Where a run gets its draws, and what runs it. */
export interface How {
  readonly seed: string;
  readonly engine: EngineOption;
}

export const baseOf = (name: BaseName, latent: number, biased: Posteriors): LatentBase =>
  name === "prior" ? priorBase(latent) : aggregateBase(biased);

/** Fits the energy. It sees the balanced digits through draws of their latents, afresh at every step; it never sees a label. */
export const fitEnergy = (
  base: LatentBase,
  latent: number,
  balanced: DrawableRows,
  objective: ObjectiveName,
  { seed, engine }: How,
  onProgress?: (progress: Progress) => void,
): Promise<TiltFit> =>
  infer(
    base,
    fitTilt("z", energy(latent, { hidden: ENERGY.hidden }), balanced, {
      objective: OBJECTIVES[objective](),
      optimizer: adam(linearWarmup(ENERGY.warmup, ENERGY.learningRate)),
      steps: ENERGY.steps,
      every: ENERGY.every,
      folds: ENERGY.folds,
      negatives: ENERGY.negatives,
      minEssRatio: ENERGY.minEssRatio,
      batch: Number.MAX_SAFE_INTEGER,
    }),
    { seed, engine, ...(onProgress && { onProgress }) },
  );

/** Weighted draws of the tilted base, and as many resampled ones as asked. */
export async function sampleByWeights(base: LatentBase, fit: TiltFit, samples: number, { seed, engine }: How) {
  const particles = await infer(pipe(base, tilt("z", fit.energy)), snis(PROPOSALS), {
    params: fit.params,
    seed,
    engine,
  });
  const { z } = particles.resample(samples, { scheme: "systematic" });
  return { particles, z };
}

/** Chains of the tilted base at temperature 1, and as many of their states as asked, thinned evenly. */
export async function sampleByLangevin(
  base: LatentBase,
  fit: TiltFit,
  latent: 2 | 10,
  samples: number,
  { seed, engine }: How,
  onProgress?: (progress: Progress) => void,
) {
  const method = langevin({ ...LANGEVIN, stepSize: STEP_SIZE[latent], sites: ["z"] });
  const run = await infer(pipe(base, tilt("z", fit.energy)), method, {
    params: fit.params,
    seed,
    engine,
    ...(onProgress && { onProgress }),
  });
  return { run, z: thin(run.sites.z, samples) };
}

/** `samples` states spread evenly over all chains and steps: `[chains, steps, d]` to `[samples, d]`. */
function thin(z: NdArray, samples: number): NdArray {
  const [chains, steps, d] = z.shape as [number, number, number];
  return spreadRows(ndarray(z.data, [chains * steps, d]), samples);
}
