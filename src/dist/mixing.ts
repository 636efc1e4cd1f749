/** What mixtures of one family and of several share: weights, the choice of a component, moments. */
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key } from "../core/key.ts";
import { type Shape, sizeOf } from "../core/shape.ts";
import { currentValue, type MaybeTraced } from "../core/tracing.ts";
import { broadcastTo } from "../engine/smooth.ts";
import { categorical, classProbs, drawIndices, logClassProbs } from "./categorical.ts";
import type { Distribution } from "./distribution.ts";

/** A categorical from weights, or the one given. */
export function mixingOf(weights: Distribution | ArrayLike): Distribution {
  if (typeof weights !== "object" || !("family" in weights)) return categorical({ probs: weights });
  if (weights.family !== "categorical") {
    fail(
      "argument",
      `mixture: the mixing distribution must be categorical, or weights on the simplex; got ${weights.family}`,
    );
  }
  return weights;
}

export const unsupported = (what: string) => (): tf.Tensor =>
  fail("unsupported", `mixture: its ${what} has no closed form here`);

export const prefixed = (params: { readonly [name: string]: tf.Tensor }, prefix: string) =>
  Object.fromEntries(Object.entries(params).map(([name, value]) => [`${prefix}${name}`, value]));

/** log p of the classes of `mixing`, over `[...batch, k]`. */
export const logWeightsOf = (mixing: Distribution, batch: Shape, k: number): tf.Tensor =>
  broadcastTo(logClassProbs(mixing.params), [...batch, k]);

/** p of the classes of `mixing`, `[...batch, k]` and ones over the event: factors of what components have. */
export const weightsOver = (mixing: Distribution, batch: Shape, k: number, event: Shape): tf.Tensor =>
  tf.reshape(tf.broadcastTo(classProbs(mixing.params), [...batch, k]), [...batch, k, ...event.map(() => 1)]);

/** Draws the component of every draw, `[...shape, ...batch]`; the weights are read now. */
export function choices(
  mixing: Distribution,
  key: Key,
  full: Shape,
  batch: Shape,
  k: number,
  first: MaybeTraced,
): () => Int32Array {
  const rows = tf.tidy(() => tf.broadcastTo(classProbs(mixing.params), [...batch, k]).dataSync());
  return () => drawIndices(fold(key, "component"), rows, k, sizeOf(full), currentValue(first) * sizeOf(full.slice(1)));
}

/** Means and variances of the mixture from those of the components, which lie on `axis`. */
export function moments(weights: tf.Tensor, means: tf.Tensor, axis: number) {
  const mean = tf.sum(tf.mul(weights, means), axis);
  const variance = (variances: tf.Tensor): tf.Tensor => {
    const between = tf.square(tf.sub(means, tf.expandDims(mean, axis)));
    return tf.sum(tf.mul(weights, tf.add(variances, between)), axis);
  };
  return { mean, variance };
}
