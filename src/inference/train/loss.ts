/** The loss of a training step: its context, its metrics, and the state that it may carry to the next step. */
import * as tf from "@tensorflow/tfjs-core";
import type { Key } from "../../core/key.ts";
import { currentTracer } from "../../core/tracing.ts";
import type { ArrayTree, TensorTree, Tree } from "../../core/tree.ts";
import type { Layout } from "../optim/flat.ts";
import { type ValueAndGradient, valueAndGradient } from "./gradient.ts";

/** What a loss receives besides the parameters. */
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

/** State for the next step; a function is called once the values of this step are known. */
export type NextCarry = ArrayTree | (() => ArrayTree);

/** A loss with carried state and metrics. */
export interface LossOutput {
  readonly loss: tf.Tensor;
  /** The state after this step. Default: as it was. */
  readonly carry?: NextCarry;
  /** Scalars to report, without a gradient. */
  readonly metrics?: TensorTree;
}

/** The scalar to be minimised. It runs inside a scope and inside a gradient: synchronous, tensors in, a tensor out. */
export type Loss = (params: TensorTree, context: StepContext) => tf.Tensor | LossOutput;

/** A loss and its buffers, of one layout: parameters are read from the optimiser's buffer, gradients are written in place. */
export interface LossSpec {
  /** For messages. */
  readonly name: string;
  readonly loss: Loss;
  readonly layout: Layout;
  readonly params: Float32Array;
  readonly grads: Float32Array;
}

/** One evaluation on the host; its gradients are in the buffer of the run. */
export interface Evaluated {
  readonly loss: number;
  readonly carry: ArrayTree;
  readonly metrics: Tree<number>;
}

/** A loss with its gradients, in the caller's scope, its carried state and metrics; `metrics` is filled once the values of the step are known. */
export interface Differentiated extends ValueAndGradient {
  readonly carry: NextCarry | undefined;
  readonly metrics: { readonly [name: string]: number };
}

/** Evaluates and differentiates a loss, traced or not. @throws See {@link valueAndGradient}. */
export function differentiate(name: string, loss: Loss, params: TensorTree, context: StepContext): Differentiated {
  let carry: NextCarry | undefined;
  const metrics: { [name: string]: number } = {};
  const value = () => {
    const out = loss(params, context);
    if (out instanceof tf.Tensor) return out;
    carry = out.carry;
    for (const [metric, x] of Object.entries(out.metrics ?? {}))
      report(x, (number) => {
        metrics[metric] = number;
      });
    return out.loss;
  };
  return { ...valueAndGradient(name, value, params), carry, metrics };
}

/** Reads a scalar of a step: at once, or if the step is being traced, after every run. */
function report(x: tf.Tensor, read: (value: number) => void): void {
  const tracer = currentTracer();
  if (tracer?.isSymbolic(x)) tracer.hostCallback(tf.reshape(x, [1]), (values) => read(values[0] as number));
  else read(x.dataSync()[0] as number);
}
