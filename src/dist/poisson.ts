/** The Poisson distribution. */
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { poisson as poissonDraws } from "../core/random/rejection.ts";
import { broadcastPair } from "../engine/smooth.ts";
import { logRatioGap, stirlingCorrection } from "../engine/special.ts";
import { nonNegative, nonNegativeInteger } from "./constraints.ts";
import { within } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";
import { type Family, fromFamily } from "./family.ts";
import { isCount } from "./geometric.ts";

const poissonFamily: Family<"rate"> = {
  family: "poisson",
  params: { rate: nonNegative },
  support: nonNegativeInteger,
  discrete: true,
  // k log λ − λ − log k! in Loader's form, whose terms are of the size of the result.
  logProb(params, value) {
    const [rate, k] = broadcastPair(params.rate, value);
    const some = tf.greaterEqual(k, 1);
    const count = tf.where(some, k, tf.onesLike(k));
    const safe = tf.where(some, rate, tf.onesLike(rate));
    const root = tf.mul(tf.log(tf.mul(count, 2 * Math.PI)), 0.5);
    const positive = tf.sub(tf.mul(count, logRatioGap(safe, count)), tf.add(root, stirlingCorrection(count)));
    return within(isCount(k), tf.where(some, positive, tf.neg(rate)));
  },
  draw: ({ rate }, d) => tf.tensor(poissonDraws(d.key, d.values(rate), d.size, d.offset), [...d.shape], "float32"),
  mean: ({ rate }) => rate,
  variance: ({ rate }) => rate,
};

/** P(k) = λᵏe^{−λ}/k!, λ the rate. */
export const poisson = (rate: ArrayLike): Distribution => fromFamily(poissonFamily, { rate });
