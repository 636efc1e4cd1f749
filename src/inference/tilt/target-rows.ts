/** Rows of a target: drawn afresh or looked up, in folds that train and parts that are held out. */
import type { NdArray } from "../../core/array.ts";
import { sizeOf } from "../../core/shape.ts";
import { currentArray, hostTensor } from "../../core/tracing.ts";
import type { DrawableRows } from "./fit-tilt-types.ts";

/** Rows that are what they are: a draw looks them up. */
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
export interface Part {
  readonly kept: Int32Array;
  readonly held: Int32Array;
}

/** The rows of one fold, of those that it holds out. */
export const partOf = (order: Int32Array, held: readonly number[]): Part => {
  const out = new Set(held);
  return {
    kept: order.filter((_, i) => !out.has(i)),
    held: order.filter((_, i) => out.has(i)),
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
