/** The constraints of this library. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { type Shape, sizeOf } from "../core/shape.ts";
import { stopGradient } from "../engine/ops.ts";
import {
  affine,
  compose,
  expBijection,
  identity,
  lowerCholeskyBijection,
  overAxes,
  sigmoidBijection,
  softplusBijection,
  stickBreaking,
} from "./bijections.ts";
import type { Bijection, Constraint } from "./constraint.ts";

const filled = (value: number) => (shape: Shape) => tf.fill([...shape], value);
const noNaN = (x: tf.Tensor): tf.Tensor => tf.logicalNot(tf.isNaN(x));
const isInteger = (x: tf.Tensor): tf.Tensor => tf.logicalAnd(tf.isFinite(x), tf.equal(x, tf.floor(x)));
const all = (...checks: tf.Tensor[]): tf.Tensor => checks.reduce((a, b) => tf.logicalAnd(a, b));

const continuous = (
  name: string,
  check: (x: tf.Tensor) => tf.Tensor,
  bijection: () => Bijection,
  example: (shape: Shape) => tf.Tensor,
  eventRank = 0,
): Constraint => ({ name, eventRank, discrete: false, check, bijection, example });

const discrete = (name: string, check: (x: tf.Tensor) => tf.Tensor, eventRank = 0): Constraint => ({
  name,
  eventRank,
  discrete: true,
  check,
  bijection: () => fail("unsupported", `${name} is discrete: there is no bijection from the reals`),
  example: filled(0),
});

const asFloat = (x: tf.Tensor): tf.Tensor => tf.cast(x, "float32");

/** Any number; NaN is none. */
export const real = continuous("real", noNaN, () => identity, filled(0));
/** Any number but the infinities. */
export const finite = continuous(
  "finite",
  (x) => tf.isFinite(x),
  () => identity,
  filled(0),
);
/** x > 0. */
export const positive = continuous(
  "positive",
  (x) => tf.greater(x, 0),
  () => expBijection,
  filled(1),
);
/** x > 0, mapped by softplus: for parameters that may grow large. */
export const softplusPositive = continuous(
  "positive",
  (x) => tf.greater(x, 0),
  () => softplusBijection,
  filled(1),
);
/** x ≥ 0. */
export const nonNegative = continuous(
  "non-negative",
  (x) => tf.greaterEqual(x, 0),
  () => expBijection,
  filled(1),
);
/** 0 < x < 1. */
export const unitInterval = continuous(
  "in (0, 1)",
  (x) => all(tf.greater(x, 0), tf.less(x, 1)),
  () => sigmoidBijection,
  filled(0.5),
);
/** 0 ≤ x ≤ 1: probabilities, and grey values. */
export const closedUnitInterval = continuous(
  "in [0, 1]",
  (x) => all(tf.greaterEqual(x, 0), tf.lessEqual(x, 1)),
  () => sigmoidBijection,
  filled(0.5),
);

const show = (x: ArrayLike): string => (typeof x === "number" ? String(x) : "…");

/** Which side of an interval is bounded, for all of its entries alike. */
function sidesOf(low: tf.Tensor, high: tf.Tensor): "both" | "low" | "high" | "none" {
  const [a, b] = [low, high].map((x) => [...tf.isFinite(x).dataSync()].map(Boolean)) as [boolean[], boolean[]];
  if ([a, b].some((finite) => finite.some((f) => f !== finite[0]))) {
    return fail("unsupported", "interval: entries with and without infinite bounds need sites of their own");
  }
  return a[0] ? (b[0] ? "both" : "low") : b[0] ? "high" : "none";
}

/** Rounding may lead beyond a bound by a unit in the last place. */
const kept = (bijection: Bijection, low: tf.Tensor, high: tf.Tensor): Bijection => ({
  ...bijection,
  forward(x) {
    const y = bijection.forward(x);
    return tf.add(y, stopGradient(tf.sub(tf.minimum(tf.maximum(y, low), high), y)));
  },
});

/** low ≤ x ≤ high; a bound may be infinite. */
export function interval(low: ArrayLike, high: ArrayLike): Constraint {
  // Made when asked: a constraint may outlive the scope it was written in.
  const [a, b] = [() => toTensor(low), () => toTensor(high)];
  return continuous(
    `in [${show(low)}, ${show(high)}]`,
    (x) => all(tf.greaterEqual(x, a()), tf.lessEqual(x, b())),
    () =>
      ({
        both: () => kept(compose(affine(a(), tf.sub(b(), a())), sigmoidBijection), a(), b()),
        low: () => greaterThan(low).bijection(),
        high: () => lessThan(high).bijection(),
        none: () => identity,
      })[sidesOf(a(), b())](),
    (shape) => {
      const [from, to] = [a(), b()];
      const middle = tf.add(tf.mul(from, 0.5), tf.mul(to, 0.5));
      // Inside of a half-line, or of all numbers: a step from the bound that float32 notices.
      const above = tf.add(from, tf.maximum(1, tf.mul(tf.abs(from), 1e-3)));
      const below = tf.sub(to, tf.maximum(1, tf.mul(tf.abs(to), 1e-3)));
      const oneSided = tf.where(tf.isFinite(from), above, tf.where(tf.isFinite(to), below, tf.zerosLike(middle)));
      return tf.broadcastTo(tf.where(tf.isFinite(middle), middle, oneSided), [...shape]);
    },
  );
}

