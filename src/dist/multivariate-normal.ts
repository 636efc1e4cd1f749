/** The multivariate normal distribution: diagonal, or full by the Cholesky factor of its covariance. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { HALF_LOG_2PI } from "../core/numeric/elementary.ts";
import { normal as normalDraws } from "../core/random/draws.ts";
import { broadcastShapes, showShape } from "../core/shape.ts";
import { checkAll } from "../core/tracing.ts";
import { cholesky, diagonal, triangularInverse } from "../engine/linalg.ts";
import { broadcastTo } from "../engine/smooth.ts";
import { independent, lowerCholesky, positive, real } from "./constraints.ts";
import type { Distribution } from "./distribution.ts";
import { type Family, fromFamily } from "./family.ts";

const vector = independent(real, 1);

const diagonalFamily: Family<"loc" | "scaleDiag"> = {
  family: "multivariateNormal",
  params: { loc: vector, scaleDiag: independent(positive, 1) },
  support: vector,
  eventShape: ({ scaleDiag }) => scaleDiag.shape.slice(-1),
  logProb({ loc, scaleDiag }, x) {
    const z = tf.div(tf.sub(x, loc), scaleDiag);
    return tf.neg(tf.sum(tf.add(tf.mul(tf.square(z), 0.5), tf.add(tf.log(scaleDiag), HALF_LOG_2PI)), -1));
  },
  draw: ({ loc, scaleDiag }, d) =>
    tf.add(loc, tf.mul(scaleDiag, d.noise(normalDraws, d.key, scaleDiag.shape.slice(-1)))),
  mean: ({ loc }) => loc,
  variance: ({ scaleDiag }) => tf.square(scaleDiag),
  entropy: ({ scaleDiag }) => tf.sum(tf.add(tf.log(scaleDiag), HALF_LOG_2PI + 0.5), -1),
};

/** Mv over the last axis of v, for matrices M that broadcast against the other axes of v. */
export function apply(m: tf.Tensor, v: tf.Tensor): tf.Tensor {
  const d = v.shape[v.rank - 1] as number;
  if (m.rank === 2) return tf.reshape(tf.matMul(tf.reshape(v, [-1, d]), m, false, true), v.shape);
  return tf.sum(tf.mul(m, tf.expandDims(v, -2)), -1);
}

const fullFamily: Family<"loc" | "scaleTril"> = {
  family: "multivariateNormal",
  params: { loc: vector, scaleTril: lowerCholesky },
  support: vector,
  eventShape: ({ scaleTril }) => scaleTril.shape.slice(-1),
  logProb({ loc, scaleTril }, x) {
    // Solving through the inverse (float64, of a small matrix) makes one product of any number of values.
    const z = apply(triangularInverse(scaleTril), tf.sub(x, loc));
    const logDet = tf.sum(tf.log(diagonal(scaleTril)), -1);
    return tf.neg(tf.add(tf.sum(tf.add(tf.mul(tf.square(z), 0.5), HALF_LOG_2PI), -1), logDet));
  },
  draw: ({ loc, scaleTril }, d) =>
    tf.add(loc, apply(scaleTril, d.noise(normalDraws, d.key, scaleTril.shape.slice(-1)))),
  mean: ({ loc }) => loc,
  variance: ({ scaleTril }) => tf.sum(tf.square(scaleTril), -1),
  entropy({ scaleTril }) {
    const d = scaleTril.shape[scaleTril.rank - 1] as number;
    return tf.add(tf.sum(tf.log(diagonal(scaleTril)), -1), d * (HALF_LOG_2PI + 0.5));
  },
};

/** A mean with one of three forms of the spread. */
export type MultivariateNormalParams = { readonly loc: ArrayLike } & (
  | { readonly scaleDiag: ArrayLike }
  | { readonly scaleTril: ArrayLike }
  | { readonly covariance: ArrayLike }
);

/** How far a covariance may be from symmetric, relative to its entries. */
const ASYMMETRY = 1e-5;

function factor(given: ArrayLike): tf.Tensor {
  const covariance = toTensor(given);
  tf.tidy(() => {
    if (covariance.rank < 2) return;
    const axes = covariance.shape.map((_, i) => i);
    const n = axes.length;
    [axes[n - 2], axes[n - 1]] = [n - 1, n - 2];
    const difference = tf.max(tf.abs(tf.sub(covariance, tf.transpose(covariance, axes))));
    const size = tf.max(tf.abs(covariance));
    if (checkAll(tf.logicalNot(tf.greater(difference, tf.mul(size, ASYMMETRY))))) return;
    const skew = tf.div(difference, size).dataSync()[0] as number;
    fail(
      "parameter",
      `multivariateNormal: covariance must be symmetric, but differs from its transpose by ${skew.toPrecision(2)} of its largest entry`,
    );
  });
  return cholesky(covariance, "multivariateNormal: covariance");
}

/**
 * N(loc, Σ) on vectors of length d: Σ = diag(scaleDiag²), or LLᵀ with L = scaleTril lower triangular, or the covariance itself
 * (of which the Cholesky factor is kept, as parameter `scaleTril`). `loc` is `[...batch, d]` or a number for all entries.
 *
 * @throws `parameter` for a scale that is not positive or a covariance that is not symmetric positive definite; `shape`.
 */
export function multivariateNormal(params: MultivariateNormalParams): Distribution {
  const forms = (["scaleDiag", "scaleTril", "covariance"] as const).filter((f) => f in params);
  if (forms.length !== 1) {
    fail(
      "argument",
      `multivariateNormal: give one of scaleDiag, scaleTril and covariance, got ${forms.join(", ") || "none"}`,
    );
  }
  const scale =
    "scaleDiag" in params
      ? toTensor(params.scaleDiag)
      : "scaleTril" in params
        ? toTensor(params.scaleTril)
        : factor((params as { covariance: ArrayLike }).covariance);
  const d = scale.shape.at(-1);
  const given = toTensor(params.loc);
  if (d === undefined || (given.rank > 0 && given.shape.at(-1) !== d && given.shape.at(-1) !== 1)) {
    fail(
      "shape",
      `multivariateNormal: loc of shape ${showShape(given.shape)} does not fit a ${forms[0]} of shape ${showShape(scale.shape)}`,
    );
  }
  const loc = broadcastTo(given, broadcastShapes(given.shape, [d as number]));
  return "scaleDiag" in params
    ? fromFamily(diagonalFamily, { loc, scaleDiag: scale })
    : fromFamily(fullFamily, { loc, scaleTril: scale });
}
