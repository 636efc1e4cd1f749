/** `tilted/dist`: distributions, constraints, bijections. */
export {
  affine,
  compose,
  expBijection,
  identity,
  invert,
  lowerCholeskyBijection,
  sigmoidBijection,
  softplusBijection,
  stickBreaking,
} from "./bijections.ts";
export { exponential, truncatedNormal, uniform } from "./bounded.ts";
export type { Bijection, Constraint } from "./constraint.ts";
export {
  boolean,
  closedUnitInterval,
  greaterThan,
  independent,
  integerInterval,
  interval,
  lessThan,
  lowerCholesky,
  nonNegative,
  nonNegativeInteger,
  oneHot,
  positive,
  real,
  simplex,
  softplusPositive,
  unitInterval,
} from "./constraints.ts";
export { cauchy, halfCauchy, halfNormal, laplace, logistic, logNormal, normal } from "./continuous.ts";
export type { Distribution } from "./distribution.ts";
export { delta, improper } from "./point.ts";
export { bernoulli, categorical, mixtureSameFamily } from "./temp.ts";
export { transformed } from "./transformed.ts";
