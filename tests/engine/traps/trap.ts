/** What a trap is, and small pieces to write one. */
import * as tf from "@tensorflow/tfjs-core";
import type { EngineName } from "../../../src/engine/info.ts";

export interface Trap {
  readonly name: string;
  readonly run: () => tf.Tensor;
  readonly truth: readonly number[];
  /** What plain tfjs does. `"corrupts"` writes outside its memory, and so is not run. */
  readonly plain: "wrong" | "throws" | "corrupts";
  /** The only engine of which this holds; all if absent. */
  readonly engine?: EngineName;
}

export interface Refusal {
  readonly name: string;
  readonly run: () => tf.Tensor;
  readonly code: "unsupported" | "not-differentiable";
  /** What the message recommends. */
  readonly says: RegExp;
  /** The only engine that refuses; all if absent. */
  readonly engine?: EngineName;
}

export type F = (x: tf.Tensor) => tf.Tensor;
export type T4 = tf.Tensor4D;

/** The sum's gradient and the gradient of the sum of the gradient. */
export const d1 = (f: F, x: tf.Tensor) => tf.grad((y) => tf.sum(f(y)))(x);
export const d2 = (f: F, x: tf.Tensor) => tf.grad((y) => tf.sum(d1(f, y)))(x);
export const at = (...values: number[]) => tf.tensor1d(values);
export const int = (...values: number[]) => tf.tensor1d(values, "int32");
export const count = (...shape: number[]) =>
  tf.reshape(
    tf.range(
      0,
      shape.reduce((n, d) => n * d, 1),
    ),
    shape,
  );

export const values = (tensor: tf.Tensor): number[] => [...tensor.dataSync()];

/** The largest relative error, infinite where one is NaN and the other not. */
export function error(found: readonly number[], truth: readonly number[]): number {
  if (found.length !== truth.length) return Number.POSITIVE_INFINITY;
  return Math.max(
    ...truth.map((_, i) => {
      const [y, y0] = [found[i] as number, truth[i] as number];
      if (Object.is(y, y0) || y === y0) return 0;
      if (!Number.isFinite(y) || !Number.isFinite(y0)) return Number.POSITIVE_INFINITY;
      return Math.abs(y - y0) / Math.max(1e-3, Math.abs(y0));
    }),
  );
}
