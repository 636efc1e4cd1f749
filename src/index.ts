/** `tilted`: the effects, their handlers, `infer` and its methods, and what the author of a model needs. */
// By itself, so that a bundler keeps it: package.json lists this file and that one as the only ones that do something on import.
import "./engine/install.ts";

export { type ArrayLike, type NdArray, ndarray } from "./core/array.ts";
export { type ErrorCode, TiltedError } from "./core/errors.ts";
export { fold, type Key, rootKey, type Seed, split } from "./core/key.ts";
export { scope as tensorScope } from "./core/scope.ts";
export type { ArrayTree, TensorTree, Tree } from "./core/tree.ts";
export {
  type DeterministicEffect,
  deterministic,
  type Effect,
  type FactorEffect,
  type FactorOptions,
  factor,
  type HiddenEffect,
  type Model,
  model,
  type ObserveEffect,
  type ObserveOptions,
  observe,
  type ParamEffect,
  type ParamInit,
  type ParamOptions,
  type PlateEffect,
  type PlateFrame,
  type Program,
  param,
  type SampleEffect,
  sample,
} from "./effects/effects.ts";
export { type Handler, handleEffects, handler, type OnEffect } from "./effects/handle.ts";
export {
  type Blocked,
  block,
  type Conditioned,
  condition,
  type Energy,
  type Intervened,
  intervene,
  mask,
  type Replayable,
  replay,
  type Scoped,
  scale,
  scope,
  seed,
  substitute,
  tilt,
  type Unconditioned,
  uncondition,
} from "./effects/handlers.ts";
export { mapRows } from "./effects/map-rows.ts";
export { type InNoise, type InNoiseOptions, inNoise } from "./effects/noise-space.ts";
export { type Plate, type PlateOptions, plate } from "./effects/plate.ts";
export { type Predictions, type PredictiveOptions, predictive } from "./effects/predictive.ts";
export type {
  ArgsOf,
  DeterministicsOf,
  EffectsOf,
  IsNormalized,
  KnownSites,
  LatentsOf,
  ObservedOf,
  ParamsOf,
  PlatesOf,
  ResultOf,
  SiteError,
} from "./effects/sites.ts";
export { type LatentValues, logDensities, logDensity, type RunOptions, type Trace, trace } from "./effects/trace.ts";
export { type CompileInfo, type EngineChoice, type EngineInfo, ensureEngine, useEngine } from "./engine/engine.ts";
export { type DensityBounds, type DensityOptions, logDensityOf } from "./inference/importance/latent-density.ts";
export { elboScore, fisherScore, type Score, type ScoreOptions } from "./inference/importance/score.ts";
export {
  type Keep,
  type KeptBy,
  type SnisKind,
  type SnisOptions,
  type SnisRowsKind,
  type SnisRowsOptions,
  snis,
} from "./inference/importance/snis.ts";
export {
  type SnisOutputs,
  type SnisOutputsKind,
  type SnisOutputsOptions,
  snisOutputs,
} from "./inference/importance/snis-outputs.ts";
export type { Estimate, SiteEstimate, SnisResult } from "./inference/importance/snis-result.ts";
export type { RowSummary } from "./inference/importance/snis-rows-diagnostics.ts";
export type { RowsEvidence, SnisRowsResult } from "./inference/importance/snis-rows-result.ts";
export { type ChainEvidenceOptions, chainEvidence } from "./inference/mcmc/chain-evidence.ts";
export type { Checkpoint } from "./inference/mcmc/checkpoint.ts";
export { type LangevinKind, type LangevinOptions, type LangevinResult, langevin } from "./inference/mcmc/langevin.ts";
export { type ChainKind, type ChainOptions, type McmcOptions, mcmc } from "./inference/mcmc/mcmc.ts";
export type { Drift, DriftEstimate, DriftReport } from "./inference/mcmc/pseudo-marginal.ts";
export type { ChainDiagnostics, ChainResult } from "./inference/mcmc/result.ts";
export { type DriftOptions, elboDrift, fisherDrift } from "./inference/mcmc/score-drift.ts";
export { type InferOptions, infer, type Method, type Progress } from "./inference/method/infer.ts";
export { type ProgressBarOptions, progressBar } from "./inference/method/progress.ts";
export type { LatentVariableModel, Posteriors } from "./inference/problem/latent-variable.ts";
export { type FitTiltKind, fitTilt } from "./inference/tilt/fit-tilt.ts";
export type { DrawableRows, FitTiltOptions, TiltFit } from "./inference/tilt/fit-tilt-types.ts";
export type { EnergyCheck, StopRule } from "./inference/tilt/stability.ts";
export type { BaseLogDensity } from "./inference/tilt/tilt-density.ts";
export { type TiltLikelihoodKind, tiltLikelihood } from "./inference/tilt/tilt-likelihood.ts";
export type {
  TiltCheck,
  TiltLikelihoodFit,
  TiltLikelihoodOptions,
  Trainable,
} from "./inference/tilt/tilt-likelihood-types.ts";
export { train } from "./inference/train/train.ts";
export type { Trained, TrainOptions } from "./inference/train/train-types.ts";
export { type ElboOptions, elbo } from "./inference/vi/elbo.ts";
export { type IwaeOptions, iwae } from "./inference/vi/iwae.ts";
export type {
  Variational,
  VariationalFit,
  VariationalKind,
  VariationalOptions,
} from "./inference/vi/variational-types.ts";
export { type Bound, type EvidenceOf, type Sandwich, showBound } from "./inference/weights/bound.ts";
export type { ResamplingScheme } from "./inference/weights/resample.ts";