/** x ≥ low. */
export function greaterThan(low: ArrayLike): Constraint {
  const a = () => toTensor(low);
  return continuous(
    `greater than ${show(low)}`,
    (x) => tf.greaterEqual(x, a()),
    () => compose(affine(a(), 1), expBijection),
    (shape) => tf.broadcastTo(tf.add(a(), 1), [...shape]),
  );
}

/** x ≤ high. */
export function lessThan(high: ArrayLike): Constraint {
  const b = () => toTensor(high);
  return continuous(
    `less than ${show(high)}`,
    (x) => tf.lessEqual(x, b()),
    () => compose(affine(b(), -1), expBijection),
    (shape) => tf.broadcastTo(tf.sub(b(), 1), [...shape]),
  );
}

/** How far the entries of a simplex may sum from 1, in float32. */
const SIMPLEX_SLACK = 1e-4;

/** Non-negative entries on the last axis that sum to 1. */
export const simplex = continuous(
  "on the simplex",
  (x) => all(tf.all(tf.greaterEqual(x, 0), -1), tf.less(tf.abs(tf.sub(tf.sum(x, -1), 1)), SIMPLEX_SLACK)),
  () => stickBreaking,
  (shape) => tf.fill([...shape], 1 / (shape[shape.length - 1] ?? 1)),
  1,
);

/** Lower triangular `[d, d]` matrices with a positive diagonal. */
export const lowerCholesky: Constraint = continuous(
  "a lower Cholesky factor",
  (x) => {
    const d = x.shape[x.rank - 1] as number;
    const upper = tf.linalg.bandPart(tf.ones([d, d]), 0, -1);
    const strictlyUpper = tf.sub(upper, tf.eye(d));
    const diagonal = tf.sum(tf.mul(x, tf.eye(d)), -1);
    const above = tf.sum(tf.abs(tf.mul(x, strictlyUpper)), [x.rank - 2, x.rank - 1]);
    return all(tf.all(tf.greater(diagonal, 0), -1), tf.equal(above, 0));
  },
  () => lowerCholeskyBijection,
  (shape) => tf.broadcastTo(tf.eye(shape[shape.length - 1] ?? 1), [...shape]),
  2,
);

/** 0 or 1. */
export const boolean = discrete("0 or 1", (x) => tf.logicalOr(tf.equal(asFloat(x), 0), tf.equal(asFloat(x), 1)));
/** 0, 1, 2, …. */
export const nonNegativeInteger = discrete("a non-negative integer", (x) =>
  all(isInteger(asFloat(x)), tf.greaterEqual(asFloat(x), 0)),
);

/** low, low + 1, …, high. */
export function integerInterval(low: number, high: ArrayLike): Constraint {
  const b = () => toTensor(high);
  return {
    ...discrete(`an integer from ${low} to ${show(high)}`, (x) =>
      all(isInteger(asFloat(x)), tf.greaterEqual(asFloat(x), low), tf.lessEqual(asFloat(x), asFloat(b()))),
    ),
    example: filled(low),
  };
}

/** A row of zeros with a single one, on the last axis. */
export const oneHot: Constraint = {
  ...discrete(
    "one-hot",
    (x) =>
      all(
        tf.all(tf.logicalOr(tf.equal(asFloat(x), 0), tf.equal(asFloat(x), 1)), -1),
        tf.equal(tf.sum(asFloat(x), -1), 1),
      ),
    1,
  ),
  example: (shape) => {
    const k = shape[shape.length - 1] as number;
    const first = tf.cast(tf.oneHot(tf.scalar(0, "int32"), k), "float32");
    return sizeOf(shape) === 0 ? tf.zeros([...shape]) : tf.broadcastTo(first, [...shape]);
  },
};

/** A constraint on every entry, where the last `n` batch axes make one value. */
export const independent = (constraint: Constraint, n: number): Constraint =>
  n === 0
    ? constraint
    : {
        ...constraint,
        eventRank: constraint.eventRank + n,
        check: (x) => {
          const inside = constraint.check(x);
          return tf.all(
            tf.cast(inside, "bool"),
            Array.from({ length: n }, (_, i) => inside.rank - n + i),
          );
        },
        bijection: () => overAxes(constraint.bijection(), n),
      };
