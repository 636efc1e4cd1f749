/** Functions that are differentiable to any order: the derivative is a function of the *input*, built from ops. */
import * as tf from "@tensorflow/tfjs-core";
import { broadcastShapes, type Shape, sameShape } from "../core/shape.ts";

/** A function of one tensor, elementwise. */
export type Elementwise = (x: tf.Tensor) => tf.Tensor;

/** The tensor as float32, which all of these functions compute in. */
export const float = (x: tf.Tensor): tf.Tensor => (x.dtype === "float32" ? x : tf.cast(x, "float32"));

/**
 * An elementwise function with a derivative of its own.
 *
 * @remarks Only the input is saved: tfjs loses the path through a saved output, so that a second derivative through one
 * is silently wrong. `derivative` is made of ops (perhaps of functions made here), so every further order exists.
 */
export const smooth =
  (value: Elementwise, derivative: Elementwise): Elementwise =>
  (x) =>
    tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
      const [t, save] = inputs as [tf.Tensor, tf.GradSaveFunc];
      save([t]);
      return { value: value(t), gradFunc: (dy: tf.Tensor, [t]: tf.Tensor[]) => tf.mul(dy, derivative(t as tf.Tensor)) };
    })(float(x));

/** Both tensors in their common shape, by ops whose gradients sum over the broadcast axes. */
export function broadcastPair(a: tf.Tensor, b: tf.Tensor): [tf.Tensor, tf.Tensor] {
  const shape = broadcastShapes(a.shape, b.shape);
  return [broadcastTo(float(a), shape), broadcastTo(float(b), shape)];
}

/**
 * x in a shape that it broadcasts to. The gradient of tf.broadcastTo (a tile) adds slices one by one; that of adding zeros
 * sums an axis at once.
 */
export const broadcastTo = (x: tf.Tensor, shape: Shape): tf.Tensor =>
  sameShape(x.shape, shape) ? x : tf.add(x, tf.zeros([...shape]));

/** A function of two tensors with partial derivatives made of ops; broadcasts. */
export const smooth2 =
  (
    value: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
    partials: (a: tf.Tensor, b: tf.Tensor) => readonly [() => tf.Tensor, () => tf.Tensor],
  ) =>
  (a: tf.Tensor, b: tf.Tensor): tf.Tensor => {
    const [x, y] = broadcastPair(a, b);
    return tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
      const [s, t, save] = inputs as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
      save([s, t]);
      return {
        value: value(s, t),
        gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
          const [ds, dt] = partials(saved[0] as tf.Tensor, saved[1] as tf.Tensor);
          return [tf.mul(dy, ds()), tf.mul(dy, dt())];
        },
      };
    })(x, y);
  };

/** c₀ + c₁t + c₂t² + …, by Horner's rule. */
export function polynomial(c: readonly number[], t: tf.Tensor): tf.Tensor {
  const n = c.length - 1;
  let p = tf.add(tf.mul(t, c[n] as number), c[n - 1] as number);
  for (let k = n - 2; k >= 0; k--) p = tf.add(tf.mul(p, t), c[k] as number);
  return p;
}

/** A quotient of two polynomials. */
export interface Rational {
  readonly p: readonly number[];
  readonly q: readonly number[];
}

export const rational = ({ p, q }: Rational, t: tf.Tensor): tf.Tensor => tf.div(polynomial(p, t), polynomial(q, t));
