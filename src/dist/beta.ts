/** The beta distribution. */
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { fold } from "../core/key.ts";
import { digamma, lbeta, log1p } from "../engine/special.ts";

import { positive, unitInterval } from "./constraints.ts";
import { within } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";
import { type Family, fromFamily } from "./family.ts";
import { gammaNoise, SMALLEST } from "./gamma-path.ts";

/** The largest number of float32 below one. */
export const BELOW_ONE = 1 - 2 ** -24;

const betaFamily: Family<"a" | "b"> = {
  family: "beta",
  params: { a: positive, b: positive },
  support: unitInterval,
  logProb({ a, b }, x) {
    const inside = tf.logicalAnd(tf.greater(x, 0), tf.less(x, 1));
    const safe = tf.where(inside, x, tf.fill(x.shape, 0.5));
    const powers = tf.add(tf.mul(tf.sub(a, 1), tf.log(safe)), tf.mul(tf.sub(b, 1), log1p(tf.neg(safe))));
    return within(inside, tf.sub(powers, lbeta(a, b)));
  },
  draw({ a, b }, d) {
    const left = gammaNoise(a, d, { scale: "log", key: fold(d.key, "a") });
    const right = gammaNoise(b, d, { scale: "log", key: fold(d.key, "b") });
    return tf.clipByValue(tf.sigmoid(tf.sub(left, right)), SMALLEST, BELOW_ONE);
  },
  mean: ({ a, b }) => tf.div(a, tf.add(a, b)),
  variance({ a, b }) {
    const n = tf.add(a, b);
    return tf.div(tf.mul(tf.div(a, n), tf.div(b, n)), tf.add(n, 1));
  },
  entropy({ a, b }) {
    const n = tf.add(a, b);
    const each = tf.add(tf.mul(tf.sub(a, 1), digamma(a)), tf.mul(tf.sub(b, 1), digamma(b)));
    return tf.add(tf.sub(lbeta(a, b), each), tf.mul(tf.sub(n, 2), digamma(n)));
  },
};

/**
 * p(x) = x^{a−1}(1 − x)^{b−1}/B(a, b) on (0, 1). Draws are differentiable in both parameters (once).
 *
 * @remarks Draws that round to 0 or 1 are moved to the nearest number inside.
 */
export const beta = (a: ArrayLike, b: ArrayLike): Distribution => fromFamily(betaFamily, { a, b });
