/**
 * The normal between two bounds. All is computed from an origin inside or at the end of the interval, where the density is
 * largest: differences of Φ would lose every digit in a tail or between near bounds.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { gaussLegendre } from "../core/numeric/gauss-legendre.ts";
import { uniform as uniformDraws } from "../core/random/draws.ts";
import { stopGradient } from "../engine/ops.ts";
import { inverseMills, log1p, ndtr, ndtri } from "../engine/special.ts";
import { checkOrder, onHost } from "./bounded.ts";
import { interval, positive, real } from "./constraints.ts";
import { within } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";
import { type DrawContext, type Family, type FamilyParams, fromFamily } from "./family.ts";

type Truncated = "loc" | "scale" | "low" | "high";

/** Of the density's logarithm below its top, what is left out of integrals: e⁻²⁴ of the mass. */
const TAIL_LOG_MASS = 24;
/** Standard deviations from the mean to that depth. */
const TAIL_DEVIATIONS = Math.sqrt(2 * TAIL_LOG_MASS);
/** An exponential over the depth, or a bell over ±REACH, is integrated to float32's precision by so many points. */
const POINTS = 32;
let rule: ReturnType<typeof gaussLegendre> | undefined;
/** Worked out when first needed: programs without truncated normals should not wait for it when they start. */
const legendre = () => {
  rule ??= gaussLegendre(POINTS);
  return rule;
};

/**
 * The interval in units t = sign·(x − origin)/scale, where the density is in proportion to exp(−r·t − t²/2), r ≥ 0: the
 * origin is the end nearest to the mean, or the mean when it lies between the bounds (then r = 0).
 */
function standardize({ loc, scale, low, high }: FamilyParams<Truncated>) {
  const below = tf.less(high, loc);
  const above = tf.greater(low, loc);
  const onSide = tf.logicalOr(below, above);
  const origin = tf.where(below, high, tf.where(above, low, loc));
  const sign = tf.where(below, tf.scalar(-1), tf.scalar(1));
  const r = tf.div(tf.abs(tf.sub(loc, origin)), scale);
  // What lies beyond these ends is nothing in float32; infinite bounds end here.
  const deepest = stopGradient(tf.div(2 * TAIL_LOG_MASS, tf.add(r, tf.sqrt(tf.add(tf.square(r), 2 * TAIL_LOG_MASS)))));
  const width = tf.div(tf.sub(high, low), scale);
  const from = tf.where(onSide, tf.zerosLike(r), tf.maximum(tf.div(tf.sub(low, loc), scale), -TAIL_DEVIATIONS));
  const to = tf.where(
    onSide,
    tf.minimum(width, deepest),
    tf.minimum(tf.div(tf.sub(high, loc), scale), TAIL_DEVIATIONS),
  );
  // Where no end was moved, the length does not depend on loc: a difference of ends would hold that as a rounding error.
  const length = tf.where(onSide, to, tf.where(tf.less(width, TAIL_DEVIATIONS), width, tf.sub(to, from)));
  return { onSide, origin, sign, r, from, to, length };
}

const exponent = (r: tf.Tensor, t: tf.Tensor): tf.Tensor => tf.neg(tf.mul(t, tf.add(r, tf.mul(0.5, t))));

/** ∫ exp(−r·t − t²/2) dt over the interval, and t at the nodes with their shares of it (last axis). */
function integrate({ r, from, length }: ReturnType<typeof standardize>) {
  const { nodes, weights } = legendre();
  const t = tf.add(tf.expandDims(from, -1), tf.mul(tf.expandDims(length, -1), tf.tensor1d(nodes)));
  const parts = tf.mul(tf.exp(exponent(tf.expandDims(r, -1), t)), tf.tensor1d(weights));
  const mean = tf.sum(parts, -1);
  return { t, shares: tf.div(parts, tf.expandDims(mean, -1)), integral: tf.mul(length, mean) };
}

/** Mean and variance of t. */
function moments(at: ReturnType<typeof standardize>) {
  const { t, shares } = integrate(at);
  const mean = tf.sum(tf.mul(shares, t), -1);
  const variance = tf.sum(tf.mul(shares, tf.square(tf.sub(t, tf.expandDims(mean, -1)))), -1);
  return { mean, variance };
}

/** Below this width of an interval around the mean its density is flat, to 1e-5. */
const NARROW_WIDTH = 0.01;
/** Below this −log of the mass that is left, the second-order solution is as good as float32 can check. */
const SERIES_BELOW = 1e-3;
const NEWTON_STEPS = 4;

