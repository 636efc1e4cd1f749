/** `tilted/tilt`: what the fit of a tilt is made of: objectives, negatives, and log Z from weights. */
export { type Bound, type EvidenceOf, type Sandwich, showBound } from "../weights/bound.ts";
export { logZ, logZWithDraws } from "../weights/log-z.ts";
export { type ChainDrawsOptions, chainDraws } from "./chain-negatives.ts";
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
