/** Continuous families on part of the line: uniform, exponential, truncated normal. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, fromTensor, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { exponential as exponentialDraws, uniform as uniformDraws } from "../core/random/draws.ts";
import { log1mexp, logNdtr, ndtr, ndtri } from "../engine/special.ts";
import { interval, nonNegative, positive, real } from "./constraints.ts";
import { within } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";
import { build, type Family, type Params } from "./family.ts";

/** Refuses bounds that are not in order. */
function checkOrder(family: string, low: ArrayLike, high: ArrayLike): void {
  const ordered = tf.tidy(() => tf.min(tf.cast(tf.less(toTensor(low), toTensor(high)), "int32")).dataSync()[0]);
  if (ordered === 0) {
    const show = (x: ArrayLike) => (typeof x === "number" ? x : `[${Array.from(toTensor(x).dataSync()).slice(0, 8)}]`);
    tf.tidy(() => fail("parameter", `${family}: low must be less than high, got ${show(low)} and ${show(high)}`));
  }
}

/** A copy outside the engine: a support may outlive the scope of the parameters it came from. */
const onHost = (x: tf.Tensor): ArrayLike => (x.rank === 0 ? (x.dataSync()[0] as number) : fromTensor(x));

const uniformFamily: Family<"low" | "high"> = {
  family: "uniform",
  params: { low: real, high: real },
  support: ({ low, high }) => interval(onHost(low), onHost(high)),
  logProb({ low, high }, x) {
    const inside = tf.logicalAnd(tf.greaterEqual(x, low), tf.lessEqual(x, high));
    return within(inside, tf.add(tf.zerosLike(x), tf.neg(tf.log(tf.sub(high, low)))));
  },
  draw: ({ low, high }, d) => tf.add(low, tf.mul(tf.sub(high, low), d.noise(uniformDraws))),
  mean: ({ low, high }) => tf.div(tf.add(low, high), 2),
  variance: ({ low, high }) => tf.div(tf.square(tf.sub(high, low)), 12),
  entropy: ({ low, high }) => tf.log(tf.sub(high, low)),
};

/** p(x) = 1/(high − low) on [low, high]. @throws `parameter` unless low < high. */
export function uniform(low: ArrayLike, high: ArrayLike): Distribution {
  checkOrder("uniform", low, high);
  return build(uniformFamily, { low, high });
}

const exponentialFamily: Family<"rate"> = {
  family: "exponential",
  params: { rate: positive },
  support: nonNegative,
  logProb: ({ rate }, x) => within(tf.greaterEqual(x, 0), tf.sub(tf.log(rate), tf.mul(rate, x))),
  draw: ({ rate }, d) => tf.div(d.noise(exponentialDraws), rate),
  mean: ({ rate }) => tf.reciprocal(rate),
  variance: ({ rate }) => tf.reciprocal(tf.square(rate)),
  entropy: ({ rate }) => tf.sub(1, tf.log(rate)),
};

/** p(x) = rate·exp(−rate·x) on x ≥ 0. */
export const exponential = (rate: ArrayLike): Distribution => build(exponentialFamily, { rate });

type Truncated = "loc" | "scale" | "low" | "high";
const LOG_SQRT_2PI = 0.5 * Math.log(2 * Math.PI);

/** Standardised bounds, reflected where both lie above the mean: differences of Φ keep their digits in the lower tail only. */
function bounds({ loc, scale, low, high }: Params<Truncated>) {
  const a = tf.div(tf.sub(low, loc), scale);
  const b = tf.div(tf.sub(high, loc), scale);
  const flip = tf.greater(a, 0);
  return {
    a,
    b,
    flip,
    below: tf.where(flip, tf.neg(b), a),
    above: tf.where(flip, tf.neg(a), b),
  };
}

/** log(Φ(b) − Φ(a)) = log Φ(b) + log(1 − exp(log Φ(a) − log Φ(b))). */
function logMass(p: Params<Truncated>): tf.Tensor {
  const { below, above } = bounds(p);
  const logAbove = logNdtr(above);
  return tf.add(logAbove, log1mexp(tf.sub(logNdtr(below), logAbove)));
}

const density = (z: tf.Tensor): tf.Tensor => tf.exp(tf.sub(tf.mul(-0.5, tf.square(z)), LOG_SQRT_2PI));

/** (φ(a) − φ(b))/Z and (aφ(a) − bφ(b))/Z, the corrections to mean and variance. */
function corrections(p: Params<Truncated>) {
  const { a, b } = bounds(p);
  const mass = tf.exp(logMass(p));
  // An infinite bound contributes nothing: ∞·φ(∞) = 0.
  const times = (z: tf.Tensor) => tf.where(tf.isFinite(z), tf.mul(z, density(z)), tf.zerosLike(z));
  return {
    first: tf.div(tf.sub(density(a), density(b)), mass),
    second: tf.div(tf.sub(times(a), times(b)), mass),
    mass,
  };
}

const truncatedNormalFamily: Family<Truncated> = {
  family: "truncatedNormal",
  params: { loc: real, scale: positive, low: real, high: real },
  support: ({ low, high }) => interval(onHost(low), onHost(high)),
  logProb(p, x) {
    const z = tf.div(tf.sub(x, p.loc), p.scale);
    const inside = tf.logicalAnd(tf.greaterEqual(x, p.low), tf.lessEqual(x, p.high));
    const free = tf.sub(tf.mul(-0.5, tf.square(z)), tf.add(tf.log(p.scale), LOG_SQRT_2PI));
    return within(inside, tf.sub(free, logMass(p)));
  },
  draw(p, d) {
    const { below, above, flip } = bounds(p);
    const u = d.noise(uniformDraws);
    const from = ndtr(below);
    const z = ndtri(tf.add(from, tf.mul(u, tf.sub(ndtr(above), from))));
    const x = tf.add(p.loc, tf.mul(p.scale, tf.where(flip, tf.neg(z), z)));
    return tf.minimum(tf.maximum(x, p.low), p.high);
  },
  mean: (p) => tf.add(p.loc, tf.mul(p.scale, corrections(p).first)),
  variance(p) {
    const { first, second } = corrections(p);
    return tf.mul(tf.square(p.scale), tf.sub(tf.add(1, second), tf.square(first)));
  },
  entropy(p) {
    const { second } = corrections(p);
    return tf.add(tf.add(tf.add(LOG_SQRT_2PI + 0.5, tf.log(p.scale)), logMass(p)), tf.div(second, 2));
  },
};

/** N(loc, scale²) given low ≤ x ≤ high; a bound may be infinite. @throws `parameter` unless low < high. */
export function truncatedNormal(loc: ArrayLike, scale: ArrayLike, low: ArrayLike, high: ArrayLike): Distribution {
  checkOrder("truncatedNormal", low, high);
  return build(truncatedNormalFamily, { loc, scale, low, high });
}
