/** Families of location and scale, and their halves: normal, Laplace, logistic, Cauchy, log-normal. */
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { HALF_LOG_2PI } from "../core/numeric/elementary.ts";
import { normal as normalDraws, uniform as uniformDraws } from "../core/random/draws.ts";
import { affine } from "../engine/affine.ts";
import { softplus } from "../engine/ops.ts";
import { log1p } from "../engine/special.ts";
import { nonNegative, positive, real } from "./constraints.ts";
import type { Distribution } from "./distribution.ts";
import { type DrawContext, type Family, fromFamily } from "./family.ts";

const locScale = { loc: real, scale: positive };
type LocScale = "loc" | "scale";
const standardize = (x: tf.Tensor, { loc, scale }: { loc: tf.Tensor; scale: tf.Tensor }): tf.Tensor =>
  tf.div(tf.sub(x, loc), scale);
/** −∞ where the value lies outside, with a finite gradient inside. */
export const within = (inside: tf.Tensor, logProb: tf.Tensor): tf.Tensor =>
  tf.where(inside, logProb, tf.fill(logProb.shape, Number.NEGATIVE_INFINITY));
/** log(1 + z²) without overflow of the square, and smooth everywhere. */
const log1pSquare = (z: tf.Tensor): tf.Tensor => {
  const a = tf.abs(z);
  const near = tf.less(a, LARGE);
  const small = tf.where(near, z, tf.fill(z.shape, LARGE));
  const excess = tf.where(near, tf.ones(z.shape), tf.div(a, LARGE));
  return tf.add(log1p(tf.square(small)), tf.mul(2, tf.log(excess)));
};
/** Beyond this log(1 + z²) is 2 log |z| in float32. */
const LARGE = 1e5;

const normalFamily: Family<LocScale> = {
  family: "normal",
  params: locScale,
  support: real,
  logProb(p, x) {
    // Four passes over the value: the half of z²/2 and the constants are left to the scale, which is often smaller.
    const half = tf.square(tf.div(tf.sub(x, p.loc), tf.mul(p.scale, Math.SQRT2)));
    return tf.sub(tf.sub(-HALF_LOG_2PI, tf.log(p.scale)), half);
  },
  draw: (p, d) => affine(p.loc, p.scale, d.noise(normalDraws)),
  mean: (p) => p.loc,
  variance: (p) => tf.square(p.scale),
  entropy: (p) => tf.add(tf.log(p.scale), HALF_LOG_2PI + 0.5),
};

/** N(loc, scale²): p(x) = exp(−z²/2)/(scale·√2π), z = (x − loc)/scale. */
export const normal = (loc: ArrayLike, scale: ArrayLike): Distribution => fromFamily(normalFamily, { loc, scale });

const halfNormalFamily: Family<"scale"> = {
  family: "halfNormal",
  params: { scale: positive },
  support: nonNegative,
  logProb: (p, x) =>
    within(
      tf.greaterEqual(x, 0),
      tf.sub(tf.mul(-0.5, tf.square(tf.div(x, p.scale))), tf.add(tf.log(p.scale), HALF_LOG_2PI - Math.LN2)),
    ),
  draw: (p, d) => tf.mul(p.scale, tf.abs(d.noise(normalDraws))),
  mean: (p) => tf.mul(p.scale, Math.sqrt(2 / Math.PI)),
  variance: (p) => tf.mul(tf.square(p.scale), 1 - 2 / Math.PI),
  entropy: (p) => tf.add(tf.log(p.scale), HALF_LOG_2PI + 0.5 - Math.LN2),
};

/** |X| for X ~ N(0, scale²), on x ≥ 0. */
export const halfNormal = (scale: ArrayLike): Distribution => fromFamily(halfNormalFamily, { scale });

const logNormalFamily: Family<LocScale> = {
  family: "logNormal",
  params: locScale,
  support: positive,
  logProb(p, x) {
    const inside = tf.greater(x, 0);
    const logX = tf.log(tf.where(inside, x, tf.onesLike(x)));
    return within(inside, tf.sub(normalFamily.logProb(p, logX), logX));
  },
  draw: (p, d) => tf.exp(normalFamily.draw(p, d)),
  mean: (p) => tf.exp(tf.add(p.loc, tf.div(tf.square(p.scale), 2))),
  variance: (p) => tf.mul(tf.expm1(tf.square(p.scale)), tf.exp(tf.add(tf.mul(2, p.loc), tf.square(p.scale)))),
  entropy: (p) => tf.add(tf.add(tf.log(p.scale), p.loc), HALF_LOG_2PI + 0.5),
};

