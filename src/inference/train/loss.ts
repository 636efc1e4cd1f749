/** What a training step minimises: what it is told, and what it may carry to the next step. */
import type * as tf from "@tensorflow/tfjs-core";
import type { Key } from "../../core/key.ts";
import type { ArrayTree } from "../../core/tree.ts";

/** What a loss is told beside the parameters. */
export interface StepContext {
  /** Fresh for every step; the same at every validation, so that epochs compare under the same noise. */
  readonly key: Key;
  /** Steps done before this one. */
  readonly step: number;
  /** Epochs done before this one. */
  readonly epoch: number;
  readonly stepInEpoch: number;
  /** Small state that the loss carries from step to step (for instance a running baseline). */
  readonly carry: ArrayTree;
}

/** A loss that also updates its carried state. */
export interface LossWithCarry {
  readonly loss: tf.Tensor;
  /** The state after this step; a function is called when the values of the step are there. */
  readonly carry: ArrayTree | (() => ArrayTree);
}
