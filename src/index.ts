/** `tilted`: models as generator functions, inference as handlers, tilts. */
// By itself, so that a bundler keeps it: package.json lists this file and that one as the only ones that do something on import.
import "./engine/install.ts";

export { type ArrayLike, type NdArray, ndarray } from "./core/array.ts";
export { type ErrorCode, TiltedError } from "./core/errors.ts";
export { fold, type Key, rootKey, type Seed, split } from "./core/key.ts";
export { currentArray, hostTensor } from "./core/live.ts";
export { scope as tensorScope } from "./core/scope.ts";
export type { ArrayTree, TensorTree, Tree } from "./core/tree.ts";
export {
  type DeterministicEffect,
  deterministic,
  type Effect,
  type FactorEffect,
  type Frame,
  factor,
  type Model,
  model,
  type ObserveEffect,
  observe,
  type ParamEffect,
  type PlateEffect,
  type Program,
  param,
  type SampleEffect,
  sample,
} from "./effects/effects.ts";
export { handleEffects, handler, type OnEffect } from "./effects/handle.ts";
export {
  block,
  condition,
  type Energy,
  intervene,
  mask,
  replay,
  scale,
  scope,
  seed,
  substitute,
  tilt,
  uncondition,
} from "./effects/handlers.ts";
export { type Plate, type PlateOptions, plate } from "./effects/plate.ts";
export { type Predictions, type PredictiveOptions, predictive } from "./effects/predictive.ts";
export type {
  ArgsOf,
  DeterministicsOf,
  EffectsOf,
  IsNormalized,
  LatentsOf,
  ObservedOf,
  ParamsOf,
  PlatesOf,
  ResultOf,
} from "./effects/sites.ts";
export { logDensities, logDensity, type Trace, trace } from "./effects/trace.ts";
export {
  type Compiled,
  type CompiledInput,
  type CompiledOutput,
  type CompileOptions,
  compile,
  type Float64NdArray,
  type Step,
} from "./engine/compile/compile.ts";
export { type CompileInfo, type EngineChoice, type EngineInfo, ensureEngine, useEngine } from "./engine/engine.ts";
export { type Bound, type EvidenceOf, type Sandwich, showBound } from "./inference/bound.ts";
export { type ChainEvidenceOptions, chainEvidence } from "./inference/chain-evidence.ts";
export { type ChainDrawsOptions, chainDraws } from "./inference/chain-negatives.ts";
export type { Clip } from "./inference/clip.ts";
export { type ElboOptions, elbo } from "./inference/elbo.ts";
export { fitTilt } from "./inference/fit-tilt.ts";
export type { DrawableRows, FitTiltOptions, TiltFit } from "./inference/fit-tilt-types.ts";
export { type InferOptions, infer, type Method, type Progress } from "./inference/infer.ts";
export { type IwaeOptions, iwae } from "./inference/iwae.ts";
export { type LangevinOptions, langevin } from "./inference/langevin.ts";
export type { Drift, DriftEstimate, DriftReport } from "./inference/langevin-marginal.ts";
export type { ChainDiagnostics, LangevinCheckpoint, LangevinResult } from "./inference/langevin-result.ts";
export { logZ, logZWithDraws } from "./inference/log-z.ts";
export { type Coordinates, classEntropy, freshDraws, type Negatives } from "./inference/negatives.ts";
export {
  contrastive,
  logistic,
  selfNormalized,
  snisLikelihood,
  type TiltObjective,
} from "./inference/objectives.ts";
export {
  type AdamOptions,
  type AdamWOptions,
  adam,
  adamw,
  type Optimizer,
  type SgdOptions,
  sgd,
} from "./inference/optimizers.ts";
export { type ProgressBarOptions, progressBar } from "./inference/progress.ts";
export type { ResamplingScheme } from "./inference/resample.ts";
export {
  constant,
  cosineDecay,
  exponentialDecay,
  linearWarmup,
  piecewise,
  type Rate,
  type Schedule,
} from "./inference/schedules.ts";
export { type SnisOptions, type SnisRowsOptions, snis } from "./inference/snis.ts";
export { type SnisOutputs, type SnisOutputsOptions, snisOutputs } from "./inference/snis-outputs.ts";
export type { Estimate, SiteEstimate, SnisResult } from "./inference/snis-result.ts";
export type { RowSummary, RowsEvidence, SnisRowsResult } from "./inference/snis-rows-result.ts";
export type { EnergyLook, StopRule } from "./inference/stability.ts";
export type { BaseLogDensity } from "./inference/tilt-density.ts";
export { tiltLikelihood } from "./inference/tilt-likelihood.ts";
export type {
  TiltLikelihoodFit,
  TiltLikelihoodOptions,
  TiltLook,
  Trainable,
} from "./inference/tilt-likelihood-types.ts";
export { train } from "./inference/train.ts";
export type { Trained, TrainOptions } from "./inference/train-types.ts";
export type { VariationalFit, VariationalOptions } from "./inference/variational.ts";
