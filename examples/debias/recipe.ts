/** Every number that is a choice, in one place. */

/** Digits 0 to 4, and the shares in which the biased set keeps them. */
export const CLASSES = [0, 1, 2, 3, 4] as const;
export const SHARES = [0.12, 0.33, 0.28, 0.2, 0.07] as const;
/** Share of all digits that the biased set keeps. */
export const KEEP = 0.6;

export const PIXELS = 28 * 28;

/** The walkthrough's network, and how it is trained. */
export const VAE = {
  hidden: [1024, 512, 256],
  batch: 128,
  learningRate: 1e-3,
  validation: 0.1,
  patience: 5,
} as const;

/** The instrument that counts classes; it is trained on digits the VAE and the energy do not see as well. */
export const CLASSIFIER = { hidden: [256, 128], batch: 128, epochs: 12, learningRate: 1e-3, test: 0.1 } as const;

/** The energy and its fit. */
export const ENERGY = {
  hidden: [64, 64],
  folds: 5,
  steps: 600,
  every: 25,
  learningRate: 2e-3,
  negatives: 1024,
} as const;

/** Proposals of self-normalised importance sampling. */
export const PROPOSALS = 50_000;

/** Langevin dynamics in the latent space, at temperature 1. */
export const LANGEVIN = { chains: 1000, steps: 200, warmup: 100, stepSize: 0.05 } as const;

/** Epochs of the baselines on the few unbiased digits. */
export const BASELINES = { unbiasedEpochs: 60, tunedEpochs: 15, tunedRate: 3e-4 } as const;
