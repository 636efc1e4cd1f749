/**
 * `tilted/inference`: what the author of a method needs. A method is a record `{ name, run }`; `run` is given a {@link Problem}. Here is
 * what the library's own methods are made of: the interpreter and its records, the inspection of a model, draws with
 * weights, and what is said of weights and of chains.
 */
export { toArrays, toTensors } from "../core/tree.ts";
export { commonPlates, logJoint, plateDepth, scored, sumSites } from "../effects/density.ts";
export {
  type Execution,
  type InterpretOptions,
  interpret,
  type ParamRecord,
  type SiteRecord,
} from "../effects/interpret.ts";
export {
  type ChooseRows,
  type ScoredEffect,
  scoreOnly,
  startImproper,
  unscored,
  withPlates,
  withRows,
} from "../effects/run-handlers.ts";
export { exportSite } from "../effects/site-value.ts";
export {
  bulkEss,
  type Chains,
  diagnoseChains,
  MIXED_RHAT,
  meanEss,
  meanMcse,
  rhat,
  type ScalarDiagnostics,
  splitChains,
  tailEss,
} from "./diagnostics/chains.ts";
export { independence } from "./mcmc/independence.ts";
export {
  type Evaluation,
  type GradientState,
  gradientStateAt,
  type Kernel,
  type KernelState,
  metropolis,
  moveTo,
  type NoiseKind,
  type NoiseKinds,
  type StepInfo,
  type Target,
  targetOf,
} from "./mcmc/kernel.ts";
export { mala } from "./mcmc/mala.ts";
export { ula } from "./mcmc/ula.ts";
export type {
  EffectsIn,
  GuideType,
  Method,
  MethodFits,
  Problem,
  Progress,
  ResultFor,
  ResultKind,
} from "./method/infer.ts";
export { inspectModel, type ModelInfo, type PlateInfo, type SiteInfo } from "./problem/inspect-model.ts";
export { matchGuide } from "./problem/match-guide.ts";
export { matchProposal, type Proposal } from "./problem/match-proposal.ts";
export type { ModelAndGuide } from "./problem/model-and-guide.ts";
export type { RunOptions } from "./problem/runs.ts";
export { drawnSites, drawsOf } from "./problem/site-draws.ts";
export { type Weighed, type WeighOptions, type WeightedRun, weigh } from "./problem/weigh.ts";
export type { Loss, LossOutput, StepContext } from "./train/loss.ts";
export { type CandidateState, type GoodState, leastLoss, type Recovery, type Ring, ring } from "./train/recovery.ts";
export { trainingIn } from "./train/train.ts";
export type { EpochInfo, TrainingHistory, TrainState } from "./train/train-types.ts";
export { type Bound, type EvidenceOf, evidenceLabel, type Sandwich } from "./weights/bound.ts";
export { logZ } from "./weights/log-z.ts";
export { paretoK, UNRELIABLE_K } from "./weights/pareto.ts";
export { type ResamplingScheme, resampleRows } from "./weights/resample.ts";
export { diagnose, normalizeWeights, sumWeights, type WeightDiagnostics, type WeightSums } from "./weights/weights.ts";
