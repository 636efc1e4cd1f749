/** `tilted/dist`: distributions, the constraints and bijections of their values, and the builder of families. */

export { type BernoulliOptions, bernoulli } from "./bernoulli.ts";
export { beta } from "./beta.ts";
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
export { binomial } from "./binomial.ts";
export { exponential, uniform } from "./bounded.ts";
export { categorical } from "./categorical.ts";
export { completeDistribution } from "./complete.ts";
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
export { cauchy, halfCauchy, halfNormal, laplace, logistic, logNormal, normal, within } from "./continuous.ts";
export { dirichlet } from "./dirichlet.ts";
export type { Distribution } from "./distribution.ts";
export {
  type DrawContext,
  type Family,
  type FamilyParams,
  fromFamily,
} from "./family.ts";
export { gamma } from "./gamma.ts";
export { geometric } from "./geometric.ts";
export { inverseGamma } from "./inverse-gamma.ts";
export { type ExactKl, hasKl, type KlEntry, type KlOptions, type KlTable, kl, type SampledKl } from "./kl.ts";
export { mixture } from "./mixture.ts";
export { mixtureSameFamily } from "./mixture-same-family.ts";
export { type MultivariateNormalParams, multivariateNormal } from "./multivariate-normal.ts";
export { oneHotCategorical } from "./one-hot-categorical.ts";
export { delta, improper } from "./point.ts";
export { poisson } from "./poisson.ts";
export { studentT } from "./student-t.ts";
export { transformed } from "./transformed.ts";
export { truncatedNormal } from "./truncated-normal.ts";
