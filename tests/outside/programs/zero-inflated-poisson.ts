/** The zero-inflated Poisson distribution: with probability `excess` a zero, else a Poisson count. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, fold } from "tilted";
import {
  type Distribution,
  type Family,
  fromFamily,
  nonNegative,
  nonNegativeInteger,
  poisson,
  unitInterval,
} from "tilted/dist";
import { broadcastPair, log1p, logSumExp } from "tilted/math";
import { poisson as poissonDraws, uniform } from "tilted/random";

const zeroInflatedPoissonFamily: Family<"rate" | "excess"> = {
  family: "zeroInflatedPoisson",
  params: { rate: nonNegative, excess: unitInterval },
  support: nonNegativeInteger,
  discrete: true,
  // log((1 − π)Poisson(k; λ)), and at zero log(π + (1 − π)e^{−λ}).
  logProb({ rate, excess }, k) {
    const [counted, inflated] = broadcastPair(tf.add(poisson(rate).logProb(k), log1p(tf.neg(excess))), tf.log(excess));
    return tf.where(tf.equal(k, 0), logSumExp(tf.stack([counted, inflated]), 0), counted);
  },
  draw({ rate, excess }, d) {
    const counts = tf.tensor(poissonDraws(fold(d.key, "count"), d.values(rate), d.size, d.offset), [...d.shape]);
    return tf.mul(counts, tf.cast(tf.greaterEqual(d.noise(uniform, fold(d.key, "zero")), excess), "float32"));
  },
  mean: ({ rate, excess }) => tf.mul(tf.sub(1, excess), rate),
  variance: ({ rate, excess }) => tf.mul(tf.mul(tf.sub(1, excess), rate), tf.add(1, tf.mul(excess, rate))),
};

/** P(0) = π + (1 − π)e^{−λ} and P(k) = (1 − π)λᵏe^{−λ}/k!, λ the rate and π the excess of zeros. */
export const zeroInflatedPoisson = (rate: ArrayLike, excess: ArrayLike): Distribution =>
  fromFamily(zeroInflatedPoissonFamily, { rate, excess });
