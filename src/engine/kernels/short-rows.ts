/**
 * Arithmetic of many short rows with one row. XNNPACK goes row by row, some ten nanoseconds each, so adding one pair of numbers to a
 * million pairs takes thirty times what adding a million pairs does. Here the row is repeated and many rows are one.
 */
import type * as tf from "@tensorflow/tfjs-core";
import { sizeOf } from "../../core/shape.ts";
import type { WasmBackend, Wrapper } from "./heap.ts";

/** Longest row that is repeated. */
const MAX_ROW = 64;
/** Most numbers of the repeated row. */
const MAX_REPEATED_ROW = 512;
/** Fewest numbers for which the repeated row pays. */
const MIN_SIZE = 4096;

/** Length of the row, and how often to repeat it; undefined where that does not pay. */
function rowsOf(full: readonly number[], shape: readonly number[]): { row: number; times: number } | undefined {
  const size = sizeOf(full);
  const own = shape.slice(shape.findIndex((d) => d !== 1));
  const row = sizeOf(own);
  if (shape.length > full.length || size < MIN_SIZE || row < 2 || row > MAX_ROW) return undefined;
  const tail = full.slice(full.length - own.length);
  if (!own.every((d, i) => d === tail[i])) return undefined;
  let times = 1;
  while (2 * times * row <= MAX_REPEATED_ROW && (size / row) % (2 * times) === 0) times *= 2;
  return times === 1 ? undefined : { row, times };
}

const withRepeatedRow =
  (original: tf.KernelFunc): tf.KernelFunc =>
  (args) => {
    const { a, b } = args.inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
    if (a.dtype !== "float32" || b.dtype !== "float32") return original(args);
    const aIsFull = sizeOf(a.shape) >= sizeOf(b.shape);
    const [full, short] = aIsFull ? [a, b] : [b, a];
    const found = rowsOf(full.shape, short.shape);
    if (found === undefined) return original(args);
    const { row, times } = found;
    const backend = args.backend as unknown as WasmBackend;
    const repeated = backend.makeOutput([row * times], "float32");
    const [to, from] = [repeated, short].map((info) => backend.typedArrayFromHeap(info)) as [
      Float32Array,
      Float32Array,
    ];
    for (let i = 0; i < to.length; i++) to[i] = from[i % row] as number;
    const rows = { ...pick(full), shape: [sizeOf(full.shape) / to.length, to.length] };
    const out = original({ ...args, inputs: aIsFull ? { a: rows, b: repeated } : { a: repeated, b: rows } });
    backend.disposeData(repeated.dataId);
    return { ...pick(out as tf.TensorInfo), shape: full.shape.slice() };
  };

/** The part of a tensor that a kernel reads; spreading a tensor would miss it, as it lies behind accessors. */
const pick = ({ dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo => ({ dataId, shape, dtype });

/** The same wrapper around a kernel that repeats short rows. */
export const withShortRows = ({ kernelName, wrap }: Wrapper): Wrapper => ({
  kernelName,
  wrap: (original) => wrap({ ...original, kernelFunc: withRepeatedRow(original.kernelFunc) }),
});
