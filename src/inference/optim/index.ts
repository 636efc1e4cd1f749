/** `tilted/optim`: optimisers, schedules of their learning rates, and clipping of gradients. */
export type { Clip } from "./clip.ts";
export {
  type AdamOptions,
  type AdamWOptions,
  adam,
  adamw,
  type Optimizer,
  type OptimizerState,
  type SgdOptions,
  sgd,
  type Updated,
} from "./optimizers.ts";
export {
  constant,
  cosineDecay,
  exponentialDecay,
  linearWarmup,
  piecewise,
  type Rate,
  type Schedule,
} from "./schedules.ts";
