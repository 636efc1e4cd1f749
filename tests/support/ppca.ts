/** Probabilistic PCA, z ~ N(0, I), x ~ N(Wz + μ, σ² I), as a generative model with parameters, and its tilt by a quadratic energy. */
import * as tf from "@tensorflow/tfjs-core";
import { ndarray } from "tilted";
import { gaussian, generative } from "tilted/models";
import {
  add,
  apply,
  identity,
  inverse,
  logDet,
  type Matrix,
  plus,
  quadraticForm,
  times,
  transpose,
  type Vector,
} from "./matrix.ts";

export const SIGMA = 0.7;
/** The least standard deviation of the decoder, and of an encoder. */
const FLOOR = 1e-3;
const MIN_SCALE = 1e-4;
const inverseSoftplus = (y: number) => Math.log(Math.expm1(y));

/** Three features of one latent. */
export const LINE: Matrix = [[0.8], [-0.6], [0.5]];
export const LINE_MEAN: Vector = [0.2, -0.1, 0.4];

/** Covariance of x. */
export const covarianceOf = (W: Matrix): Matrix => plus(times(W, transpose(W)), identity(W.length, SIGMA ** 2));

/** A model whose decoder is linear. */
export const linearModel = (features: number, latent: number) =>
  generative({ features, latent, hidden: [], likelihood: gaussian({ floor: FLOOR }) });

const linear = (name: string, A: Matrix, a: Vector) => ({
  [`${name}/weight`]: ndarray(Float32Array.from(transpose(A).flat()), [A[0]?.length ?? 0, A.length]),
  [`${name}/bias`]: ndarray(Float32Array.from(a)),
});

export const decoderOf = (W: Matrix, mu: Vector) => ({
  ...linear("decoder/loc", W, mu),
  "decoder/log-scale": ndarray(Float32Array.of(inverseSoftplus(SIGMA - FLOOR))),
});

/** An encoder N(Ax + a, s² I). */
export const encoderOf = (A: Matrix, a: Vector, s: number) => ({
  ...linear("encoder/loc", A, a),
  ...linear(
    "encoder/scale",
    A.map((row) => row.map(() => 0)),
    a.map(() => inverseSoftplus(s - MIN_SCALE)),
  ),
});

/** E(x) = ½ a|x|² − bᵀx. */
export const quadratic = (a: number, b: Vector) => (x: tf.Tensor) =>
  tf.sub(tf.mul(a / 2, tf.sum(tf.square(x), -1)), tf.sum(tf.mul(x, tf.tensor1d([...b])), -1));

/** N(μ, C) tilted by that energy, or by one with an a for each dimension: a Gaussian again, and log Z. */
export function tiltedGaussian(C: Matrix, mu: Vector, a: number | Vector, b: Vector) {
  const precision = inverse(C);
  const each = typeof a === "number" ? mu.map(() => a) : a;
  const covariance = inverse(precision.map((row, i) => row.map((v, j) => v + (i === j ? (each[i] as number) : 0))));
  const shift = add(apply(precision, mu), b);
  const logZ = (logDet(covariance) - logDet(C) + quadraticForm(covariance, shift) - quadraticForm(precision, mu)) / 2;
  return { precision, covariance, mean: apply(covariance, shift), logZ };
}