/** t with r·t + t²/2 − log M(r + t)/M(r) = e, M Mills' ratio: e = −log of the share of a normal's tail from r that is above t. */
function tailQuantile(r: tf.Tensor, e: tf.Tensor): tf.Tensor {
  const hazard = (x: tf.Tensor): tf.Tensor => inverseMills(tf.neg(x));
  const h = hazard(r);
  const slope = tf.mul(h, tf.sub(h, r));
  const start = tf.div(tf.mul(2, e), tf.add(h, tf.sqrt(tf.add(tf.square(h), tf.mul(2, tf.mul(slope, e))))));
  const step = (t: tf.Tensor): tf.Tensor => {
    const there = hazard(tf.add(r, t));
    const reached = tf.add(tf.neg(exponent(r, t)), tf.log(tf.div(there, h)));
    return tf.sub(t, tf.div(tf.sub(reached, e), there));
  };
  let t = stopGradient(start);
  for (let i = 1; i < NEWTON_STEPS; i++) t = stopGradient(step(t));
  // One step from a constant that solves the equation has the derivatives of the solution.
  return tf.where(tf.less(e, SERIES_BELOW), start, step(t));
}

function draw(p: FamilyParams<Truncated>, d: DrawContext): tf.Tensor {
  const at = standardize(p);
  const { onSide, origin, sign, r, from, to, length } = at;
  const u = d.noise(uniformDraws);
  // In a tail: from the end nearest to the mean.
  const mass = tf.mul(integrate(at).integral, inverseMills(tf.neg(r)));
  const tail = tailQuantile(r, tf.neg(log1p(tf.neg(tf.mul(u, tf.minimum(mass, 1))))));
  // Around the mean: by the nearer tail of Φ.
  const left = ndtr(from);
  const right = ndtr(tf.neg(to));
  const fromLeft = tf.add(left, tf.mul(u, tf.sub(ndtr(to), left)));
  const fromRight = tf.add(right, tf.mul(tf.sub(1, u), tf.sub(ndtr(tf.neg(from)), right)));
  const inLeft = tf.less(fromLeft, fromRight);
  const half = ndtri(tf.minimum(tf.where(inLeft, fromLeft, fromRight), 0.5));
  const round = tf.where(inLeft, half, tf.neg(half));
  const flat = tf.add(from, tf.mul(u, length));
  const narrow = tf.less(length, NARROW_WIDTH);
  const t = tf.where(onSide, tail, tf.where(narrow, flat, round));
  const x = tf.add(origin, tf.mul(tf.mul(sign, p.scale), t));
  return tf.minimum(tf.maximum(x, p.low), p.high);
}

const truncatedNormalFamily: Family<Truncated> = {
  family: "truncatedNormal",
  params: { loc: real, scale: positive, low: real, high: real },
  support: ({ low, high }) => interval(onHost(low), onHost(high)),
  logProb(p, x) {
    const at = standardize(p);
    const inside = tf.logicalAnd(tf.greaterEqual(x, p.low), tf.lessEqual(x, p.high));
    const t = tf.div(tf.mul(at.sign, tf.sub(x, at.origin)), p.scale);
    return within(inside, tf.sub(exponent(at.r, t), tf.log(tf.mul(p.scale, integrate(at).integral))));
  },
  draw,
  mean(p) {
    const at = standardize(p);
    return tf.add(at.origin, tf.mul(tf.mul(at.sign, p.scale), moments(at).mean));
  },
  variance: (p) => tf.mul(tf.square(p.scale), moments(standardize(p)).variance),
  entropy(p) {
    const at = standardize(p);
    const { mean, variance } = moments(at);
    const energy = tf.add(tf.mul(at.r, mean), tf.mul(0.5, tf.add(variance, tf.square(mean))));
    return tf.add(tf.log(tf.mul(p.scale, integrate(at).integral)), energy);
  },
};

/** N(loc, scale²) given low ≤ x ≤ high; a bound may be infinite. @throws `parameter` unless low < high. */
export function truncatedNormal(loc: ArrayLike, scale: ArrayLike, low: ArrayLike, high: ArrayLike): Distribution {
  checkOrder("truncatedNormal", low, high);
  return fromFamily(truncatedNormalFamily, { loc, scale, low, high });
}
