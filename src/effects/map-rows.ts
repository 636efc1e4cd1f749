/** `mapRows`: a program with parameters, such as a trained network, applied to many rows. */
import * as tf from "@tensorflow/tfjs-core";
import { type NdArray, ndarray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { scope } from "../core/scope.ts";
import { sizeOf } from "../core/shape.ts";
import { mapTree, type TensorTree, type Tree, toArrays, toTensors } from "../core/tree.ts";
import type { ParamEffect, Program } from "./effects.ts";
import { interpret } from "./interpret.ts";

/** Rows that go through a program at once. */
const CHUNK = 512;

/** Name of a result that is not a record. */
const ONLY = "";

/**
 * Applies a program to rows `[n, ...event]`, in chunks, so that memory stays bounded.
 *
 * @param params - Unconstrained parameters, as a fit's `params`.
 * @param f - Takes rows `[m, ...event]`; gives `[m, ...]`, or a record of such.
 * @returns The same for all rows, `[n, ...]`.
 * @example
 * const logits = mapRows(x, fit.params, mlp("classifier", [784, 256, 10]));
 * @throws `shape` when there are no rows; `no-seed` when a parameter is missing whose first value is random.
 */
export function mapRows(
  x: NdArray,
  params: Tree<NdArray>,
  f: (rows: tf.Tensor) => Program<ParamEffect, tf.Tensor>,
): NdArray;
export function mapRows<T extends { readonly [K in keyof T]: tf.Tensor }>(
  x: NdArray,
  params: Tree<NdArray>,
  f: (rows: tf.Tensor) => Program<ParamEffect, T>,
): { readonly [K in keyof T]: NdArray };
export function mapRows(
  x: NdArray,
  params: Tree<NdArray>,
  f: (rows: tf.Tensor) => Program<ParamEffect, tf.Tensor | TensorTree>,
): NdArray | Tree<NdArray> {
  const [n = 0, ...event] = x.shape;
  if (n === 0) fail("shape", "mapRows: the array has no rows");
  const size = sizeOf(event);
  const apply = (from: number, to: number): Tree<NdArray> =>
    scope(() => {
      const rows = ndarray(x.data.subarray(from * size, to * size), [to - from, ...event]);
      const { result } = interpret(f(rows.tensor()), { params: toTensors(params) });
      return toArrays(result instanceof tf.Tensor ? { [ONLY]: result } : result);
    });
  const parts = Array.from({ length: Math.ceil(n / CHUNK) }, (_, i) => apply(i * CHUNK, Math.min(n, (i + 1) * CHUNK)));
  const all = mapTree(parts[0] as Tree<NdArray>, (_, name) =>
    joined(
      parts.map((part) => part[name] as NdArray),
      n,
    ),
  );
  return all[ONLY] ?? all;
}

/** Parts of an array, concatenated along the first axis. */
function joined(parts: readonly NdArray[], n: number): NdArray {
  const event = (parts[0] as NdArray).shape.slice(1);
  const out = new Float32Array(n * sizeOf(event));
  parts.forEach(({ data }, i) => {
    out.set(data, i * CHUNK * sizeOf(event));
  });
  return ndarray(out, [n, ...event]);
}
