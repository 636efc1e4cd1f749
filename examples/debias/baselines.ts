/** What one would do without a tilt: train on the few balanced digits alone, or fine-tune the biased VAE on them. */
import { predictive } from "tilted";
import type { Vae } from "tilted/models";
import { priorBase } from "tilted/tilt";
import { type Balance, balanceOf } from "./measure.ts";
import { BASELINES } from "./recipe.ts";
import type { Halves } from "./sets.ts";
import { type Counter, type Params, sharesOf, type Trained, trainVae } from "./train.ts";

export interface Baseline extends Balance {
  readonly trainLoss: number;
  readonly validationLoss: number;
  readonly epochs: number;
}

/** Latents from the prior N(0, I). */
export const priorLatents = (latent: number, samples: number, seed: string) =>
  predictive(priorBase(latent), { draws: samples, seed }).z;

const measured = (net: Vae, fit: Trained, counter: Counter, samples: number, seed: string): Baseline => {
  const z = priorLatents(net.options.latent, samples, `${seed}/prior`);
  const { trainLoss, validationLoss, epochs } = fit;
  return { ...balanceOf(sharesOf(counter, net, fit.params, z)), trainLoss, validationLoss, epochs };
};

/** A VAE trained on the balanced digits alone. */
export async function unbiasedOnly(net: Vae, sets: Halves, counter: Counter, samples: number, seed: string) {
  const { unbiasedEpochs: epochs, unbiasedRate: learningRate } = BASELINES;
  const fit = await trainVae({ net, ...sets, epochs, seed, learningRate });
  return measured(net, fit, counter, samples, seed);
}

/** The biased VAE, trained further on the balanced digits. */
export async function fineTuned(net: Vae, from: Params, sets: Halves, counter: Counter, samples: number, seed: string) {
  const { tunedEpochs: epochs, tunedRate: learningRate } = BASELINES;
  const fit = await trainVae({ net, ...sets, epochs, seed, from, learningRate });
  return measured(net, fit, counter, samples, seed);
}
