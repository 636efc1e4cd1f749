/**
 * Arithmetic of many short rows with one row: XNNPACK goes row by row, some ten nanoseconds each, so that adding a pair of numbers to a
 * million pairs takes thirty times what adding a million pairs does. The row is repeated, and rows are taken many at a time.
 */
import type * as tf from "@tensorflow/tfjs-core";
import type { WasmBackend, Wrapper } from "./heap.ts";

/** Rows of up to this length are put together; */
const SHORT = 64;
/** up to so many numbers, which the repeated row then has. */
const LONG = 512;
/** Fewest numbers for which it is worth a copy of the row. */
const FEWEST = 4096;

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Length of the row, and how many rows are to be taken at once; undefined where that is of no use. */
function rowsOf(full: readonly number[], shape: readonly number[]): { row: number; times: number } | undefined {
  const size = sizeOf(full);
  const own = shape.slice(shape.findIndex((d) => d !== 1));
  const row = sizeOf(own);
  if (shape.length > full.length || size < FEWEST || row < 2 || row > SHORT) return undefined;
  const tail = full.slice(full.length - own.length);
  if (!own.every((d, i) => d === tail[i])) return undefined;
  let times = 1;
  while (2 * times * row <= LONG && (size / row) % (2 * times) === 0) times *= 2;
  return times === 1 ? undefined : { row, times };
}

const together =
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

/** What a kernel sees of a tensor; the rest of a tensor is behind accessors. */
const pick = ({ dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo => ({ dataId, shape, dtype });

/** The same wrapper, about a kernel that takes short rows together. */
export const withShortRows = ({ kernelName, wrap }: Wrapper): Wrapper => ({
  kernelName,
  wrap: (original) => wrap({ ...original, kernelFunc: together(original.kernelFunc) }),
});
