/** Options, state and result of a training run. */
import type * as tf from "@tensorflow/tfjs-core";
import type { Key } from "../../core/key.ts";
import type { ArrayTree, TensorTree, Tree } from "../../core/tree.ts";
import type { CompileInfo, EngineChoice } from "../../engine/info.ts";
import type { Problem } from "../method/infer.ts";
import type { Clip } from "../optim/clip.ts";
import type { Optimizer, OptimizerState } from "../optim/optimizers.ts";
import type { Loss, StepContext } from "./loss.ts";
import type { GoodState, Recovery } from "./recovery.ts";

/** Everything a run needs to continue: plain data. */
export interface TrainState {
  readonly step: number;
  readonly params: ArrayTree;
  readonly optimizer: OptimizerState;
  readonly carry: ArrayTree;
  readonly history: TrainingHistory;
  /** Sums over the current epoch of the loss and of its metrics. */
  readonly epochLoss: number;
  readonly epochMetrics: Tree<number>;
  /** The best so far, when there is validation. */
  readonly best: (GoodState & { readonly loss: number }) | undefined;
}

/** Losses by epoch. */
export interface TrainingHistory {
  /** Mean loss over the steps of each epoch. */
  readonly train: readonly number[];
  /** Validation loss after each epoch; empty without validation. */
  readonly validation: readonly number[];
}

/** An epoch, for callbacks. */
export interface EpochInfo {
  /** The epoch just finished, counted from 0. */
  readonly epoch: number;
  /** Steps done so far. */
  readonly step: number;
  readonly train: number;
  readonly validation: number | undefined;
  /** Means over the steps of the epoch of the loss's metrics. */
  readonly metrics: Tree<number>;
  /** A copy of everything, to be stored as a checkpoint. */
  state(): TrainState;
}

/** Options of `train`. */
export interface TrainOptions {
  /** For messages. Default `train`. */
  readonly name?: string;
  readonly loss: Loss;
  /**
   * Awaited before every step, outside every scope: for what a loss needs and cannot compute itself. `params` are the run's own arrays, which the
   * next step overwrites.
   */
  readonly before?: (step: number, params: ArrayTree) => void | Promise<void>;
  /** Where the parameters start. They are copied. */
  readonly params: ArrayTree;
  readonly optimizer: Optimizer;
  /** How long: give `steps` or `epochs`. */
  readonly steps?: number;
  readonly epochs?: number;
  /** Steps between validations and entries of the history. Default 1. */
  readonly stepsPerEpoch?: number;
  /** The loss on held-out data, after every epoch, without gradients. The best parameters seen are the ones returned. */
  readonly validate?: (params: TensorTree, context: StepContext) => number | tf.Tensor;
  /** Stops after so many epochs in a row without a better validation loss. Default: never. */
  readonly patience?: number;
  /** Called after every epoch: returning a reason ends the run as diverged. Default: never. */
  readonly stop?: (info: EpochInfo) => string | undefined;
  readonly clip?: Clip;
  /**
   * A loss or gradient that is not finite after the first step ends the run with good parameters instead of an error, where there are any:
   * those with the least validation loss, or without validation those that a {@link Recovery} chooses, by default after the epoch with the
   * least mean loss. Default false.
   */
  readonly recover?: boolean | Recovery;
  readonly key: Key;
  /** Called after every step, outside every scope. Default: only lets the event loop live. Inside a method: `problem.tick`. */
  readonly tick?: Problem["tick"];
  readonly onEpoch?: (info: EpochInfo) => void | Promise<void>;
  /** First value of the carried state. */
  readonly carry?: ArrayTree;
  /** Continues from a stored state instead of from `params`: the result is that of an uninterrupted run, bit for bit. */
  readonly from?: TrainState;
  /**
   * `auto` (default): the step is compiled where that pays, which {@link Trained.compiled} reports. `compiled` always compiles, and throws where
   * that fails. `wasm` runs op by op.
   */
  readonly engine?: EngineChoice;
  /** Threads inside one operation of a compiled step. Default: one, and more where the products of a step are large. */
  readonly threads?: number;
  /** A compiled step runs in a thread of its own (Node), so that the event loop stays free meanwhile. Default false. */
  readonly background?: boolean;
}

/** A finished run. */
export interface Trained {
  /** A copy: with validation those of the best epoch, otherwise the last; of a run that diverged, the last good ones. */
  readonly params: { readonly [name: string]: ArrayTree[string] };
  readonly history: TrainingHistory;
  readonly steps: number;
  readonly epochs: number;
  /** `early`: patience ran out. `diverged`: see {@link TrainOptions.recover} and {@link TrainOptions.stop}; `message` says why. */
  readonly stopped: "finished" | "early" | "diverged";
  readonly message: string | undefined;
  /** Epoch, counted from 0, that `params` come from; −1 when no step was made. */
  readonly bestEpoch: number;
  /** Steps done before `params`. */
  readonly bestStep: number;
  /** To continue from here. */
  readonly state: TrainState;
  /** Whether the step ran compiled, and if not, why. */
  readonly compiled: CompileInfo;
}
