/** The Dirichlet distribution. */
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { HALF_LOG_2PI } from "../core/numeric/elementary.ts";
import { logSoftmax } from "../engine/ops.ts";
import { digamma, stirlingCorrection } from "../engine/special.ts";
import { independent, positive, simplex } from "./constraints.ts";
import type { Distribution } from "./distribution.ts";
import { type Family, fromFamily } from "./family.ts";
import { gammaNoise, SMALLEST } from "./gamma-path.ts";

/** Σ log Γ(aᵢ) − log Γ(Σaᵢ) over the last axis, with Stirling's terms combined before they can cancel. */
export function logDirichletNormalizer(a: tf.Tensor): tf.Tensor {
  const k = a.shape[a.rank - 1] as number;
  const total = tf.sum(a, -1, true);
  const each = tf.add(tf.mul(tf.sub(a, 0.5), tf.log(tf.div(a, total))), stirlingCorrection(a));
  const whole = tf.add(stirlingCorrection(total), tf.mul(tf.log(total), (k - 1) / 2));
  return tf.add(tf.sub(tf.sum(each, -1), tf.squeeze(whole, [-1])), (k - 1) * HALF_LOG_2PI);
}

const dirichletFamily: Family<"concentration"> = {
  family: "dirichlet",
  params: { concentration: independent(positive, 1) },
  support: simplex,
  eventShape: ({ concentration }) => concentration.shape.slice(-1),
  logProb({ concentration }, x) {
    const powers = tf.sum(tf.mul(tf.sub(concentration, 1), tf.log(x)), -1);
    return tf.sub(powers, logDirichletNormalizer(concentration));
  },
  draw({ concentration }, d) {
    const logs = gammaNoise(concentration, d, { scale: "log", extra: concentration.shape.slice(-1) });
    return tf.clipByValue(tf.exp(logSoftmax(logs)), SMALLEST, 1);
  },
  mean: ({ concentration }) => tf.div(concentration, tf.sum(concentration, -1, true)),
  variance({ concentration }) {
    const total = tf.sum(concentration, -1, true);
    const mean = tf.div(concentration, total);
    return tf.div(tf.mul(mean, tf.sub(1, mean)), tf.add(total, 1));
  },
  entropy({ concentration: a }) {
    const total = tf.sum(a, -1);
    const k = a.shape[a.rank - 1] as number;
    const each = tf.sum(tf.mul(tf.sub(a, 1), digamma(a)), -1);
    return tf.add(logDirichletNormalizer(a), tf.sub(tf.mul(tf.sub(total, k), digamma(total)), each));
  },
};

/**
 * p(x) = Γ(Σaᵢ)/ΠΓ(aᵢ) · Π xᵢ^{aᵢ−1} on the simplex (density over the first k − 1 coordinates), a of shape `[...batch, k]`.
 * Draws are differentiable in the concentration (once).
 */
export const dirichlet = (concentration: ArrayLike): Distribution => fromFamily(dirichletFamily, { concentration });