/** e^X for X ~ N(loc, scale²), on x > 0. */
export const logNormal = (loc: ArrayLike, scale: ArrayLike): Distribution =>
  fromFamily(logNormalFamily, { loc, scale });

/** tan(π(u − ½)), a standard Cauchy draw, as ∓cot πv from the near end v = min(u, 1 − u): the far tail keeps its digits. */
const cauchyNoise = (d: DrawContext): tf.Tensor => {
  const u = d.noise(uniformDraws);
  const size = tf.reciprocal(tf.tan(tf.mul(Math.PI, tf.minimum(u, tf.sub(1, u)))));
  return tf.where(tf.less(u, 0.5), tf.neg(size), size);
};

const cauchyFamily: Family<LocScale> = {
  family: "cauchy",
  params: locScale,
  support: real,
  logProb: (p, x) => tf.neg(tf.add(tf.add(log1pSquare(standardize(x, p)), tf.log(p.scale)), Math.log(Math.PI))),
  draw: (p, d) => tf.add(p.loc, tf.mul(p.scale, cauchyNoise(d))),
  entropy: (p) => tf.add(tf.log(p.scale), Math.log(4 * Math.PI)),
};

/** p(x) = 1/(π·scale·(1 + z²)). It has no mean and no variance. */
export const cauchy = (loc: ArrayLike, scale: ArrayLike): Distribution => fromFamily(cauchyFamily, { loc, scale });

const halfCauchyFamily: Family<"scale"> = {
  family: "halfCauchy",
  params: { scale: positive },
  support: nonNegative,
  logProb: (p, x) =>
    within(
      tf.greaterEqual(x, 0),
      tf.neg(tf.add(tf.add(log1pSquare(tf.div(x, p.scale)), tf.log(p.scale)), Math.log(Math.PI / 2))),
    ),
  draw: (p, d) => tf.mul(p.scale, tf.abs(cauchyNoise(d))),
  entropy: (p) => tf.add(tf.log(p.scale), Math.log(2 * Math.PI)),
};

/** |X| for X ~ Cauchy(0, scale), on x ≥ 0. */
export const halfCauchy = (scale: ArrayLike): Distribution => fromFamily(halfCauchyFamily, { scale });

const laplaceFamily: Family<LocScale> = {
  family: "laplace",
  params: locScale,
  support: real,
  logProb: (p, x) => tf.neg(tf.add(tf.abs(standardize(x, p)), tf.add(tf.log(p.scale), Math.LN2))),
  draw(p, d) {
    // ±log of a uniform: u below ½ gives log 2u, above it −log 2(1 − u).
    const u = d.noise(uniformDraws);
    const low = tf.less(u, 0.5);
    const tail = tf.minimum(u, tf.sub(1, u));
    const log = tf.log(tf.mul(2, tail));
    return tf.add(p.loc, tf.mul(p.scale, tf.where(low, log, tf.neg(log))));
  },
  mean: (p) => p.loc,
  variance: (p) => tf.mul(2, tf.square(p.scale)),
  entropy: (p) => tf.add(tf.log(p.scale), 1 + Math.LN2),
};

/** p(x) = exp(−|z|)/(2·scale). */
export const laplace = (loc: ArrayLike, scale: ArrayLike): Distribution => fromFamily(laplaceFamily, { loc, scale });

const logisticFamily: Family<LocScale> = {
  family: "logistic",
  params: locScale,
  support: real,
  logProb(p, x) {
    const z = standardize(x, p);
    return tf.neg(tf.add(tf.add(z, tf.mul(2, softplus(tf.neg(z)))), tf.log(p.scale)));
  },
  draw(p, d) {
    const u = d.noise(uniformDraws);
    return tf.add(p.loc, tf.mul(p.scale, tf.sub(tf.log(u), log1p(tf.neg(u)))));
  },
  mean: (p) => p.loc,
  variance: (p) => tf.mul(Math.PI ** 2 / 3, tf.square(p.scale)),
  entropy: (p) => tf.add(tf.log(p.scale), 2),
};

/** p(x) = e^{−z}/(scale·(1 + e^{−z})²). */
export const logistic = (loc: ArrayLike, scale: ArrayLike): Distribution => fromFamily(logisticFamily, { loc, scale });
