/** Rows of a target: fixed rows, and their split into folds that train and rows held out. */
import type { NdArray } from "../../core/array.ts";
import { sizeOf } from "../../core/shape.ts";
import { currentArray, hostTensor } from "../../core/tracing.ts";
import type { DrawableRows } from "./fit-tilt-types.ts";

/** Fixed rows: a draw returns the row itself. */
export const gatherRows = (data: NdArray): DrawableRows => {
  const [count, ...event] = data.shape as [number, ...number[]];
  const size = sizeOf(event);
  return {
    count,
    draw(_, rows) {
      const taken = () => {
        const out = new Float32Array(rows.length * size);
        currentArray(rows).forEach((row, i) => {
          out.set(data.data.subarray(row * size, (row + 1) * size), i * size);
        });
        return out;
      };
      return hostTensor(taken, [rows.length, ...event]);
    },
  };
};

/** Rows of one fold: those that train its energy and those held out from it. */
export interface Split {
  readonly train: Int32Array;
  readonly heldOut: Int32Array;
}

/** The split whose held-out rows are at these places of `order`. */
export const splitOf = (order: Int32Array, heldOut: readonly number[]): Split => {
  const out = new Set(heldOut);
  return {
    train: order.filter((_, i) => !out.has(i)),
    heldOut: order.filter((_, i) => out.has(i)),
  };
};

/** The rows, so many times over. */
export const repeat = (rows: Int32Array, times: number): Int32Array =>
  Int32Array.from({ length: rows.length * times }, (_, i) => rows[i % rows.length] as number);

/** Places, in the shuffled order of rows, that fold `k` holds out. */
export function heldOut(count: number, folds: number, holdout: number, k: number): number[] {
  const [from, to] =
    folds === 1
      ? [0, Math.round(count * holdout)]
      : [Math.round((k * count) / folds), Math.round(((k + 1) * count) / folds)];
  return Array.from({ length: to - from }, (_, i) => from + i);
}
