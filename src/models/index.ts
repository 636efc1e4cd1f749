/** `tilted/models`: ordinary programs, no privileges. */
export { type Classifier, type ClassifierOptions, classifier, classify, labels } from "./classifier.ts";
export { type EnergyOptions, energy } from "./energy.ts";
export { aggregateBase, type LatentBase, posteriorRows, priorBase } from "./latent.ts";
export { type RefineOptions, refinedRows } from "./refine.ts";
export { decode, encode, type Posteriors, type Vae, type VaeOptions, vae } from "./vae.ts";
