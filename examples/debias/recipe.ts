/** Every number that is a choice, in one place. Found by trying: `bench/debias.ts` repeats the main ones over seeds. */

/** Digits 0 to 4, and the shares in which the biased set keeps them. */
export const CLASSES = [0, 1, 2, 3, 4] as const;
export const SHARES = [0.12, 0.33, 0.28, 0.2, 0.07] as const;
/** Share of all digits that the biased set keeps. */
export const KEEP = 0.6;

export const PIXELS = 28 * 28;

/** The walkthrough's network, and a schedule that needs few steps: a short warm-up, then half a cosine to 0. */
export const VAE = {
  hidden: [1024, 512, 256],
  batch: 128,
  learningRate: 3e-3,
  warmup: 40,
  validation: 0.1,
  patience: 5,
} as const;

/** The classifier that counts classes. It sees labels; neither the VAE nor the energy does. */
export const CLASSIFIER = { hidden: [128], batch: 128, epochs: 16, learningRate: 1e-3, test: 0.1 } as const;

/**
 * The energy and its fit. Five cross-fitted energies are averaged; the fit stops where the tilt would cost more than `minEssRatio`
 * of the draws, because on a few hundred digits the held-out loss stops it before the classes are even.
 */
export const ENERGY = {
  hidden: [64, 64],
  folds: 5,
  steps: 1600,
  every: 25,
  learningRate: 1e-3,
  warmup: 20,
  negatives: 512,
  minEssRatio: 0.65,
} as const;

/** Proposals of self-normalised importance sampling. */
export const PROPOSALS = 20_000;

/** Langevin dynamics in the latent space, at temperature 1; a jump now and then joins the islands of the digits. */
export const LANGEVIN = { chains: 250, steps: 500, warmup: 100, jumpEvery: 5 } as const;
/** Where the step-size adaptation starts, by latent dimension: the median variance of q(z|x). */
export const STEP_SIZE = { 2: 0.004, 10: 0.04 } as const;

/** The baselines on the few balanced digits. */
export const BASELINES = { unbiasedEpochs: 60, unbiasedRate: 1e-3, tunedEpochs: 15, tunedRate: 3e-4 } as const;
