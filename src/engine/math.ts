/**
 * `tilted/math`: functions of tensors that tfjs lacks or gets wrong, exact to a few units in the last place of float32 and
 * differentiable twice: what the author of a distribution needs.
 */
export {
  cholesky,
  choleskySolve,
  diagonal,
  logDetFromCholesky,
  type TriangularOptions,
  triangularInverse,
  triangularSolve,
} from "./linalg.ts";
export { type Axis, logSigmoid, logSoftmax, logSumExp, softplus, stopGradient } from "./ops.ts";
export { broadcastPair, type Elementwise } from "./smooth.ts";
export {
  digamma,
  erf,
  erfc,
  erfinv,
  expm1,
  lbeta,
  lgamma,
  log1mexp,
  log1p,
  logChoose,
  logErfc,
  logNdtr,
  logRatioGap,
  logRising,
  ndtr,
  ndtri,
  polygamma,
  stirlingCorrection,
  trigamma,
  xlog1py,
  xlogy,
} from "./special.ts";
