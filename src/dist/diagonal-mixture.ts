/** log Σₖ wₖ N(x; μₖ, diag σₖ²) for thousands of components and as many points as wanted. */
import * as tf from "@tensorflow/tfjs-core";
import { HALF_LOG_2PI } from "../core/numeric/elementary.ts";
import { logSumGaussians } from "../engine/mixture.ts";

/**
 * log Σₖ wₖ Πⱼ N(xⱼ; μₖⱼ, σₖⱼ²) of points `[n, d]`, from log w `[K]` (normalised), μ and σ `[K, d]`: `[n]`.
 *
 * @remarks Memory stays below about 150 MiB whatever n and K are, in the value and in the first gradient; derivatives of any
 * order exist, those from the second on with a memory of n·K. On the wasm engine value and gradient in x are one pass over
 * the components, without a table.
 */
export function diagonalMixtureLogProb(
  x: tf.Tensor,
  logWeights: tf.Tensor,
  loc: tf.Tensor,
  scale: tf.Tensor,
): tf.Tensor {
  const d = loc.shape[1] as number;
  const height = tf.sub(logWeights, tf.add(tf.sum(tf.log(scale), 1), d * HALF_LOG_2PI));
  return logSumGaussians(
    x,
    tf.concat([tf.transpose(loc), tf.transpose(tf.reciprocal(scale)), tf.expandDims(height, 0)], 0),
  );
}
