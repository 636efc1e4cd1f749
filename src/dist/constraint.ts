/** Constraints say where values lie; bijections map the reals onto them. */
import type * as tf from "@tensorflow/tfjs-core";
import type { Shape } from "../core/shape.ts";

/** A set of values. */
export interface Constraint {
  /** For messages: `positive`, `interval(0, 3)`. */
  readonly name: string;
  /** How many axes on the right make one value: 0 for a number, 1 for a simplex, 2 for a Cholesky factor. */
  readonly eventRank: number;
  readonly discrete: boolean;
  /** 1 where the value lies inside, of shape `[...batch]`; NaN is never inside. */
  check(value: tf.Tensor): tf.Tensor;
  /** Some value well inside the set, of the given full shape: stands in for what a mask hides. */
  example(shape: Shape): tf.Tensor;
  /** The bijection from unconstrained reals onto the set. @throws `unsupported` for discrete sets. */
  bijection(): Bijection;
}

/** A smooth invertible map from R^n (shape `[...batch, ...]`) onto a constraint. */
export interface Bijection {
  readonly name: string;
  /** y = f(x). */
  forward(x: tf.Tensor): tf.Tensor;
  /** x = f⁻¹(y). */
  inverse(y: tf.Tensor): tf.Tensor;
  /** log |det ∂f/∂x|, shape `[...batch]`: summed over the axes of one event. */
  logAbsDet(x: tf.Tensor, y: tf.Tensor): tf.Tensor;
  /** Shape of x for a y of the given full shape (a simplex of k has k − 1 free coordinates). */
  unconstrainedShape(shape: Shape): Shape;
  /** Axes on the right of x that belong to one event. */
  readonly eventRank: number;
  /** The same map with gradients stopped at its own parameters; without it there are none. */
  detach?(): Bijection;
}
