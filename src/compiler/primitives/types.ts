/** What the type rules of primitives share. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { type Shape, sizeOf, tryBroadcast } from "../../core/shape.ts";
import { type DType, textOf } from "../ir/node.ts";
import type { TypeRule } from "./primitive.ts";

export const mismatch = (op: string, found: string, expected: string): never =>
  fail("shape", `${op}: found ${found}; expected ${expected}.`);

/** The common shape under NumPy broadcasting. */
export const broadcastShapes = (op: string, ...shapes: readonly Shape[]): Shape =>
  shapes.reduce<Shape>(
    (common, shape) =>
      tryBroadcast(common, shape) ??
      mismatch(op, shapes.map(textOf).join(" and "), "shapes that broadcast: equal sizes or 1, from the right"),
    [],
  );

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
