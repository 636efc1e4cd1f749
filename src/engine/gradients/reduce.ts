/** Gradients of reductions, scans and normalisations along axes. */
import * as tf from "@tensorflow/tfjs-core";
import { axesOf, gradient, unbroadcast, zeroGradient } from "./define.ts";

type Axes = { axis: number | number[]; keepDims: boolean };

/** `dy` with the reduced axes put back as axes of size one. */
function expand(dy: tf.Tensor, shape: readonly number[], axes: readonly number[]): tf.Tensor {
  return tf.reshape(
    dy,
    shape.map((size, i) => (axes.includes(i) ? 1 : size)),
  );
}

/** The derivative of the extreme goes to the elements that attain it, in equal parts: any other share is no subgradient. */
function extremeGradient(dy: tf.Tensor, x: tf.Tensor, y: tf.Tensor, axes: number[]): tf.Tensor {
  const attained = tf.cast(tf.equal(x, expand(y, x.shape, axes)), "float32");
  const share = tf.div(attained, tf.sum(attained, axes, true));
  return tf.mul(expand(dy, x.shape, axes), share);
}

/**
 * The gradient of a product along one axis, without division, so that zeros are no exception:
 * dx_k = Π_{j<k} x_j · s_k with s_k = dy_k + x_{k+1} s_{k+1}.
 */
function cumprodGradient(dy: tf.Tensor, x: tf.Tensor, axis: number, exclusive: boolean, reverse: boolean): tf.Tensor {
  if (reverse) {
    return tf.reverse(cumprodGradient(tf.reverse(dy, axis), tf.reverse(x, axis), axis, exclusive, false), axis);
  }
  const xs = tf.unstack(x, axis);
  const dys = tf.unstack(dy, axis);
  // The exclusive product is the inclusive one moved by one place.
  const of = (k: number) => dys[exclusive ? k + 1 : k];
  const tails: tf.Tensor[] = [];
  let tail: tf.Tensor | undefined;
  for (let k = xs.length - 1; k >= 0; k--) {
    const here = of(k) ?? tf.zerosLike(dys[0] as tf.Tensor);
    tail = tail === undefined ? here : tf.add(here, tf.mul(xs[k + 1] as tf.Tensor, tail));
    tails.unshift(tail);
  }
  return tf.mul(tf.cumprod(x, axis, true, false), tf.stack(tails, axis));
}

export const REDUCE: readonly tf.GradConfig[] = [
  gradient<"x", Axes>("Sum", ["x"], (dy, { x }, { axis }) => ({
    x: () => tf.mul(expand(dy, x.shape, axesOf(axis, x.shape)), tf.ones(x.shape)),
  })),
  gradient<"x", Axes>("Mean", ["x"], (dy, { x }, { axis }) => ({
    x: () => {
      const axes = axesOf(axis, x.shape);
      const count = axes.reduce((n, i) => n * (x.shape[i] as number), 1);
      return tf.mul(expand(tf.div(dy, count), x.shape, axes), tf.ones(x.shape));
    },
  })),
  gradient<"x" | "y", { reductionIndices: number | number[] }>("Max", ["x", "y"], (dy, { x, y }, attrs) => ({
    x: () => extremeGradient(dy, x, y, axesOf(attrs.reductionIndices, x.shape)),
  })),
  gradient<"x" | "y", Axes>("Min", ["x", "y"], (dy, { x, y }, { axis }) => ({
    x: () => extremeGradient(dy, x, y, axesOf(axis, x.shape)),
  })),
  gradient<"x", Axes>("Prod", ["x"], (dy, { x }, { axis }) => ({
    x: () => {
      const axes = axesOf(axis, x.shape);
      const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
      const order = [...kept, ...axes];
      const moved = tf.transpose(x, order);
      const flat = tf.reshape(moved, [...kept.map((i) => x.shape[i] as number), -1]);
      const last = kept.length;
      const others = tf.mul(tf.cumprod(flat, last, true, false), tf.cumprod(flat, last, true, true));
      const d = tf.mul(tf.reshape(dy, [...flat.shape.slice(0, -1), 1]), others);
      return tf.transpose(tf.reshape(d, moved.shape), tf.backend_util.getUndoAxesPermutation(order));
    },
  })),
  // tfjs transposes this one whenever the axis is not the last.
  gradient<never, { axis: number; exclusive: boolean; reverse: boolean }>("Cumsum", [], (dy, _, attrs) => ({
    x: () => tf.cumsum(dy, attrs.axis, attrs.exclusive, !attrs.reverse),
  })),
  gradient<"x", { axis: number; exclusive: boolean; reverse: boolean }>("Cumprod", ["x"], (dy, { x }, attrs) => ({
    x: () => cumprodGradient(dy, x, axesOf(attrs.axis, x.shape)[0] as number, attrs.exclusive, attrs.reverse),
  })),
  gradient<"y", { dim: number }>("Softmax", ["y"], (dy, { y }, { dim }) => ({
    logits: () => {
      const weighted = tf.mul(dy, y);
      return tf.sub(weighted, tf.mul(tf.sum(weighted, dim, true), y));
    },
  })),
  gradient<"y", { axis: number }>("LogSoftmax", ["y"], (dy, { y }, { axis }) => ({
    logits: () => tf.sub(dy, tf.mul(tf.sum(dy, axis, true), tf.exp(y))),
  })),
  gradient<"x" | "mean" | "variance" | "scale", { varianceEpsilon: number }>(
    "FusedBatchNorm",
    ["x", "mean", "variance", "scale"],
    (dy, { x, mean, variance, scale }, { varianceEpsilon }) => {
      const rsqrt = () => tf.rsqrt(tf.add(variance, varianceEpsilon));
      const scaled = () => (scale === undefined ? dy : tf.mul(dy, scale));
      return {
        x: () => tf.mul(scaled(), rsqrt()),
        mean: () => unbroadcast(tf.neg(tf.mul(scaled(), rsqrt())), mean.shape),
        variance: () => {
          const slope = tf.mul(tf.pow(tf.add(variance, varianceEpsilon), -1.5), -0.5);
          return unbroadcast(tf.mul(tf.mul(scaled(), tf.sub(x, mean)), slope), variance.shape);
        },
        scale: () => unbroadcast(tf.mul(dy, tf.mul(tf.sub(x, mean), rsqrt())), mean.shape),
        offset: () => unbroadcast(dy, mean.shape),
      };
    },
  ),
  ...["All", "Any", "ArgMax", "ArgMin"].map((name) => zeroGradient(name, ["x"])),
];
