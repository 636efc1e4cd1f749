/** The learning signal of draws that cannot be reparameterised: the factor of each score in the gradient of a bound. */
import * as tf from "@tensorflow/tfjs-core";
import { hostTensor } from "../../core/tracing.ts";
import type { ShiftedExp } from "../../engine/ops.ts";

/** What is subtracted from the learning signal at draws that cannot be reparameterised; it changes the variance of the gradient, never its mean. */
export type Baseline = "leave-one-out" | "running-mean" | "none";

/** How the signal is centred. */
export interface SignalOptions {
  readonly baseline: Baseline;
  /** Mean learning signal of earlier steps, for `running-mean`. */
  readonly expected?: () => number;
}

/**
 * What multiplies the score of every particle, `[draws, k, rows]` or with 1 for k: the bound of its row less a baseline that does not
 * depend on the particle. Leave-one-out: for K = 1 the mean over the other draws; for K > 1 the bound with the particle's log-weight
 * replaced by the mean of the others' (VIMCO, Mnih & Rezende 2016).
 */
export function learningSignal(
  bounds: tf.Tensor,
  logW: tf.Tensor,
  relative: ShiftedExp | undefined,
  { baseline, expected = () => 0 }: SignalOptions,
): tf.Tensor {
  const draws = bounds.shape[0] as number;
  if (baseline === "running-mean") {
    const mean = hostTensor(() => Float32Array.of(expected()), [1, 1, 1]);
    return tf.sub(bounds, mean);
  }
  if (baseline === "leave-one-out" && relative !== undefined) return tf.sub(bounds, leaveOneOut(logW, relative));
  if (baseline === "leave-one-out" && draws > 1)
    return tf.mul(tf.sub(bounds, tf.mean(bounds, 0, true)), draws / (draws - 1));
  return bounds;
}

/**
 * For each particle j: log (1/K)(Σ_{i≠j} w_i + ŵ_j), where log ŵ_j is the mean of the other log-weights. All is taken relative to the
 * largest of the others, which is the largest of all but where j itself is that one: neither overflow nor cancellation.
 */
function leaveOneOut(logW: tf.Tensor, { shift: largest, exp, sum }: ShiftedExp): tf.Tensor {
  const k = logW.shape[1] as number;
  const standIn = tf.div(tf.sub(tf.sum(logW, 1, true), logW), k - 1);
  const isLargest = tf.equal(tf.reshape(tf.range(0, k, 1, "int32"), [1, k, 1]), tf.expandDims(tf.argMax(logW, 1), 1));
  const others = tf.where(isLargest, Number.NEGATIVE_INFINITY, logW);
  const second = tf.max(others, 1, true);
  const top = tf.where(isLargest, second, largest);
  const withoutLargest = tf.sum(tf.exp(tf.sub(others, second)), 1, true);
  const rest = tf.where(isLargest, withoutLargest, tf.sub(sum, exp));
  return tf.add(top, tf.log(tf.div(tf.add(rest, tf.exp(tf.sub(standIn, top))), k)));
}
