/** What the type rules of primitives share. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { type DType, type Shape, sizeOf, textOf } from "../ir/node.ts";
import type { TypeRule } from "./primitive.ts";

export const mismatch = (op: string, found: string, expected: string): never =>
  fail("shape", `${op}: found ${found}; expected ${expected}.`);

/** The common shape under NumPy broadcasting. */
export function broadcastShapes(op: string, ...shapes: readonly Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    let size = 1;
    for (const s of shapes) {
      const n = s[axis - rank + s.length] ?? 1;
      if (n !== 1 && size !== 1 && n !== size)
        mismatch(op, shapes.map(textOf).join(" and "), "shapes that broadcast: equal sizes or 1, from the right");
      if (n !== 1) size = n;
    }
    return size;
  });
}

/** `shape` without `axes`, which with `keepDims` stay as axes of one element. */
export const withoutAxes = (shape: Shape, axes: readonly number[], keepDims = false): number[] =>
  shape.flatMap((n, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [n]));

/** Refuses axes outside the rank. */
export function checkAxes(op: string, shape: Shape, axes: readonly number[]): void {
  if (axes.some((a) => !Number.isInteger(a) || a < 0 || a >= shape.length))
    mismatch(op, `axes ${textOf(axes)} of ${textOf(shape)}`, "axes within the rank");
}

/** Elements of `shape` along `axes`. */
export const countAlong = (shape: Shape, axes: readonly number[]): number => sizeOf(axes.map((a) => shape[a]!));

/** Axes as tfjs gives them, negative ones counted from the end; all of them by default. */
export const parseAxes = (axis: number | number[] | undefined, shape: Shape): number[] =>
  tf.util.parseAxisParam(axis as number[], [...shape]);

/** Operands broadcast; the dtype is theirs, or the one given. */
export const broadcastType =
  (dtype?: DType): TypeRule =>
  (inputs, _, op) => ({
    shape: broadcastShapes(op, ...inputs.map((x) => x.shape)),
    dtype: dtype ?? inputs[0]!.dtype,
  });
