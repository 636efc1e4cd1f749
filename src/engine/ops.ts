/** Operations that tfjs lacks or gets wrong, built from ops so that they are differentiable to any order. */
import * as tf from "@tensorflow/tfjs-core";

/** One axis, several, or all of them. */
export type Axis = number | number[] | undefined;

/**
 * The value of `x` as a constant: its derivative is zero, also inside another gradient.
 */
export const stopGradient = <T extends tf.Tensor>(x: T): T =>
  tf.customGrad((y: tf.Tensor | tf.GradSaveFunc) => {
    const value = (y as tf.Tensor).clone();
    return { value, gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy) };
  })(x) as T;

/** What `compute` gives, as a constant (torch.no_grad): its derivative is zero, and none of its steps are kept for one. */
export const noGrad = (compute: () => tf.Tensor): tf.Tensor =>
  tf.customGrad(() => ({ value: compute(), gradFunc: () => [] }))();

/** exp(x − shift) and its sum over an axis, which is kept: what log Σ exp and softmax are made of. */
export interface ShiftedExp {
  /** The largest x, or 0 where that is infinite. */
  readonly shift: tf.Tensor;
  readonly exp: tf.Tensor;
  readonly sum: tf.Tensor;
}

/** {@link ShiftedExp} over `axis` (all by default): log Σ exp(x) is {@link logOfSum}, softmax(x) is exp/sum. */
export function shiftedExp(x: tf.Tensor, axis?: Axis): ShiftedExp {
  const max = stopGradient(tf.max(x, axis, true));
  // An infinite maximum would give ∞ − ∞; a shift of zero leaves exp(−∞) = 0 and exp(+∞) = +∞ to speak for themselves.
  const shift = tf.where(tf.isFinite(max), max, tf.zerosLike(max));
  const exp = tf.exp(tf.sub(x, shift));
  return { shift, exp, sum: tf.sum(exp, axis, true) };
}

/** log Σ exp(x), the axis kept. */
export const logOfSum = ({ shift, sum }: ShiftedExp): tf.Tensor => tf.add(tf.log(sum), shift);

/**
 * log Σ exp(x) over `axis` (all by default), without overflow: max + log Σ exp(x − max).
 *
 * @remarks A slice that is −∞ throughout gives −∞, one that holds +∞ gives +∞ (tf.logSumExp gives NaN for both).
 */
export function logSumExp(x: tf.Tensor, axis?: Axis, keepDims = false): tf.Tensor {
  const out = logOfSum(shiftedExp(x, axis));
  return keepDims ? out : tf.squeeze(out, axis === undefined ? undefined : typeof axis === "number" ? [axis] : axis);
}

/** log softmax(x) = x − logSumExp(x) along `axis` (the last by default). */
export const logSoftmax = (x: tf.Tensor, axis = -1): tf.Tensor => tf.sub(x, logSumExp(x, axis, true));

/** log(1 + eˣ), accurate at both ends; its derivative is the logistic function. */
export const softplus = (x: tf.Tensor): tf.Tensor => tf.softplus(x);

/** log(1 / (1 + e⁻ˣ)) = −softplus(−x). */
export const logSigmoid = (x: tf.Tensor): tf.Tensor => tf.neg(softplus(tf.neg(x)));

/** Σ x over `axis` (all by default), accumulated in double precision on the wasm engine. */
export const sum = (x: tf.Tensor, axis?: Axis, keepDims = false): tf.Tensor => tf.sum(x, axis, keepDims);

/** The mean of x over `axis` (all by default), accumulated as {@link sum}. */
export const mean = (x: tf.Tensor, axis?: Axis, keepDims = false): tf.Tensor => tf.mean(x, axis, keepDims);

/** The slices of `x` at `indices` along `axis` (the first by default). */
export function gather(x: tf.Tensor, indices: Int32Array | readonly number[] | tf.Tensor, axis = 0): tf.Tensor {
  // The array itself where it is one: a traced step recognises it as an input that changes from run to run.
  const list = indices instanceof tf.Tensor || indices instanceof Int32Array ? indices : Int32Array.from(indices);
  const at = list instanceof tf.Tensor ? list : tf.tensor1d(list, "int32");
  return tf.gather(x, at as tf.Tensor1D, axis);
}
