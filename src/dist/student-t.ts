/** Student's t distribution. */
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { fold } from "../core/key.ts";
import { normal as normalDraws } from "../core/random/draws.ts";
import { digamma, lbeta, log1p, logRising } from "../engine/special.ts";
import { positive, real } from "./constraints.ts";
import type { Distribution } from "./distribution.ts";
import { type Family, fromFamily } from "./family.ts";
import { gammaNoise } from "./gamma-path.ts";

/** Beyond this, log(1 + w²) is 2·log w in float32, and w² is near its overflow. */
const LARGE = 1e9;

/** log(1 + w²) for w ≥ 0, without overflow. */
function log1pSquare(w: tf.Tensor): tf.Tensor {
  const large = tf.greater(w, LARGE);
  const ones = tf.onesLike(w);
  return tf.where(large, tf.mul(tf.log(tf.where(large, w, ones)), 2), log1p(tf.square(tf.where(large, ones, w))));
}

const choose = (exists: tf.Tensor, value: tf.Tensor, otherwise: number | tf.Tensor): tf.Tensor =>
  tf.where(exists, value, typeof otherwise === "number" ? tf.fill(value.shape, otherwise) : otherwise);

const studentTFamily: Family<"df" | "loc" | "scale"> = {
  family: "studentT",
  params: { df: positive, loc: real, scale: positive },
  support: real,
  logProb({ df, loc, scale }, x) {
    const z = tf.div(tf.sub(x, loc), scale);
    const tail = tf.mul(tf.mul(tf.add(df, 1), 0.5), log1pSquare(tf.div(tf.abs(z), tf.sqrt(df))));
    const constant = tf.sub(logRising(tf.mul(df, 0.5), 0.5), tf.mul(tf.log(tf.mul(df, Math.PI)), 0.5));
    return tf.sub(tf.sub(constant, tf.log(scale)), tail);
  },
  // A normal draw over the root of a gamma draw: z·√(df/2)·g^{−1/2}, g ~ Gamma(df/2).
  draw({ df, loc, scale }, d) {
    const half = tf.mul(df, 0.5);
    const log = gammaNoise(half, d, { scale: "log", key: fold(d.key, "gamma") });
    const spread = tf.exp(tf.mul(tf.sub(tf.log(half), log), 0.5));
    return tf.add(loc, tf.mul(scale, tf.mul(d.noise(normalDraws, fold(d.key, "normal")), spread)));
  },
  mean({ df, loc, scale }) {
    const value = tf.add(loc, tf.zerosLike(tf.mul(df, scale)));
    return choose(tf.greater(df, tf.onesLike(value)), value, Number.NaN);
  },
  variance({ df, loc, scale }) {
    const value = tf.add(tf.mul(tf.square(scale), tf.div(df, tf.sub(df, 2))), tf.zerosLike(loc));
    const finite = choose(tf.greater(df, tf.fill(value.shape, 2)), value, Number.POSITIVE_INFINITY);
    return choose(tf.greater(df, tf.onesLike(value)), finite, Number.NaN);
  },
  entropy({ df, scale }) {
    const half = tf.mul(df, 0.5);
    const more = tf.add(half, 0.5);
    const bend = tf.mul(more, tf.sub(digamma(more), digamma(half)));
    return tf.add(tf.add(bend, tf.log(scale)), tf.add(tf.mul(tf.log(df), 0.5), lbeta(half, tf.scalar(0.5))));
  },
};

/**
 * p(x) = Γ((ν+1)/2)/(Γ(ν/2)√(νπ)·scale) · (1 + z²/ν)^{−(ν+1)/2}, ν = df, z = (x − loc)/scale. The mean is NaN unless ν > 1; the
 * variance is infinite for 1 < ν ≤ 2 and NaN below. Draws are differentiable in all parameters (in df once).
 */
export const studentT = (df: ArrayLike, loc: ArrayLike = 0, scale: ArrayLike = 1): Distribution =>
  fromFamily(studentTFamily, { df, loc, scale });
