/** What a row of the table of ops is. */
import * as tf from "@tensorflow/tfjs-core";

/** Where inputs are drawn: an interval, away from the points where the op has no derivative. */
export type Domain = readonly [low: number, high: number];

export interface OpCase {
  readonly name: string;
  /** The shape of each differentiable input. */
  readonly shapes: readonly (readonly number[])[];
  readonly domain: Domain;
  readonly run: (...inputs: tf.Tensor[]) => tf.Tensor;
  /** The same function of one element (or of two, without broadcasting) in double precision. */
  readonly truth?: (...x: number[]) => number;
  /** Has no gradient that is worth checking: it is zero everywhere. */
  readonly flat?: true;
  /** The same in other ops, where tfjs's reference engine is wrong too. */
  readonly reference?: (...inputs: tf.Tensor[]) => tf.Tensor;
}

export type T4 = tf.Tensor4D;
export const ANY: Domain = [-1.5, 1.5];
export const POSITIVE: Domain = [0.3, 2];
export const INSIDE: Domain = [-0.8, 0.8];

/** A row in short: name, shapes of the inputs, the op, and where they differ from the usual, domain and reference. */
export type Structural = readonly [
  name: string,
  shapes: readonly (readonly number[])[],
  run: (...inputs: tf.Tensor[]) => tf.Tensor,
  domain?: Domain,
  reference?: (...inputs: tf.Tensor[]) => tf.Tensor,
];

export const structural = ([name, shapes, run, domain = ANY, reference = run]: Structural): OpCase => ({
  name,
  shapes,
  domain,
  run,
  reference,
});

export const int = (...values: number[]): tf.Tensor1D => tf.tensor1d(values, "int32");
/** A matrix and a batch of images. */
export const X = [3, 4] as const;
export const IMAGE = [2, 5, 6, 3] as const;
