/** Bijections from the reals: each with its inverse and the logarithm of its Jacobian determinant. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";
import { type Shape, showShape, sizeOf } from "../core/shape.ts";
import { softplus, stopGradient } from "../engine/ops.ts";
import { expm1, log1p } from "../engine/special.ts";
import type { Bijection } from "./constraint.ts";

const sameShape = (shape: Shape): Shape => shape;

const elementwise = (
  name: string,
  forward: (x: tf.Tensor) => tf.Tensor,
  inverse: (y: tf.Tensor) => tf.Tensor,
  logAbsDet: (x: tf.Tensor, y: tf.Tensor) => tf.Tensor,
): Bijection => ({ name, eventRank: 0, forward, inverse, logAbsDet, unconstrainedShape: sameShape });

/** y = x. */
export const identity: Bijection = elementwise(
  "identity",
  (x) => x,
  (y) => y,
  (x) => tf.zerosLike(x),
);

/** y = eˣ, onto the positive numbers. */
export const expBijection: Bijection = elementwise("exp", tf.exp, tf.log, (x) => x);

/** y = log(1 + eˣ), onto the positive numbers: nearly the identity for large x. */
export const softplusBijection: Bijection = elementwise(
  "softplus",
  softplus,
  // x = y + log(1 − e^{−y}).
  (y) => tf.add(y, tf.log(tf.neg(expm1(tf.neg(y))))),
  (x) => tf.neg(softplus(tf.neg(x))),
);

/** y = σ(x), onto (0, 1). */
export const sigmoidBijection: Bijection = elementwise(
  "sigmoid",
  tf.sigmoid,
  (y) => tf.sub(tf.log(y), log1p(tf.neg(y))),
  (x) => tf.neg(tf.add(softplus(x), softplus(tf.neg(x)))),
);

/** y = loc + scale·x. The scale may be negative, but not zero. */
export const affine = (loc: tf.Tensor | number, scale: tf.Tensor | number): Bijection => ({
  ...elementwise(
    "affine",
    (x) => tf.add(loc, tf.mul(scale, x)),
    (y) => tf.div(tf.sub(y, loc), scale),
    (x) => tf.add(tf.zerosLike(x), tf.log(tf.abs(scale))),
  ),
  detach: () => affine(constant(loc), constant(scale)),
});

const constant = (x: tf.Tensor | number): tf.Tensor | number => (typeof x === "number" ? x : stopGradient(x));

/** The same map with gradients stopped at its parameters. */
export const detachBijection = (bijection: Bijection): Bijection => bijection.detach?.() ?? bijection;

/**
 * R^{k−1} onto the simplex of k entries by stick breaking: y_i = v_i Π_{j<i}(1 − v_j), v_i = σ(x_i − log(k − i)), so that x = 0 is
 * the centre. (Stan reference manual.)
 */
export const stickBreaking: Bijection = {
  name: "stick-breaking",
  eventRank: 1,
  forward(x) {
    const centred = tf.sub(x, offsets(x.shape[x.rank - 1] as number));
    // log v and log(1 − v), and what is left of the stick before each break.
    const logV = tf.neg(softplus(tf.neg(centred)));
    const logRest = tf.cumsum(tf.neg(softplus(centred)), x.rank - 1);
    const pad = tf.zeros([...x.shape.slice(0, -1), 1]);
    const before = tf.concat([pad, logRest], x.rank - 1);
    return tf.exp(tf.add(before, tf.concat([logV, pad], x.rank - 1)));
  },
  inverse(y) {
    const k = (y.shape[y.rank - 1] as number) - 1;
    const head = tf.slice(
      y,
      y.shape.map(() => 0),
      [...y.shape.slice(0, -1), k],
    );
    // Sum what is left from the far end: subtracting from 1 would lose the small entries.
    const tail = tf.cumsum(y, y.rank - 1, true, true);
    const rest = tf.slice(
      tail,
      y.shape.map(() => 0),
      [...y.shape.slice(0, -1), k],
    );
    return tf.add(tf.sub(tf.log(head), tf.log(rest)), offsets(k));
  },
  logAbsDet(x) {
    const centred = tf.sub(x, offsets(x.shape[x.rank - 1] as number));
    const logRest = tf.cumsum(tf.neg(softplus(centred)), x.rank - 1, true);
    const each = tf.sub(logRest, tf.add(softplus(centred), softplus(tf.neg(centred))));
    return tf.sum(each, -1);
  },
  unconstrainedShape: (shape) => [...shape.slice(0, -1), (shape[shape.length - 1] as number) - 1],
};

/** log(k − i) for the i-th of k breaks. */
const offsets = (k: number): tf.Tensor => tf.tensor1d(Float32Array.from({ length: k }, (_, i) => Math.log(k - i)));

/** Order of the triangle with so many entries. */
function orderOf(entries: number): number {
  const d = (Math.sqrt(8 * entries + 1) - 1) / 2;
  if (!Number.isInteger(d)) fail("shape", `lower Cholesky: ${entries} free numbers fill no triangle`);
  return d;
}

