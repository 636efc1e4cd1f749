/** SiLU, x·σ(x), and its derivatives, each from the terms of the one before. */
import * as tf from "@tensorflow/tfjs-core";
import { smooth } from "./smooth.ts";

/** σ, y = x·σ, t = 1 − σ and y′ = σ + y·t. A compiled graph computes each of them once. */
function parts(x: tf.Tensor) {
  const s = tf.sigmoid(x);
  const y = tf.mul(x, s);
  const t = tf.sub(1, s);
  return { s, y, t, slope: tf.add(s, tf.mul(y, t)) };
}

/** y″ = t·(σ + y′ − y·σ), which is σ·t·(2 + x·(t − σ)). */
function curvature(x: tf.Tensor): tf.Tensor {
  const { s, y, t, slope } = parts(x);
  return tf.mul(t, tf.sub(tf.add(s, slope), tf.mul(y, s)));
}

const slope = smooth((x) => parts(x).slope, curvature);

/**
 * SiLU, x·σ(x) (Elfwing et al. 2018), of any shape; differentiable to any order.
 *
 * @remarks The derivatives are written out: automatic differentiation of x·σ(x) takes about twice the operations, and a gradient
 * penalty needs the second.
 */
export const silu = smooth((x) => tf.mul(x, tf.sigmoid(x)), slope);
