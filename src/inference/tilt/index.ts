/** `tilted/tilt`: the parts of a fit of a tilt: bases and target rows, objectives, negatives, log Z from weights, densities. */
export { type Bound, type EvidenceOf, type Sandwich, showBound } from "../weights/bound.ts";
export { logZ, logZWithDraws } from "../weights/log-z.ts";
export { type ChainDrawsOptions, chainDraws } from "./chain-negatives.ts";
export { aggregateBase, type LatentBase, posteriorRows, priorBase } from "./latent-base.ts";
export {
  type Coordinates,
  classEntropy,
  freshDraws,
  type NegativeDraws,
  type NegativeInfo,
  type NegativeSetting,
  type NegativeSource,
  type Negatives,
} from "./negatives.ts";
export {
  contrastive,
  type Energies,
  logistic,
  selfNormalized,
  snisLikelihood,
  type TiltObjective,
} from "./objectives.ts";
export { type BernoulliVae, type RefineOptions, refinedRows } from "./refined-rows.ts";
export { tiltedLogDensity } from "./tilt-density.ts";