/** Places of the lower triangle, row by row, as `[d(d+1)/2, d²]` zeros and ones: a product spreads a vector over a matrix. */
function triangle(d: number): tf.Tensor2D {
  const rows: number[] = [];
  for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) rows.push(i * d + j);
  // As integers first: a float32 tf.oneHot of the wasm engine holds the bits of integers.
  return tf.cast(tf.oneHot(tf.tensor1d(rows, "int32"), d * d), "float32") as tf.Tensor2D;
}

/** Which free numbers lie on the diagonal, `[d(d+1)/2]`. */
const onDiagonal = (d: number): tf.Tensor =>
  tf.tensor1d(Float32Array.from({ length: (d * (d + 1)) / 2 }, (_, n) => (isTriangular(n + 1) ? 1 : 0)));
const isTriangular = (n: number): boolean => Number.isInteger((Math.sqrt(8 * n + 1) - 1) / 2);

/** R^{d(d+1)/2} onto lower triangular `[d, d]` matrices with positive diagonal: rows in order, the diagonal through exp. */
export const lowerCholeskyBijection: Bijection = {
  name: "lower-cholesky",
  eventRank: 1,
  forward(x) {
    const n = x.shape[x.rank - 1] as number;
    const d = orderOf(n);
    const diagonal = onDiagonal(d);
    const entries = tf.where(tf.cast(diagonal, "bool"), tf.exp(tf.mul(x, diagonal)), x);
    const flat = tf.reshape(entries, [-1, n]) as tf.Tensor2D;
    return tf.reshape(tf.matMul(flat, triangle(d)), [...x.shape.slice(0, -1), d, d]);
  },
  inverse(y) {
    const d = y.shape[y.rank - 1] as number;
    const flat = tf.reshape(y, [-1, d * d]) as tf.Tensor2D;
    const entries = tf.matMul(flat, triangle(d), false, true);
    const diagonal = tf.cast(onDiagonal(d), "bool");
    const safe = tf.where(diagonal, entries, tf.onesLike(entries));
    const x = tf.where(diagonal, tf.log(safe), entries);
    return tf.reshape(x, [...y.shape.slice(0, -2), (d * (d + 1)) / 2]);
  },
  logAbsDet: (x) => tf.sum(tf.mul(x, onDiagonal(orderOf(x.shape[x.rank - 1] as number))), -1),
  unconstrainedShape: (shape) => {
    const d = shape[shape.length - 1] as number;
    return [...shape.slice(0, -2), (d * (d + 1)) / 2];
  },
};

/** First `inner`, then `outer`: y = outer(inner(x)). Both elementwise, or of the same event rank. */
export function compose(outer: Bijection, inner: Bijection): Bijection {
  const eventRank = Math.max(outer.eventRank, inner.eventRank);
  const reduce = (x: tf.Tensor, from: Bijection): tf.Tensor => {
    const extra = eventRank - from.eventRank;
    return extra === 0 ? x : sumLast(x, extra);
  };
  return {
    name: `${outer.name} ∘ ${inner.name}`,
    eventRank,
    forward: (x) => outer.forward(inner.forward(x)),
    inverse: (y) => inner.inverse(outer.inverse(y)),
    logAbsDet(x, y) {
      const middle = inner.forward(x);
      return tf.add(reduce(inner.logAbsDet(x, middle), inner), reduce(outer.logAbsDet(middle, y), outer));
    },
    unconstrainedShape: (shape) => inner.unconstrainedShape(outer.unconstrainedShape(shape)),
    detach: () => compose(detachBijection(outer), detachBijection(inner)),
  };
}

/**
 * The inverse of a bijection as one: x from y.
 *
 * @throws `unsupported` for bijections that change the shape.
 */
export function invert(bijection: Bijection): Bijection {
  const name = `inverse of ${bijection.name}`;
  return {
    name,
    eventRank: bijection.eventRank,
    forward: bijection.inverse,
    inverse: bijection.forward,
    logAbsDet: (y, x) => tf.neg(bijection.logAbsDet(x, y)),
    unconstrainedShape(shape) {
      const back = bijection.unconstrainedShape(shape);
      if (sizeOf(back) !== sizeOf(shape)) fail("unsupported", `${name} changes the shape ${showShape(shape)}`);
      return shape;
    },
    detach: () => invert(detachBijection(bijection)),
  };
}

/** A bijection over `n` more event axes: the log-determinants are summed over them. */
export const overAxes = (bijection: Bijection, n: number): Bijection =>
  n === 0
    ? bijection
    : {
        ...bijection,
        eventRank: bijection.eventRank + n,
        logAbsDet: (x, y) => sumLast(bijection.logAbsDet(x, y), n),
        detach: () => overAxes(detachBijection(bijection), n),
      };

/** Sums the last `n` axes. */
export const sumLast = (x: tf.Tensor, n: number): tf.Tensor =>
  n === 0
    ? x
    : tf.sum(
        x,
        Array.from({ length: n }, (_, i) => x.rank - n + i),
      );
