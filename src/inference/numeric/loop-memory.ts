/** The memory of the loops over log-weights: one chunk of log-weights, its values, its weights and their sums. */
import type { WasmExports } from "../../core/simd/assembler.ts";
import { CHUNK, LANES, SUM_BYTES, type Width } from "./weight-kernels.ts";

const DOUBLE = 8;
/** Offsets of log-weights, values, weights and sums. */
const [LOGS, VALUES, WEIGHTS, SUMS] = [0, CHUNK * DOUBLE, 2 * CHUNK * DOUBLE, 3 * CHUNK * DOUBLE];
/** Bytes of the memory of one chunk. */
export const SCRATCH_BYTES = SUMS + SUM_BYTES;

/** The loops, with views of the memory of one chunk. */
export interface LoopMemory {
  readonly run: WasmExports;
  readonly at: { readonly logs: number; readonly values: number; readonly weights: number; readonly sums: number };
  readonly floats: Float32Array;
  readonly doubles: Float64Array;
  readonly valueFloats: Float32Array;
  readonly valueDoubles: Float64Array;
  readonly weights: Float64Array;
  readonly sums: Float64Array;
}

/** The memory that begins at `base`. */
export function loopMemory(memory: ArrayBufferLike, base: number, run: WasmExports): LoopMemory {
  const buffer = memory as ArrayBuffer;
  return {
    run,
    at: { logs: base + LOGS, values: base + VALUES, weights: base + WEIGHTS, sums: base + SUMS },
    floats: new Float32Array(buffer, base + LOGS, CHUNK),
    doubles: new Float64Array(buffer, base + LOGS, CHUNK),
    valueFloats: new Float32Array(buffer, base + VALUES, CHUNK),
    valueDoubles: new Float64Array(buffer, base + VALUES, CHUNK),
    weights: new Float64Array(buffer, base + WEIGHTS, CHUNK),
    sums: new Float64Array(buffer, base + SUMS, SUM_BYTES / DOUBLE),
  };
}

/** Copies the numbers in [from, to) to the loops' memory; returns their width. Arrays other than Float32Array are copied as doubles. */
export function copyInto(
  x: ArrayLike<number>,
  from: number,
  to: number,
  floats: Float32Array,
  doubles: Float64Array,
): Width {
  if (x instanceof Float32Array) {
    floats.set(x.subarray(from, to));
    return 32;
  }
  for (let i = from; i < to; i++) doubles[i - from] = x[i] as number;
  return 64;
}

/** Iterations for so many numbers, the last one padded. */
export const iterationsOf = (count: number): number => Math.ceil(count / LANES);

/** Computes the weights and their sums for the log-weights in [from, to); padding has weight zero. */
export function computeWeights(
  { run, at, floats, doubles }: LoopMemory,
  logWeights: ArrayLike<number>,
  max: number,
  from: number,
  to: number,
): void {
  const width = copyInto(logWeights, from, to, floats, doubles);
  const iterations = iterationsOf(to - from);
  (width === 32 ? floats : doubles).fill(Number.NEGATIVE_INFINITY, to - from, iterations * LANES);
  run[`sums${width}`]?.(iterations, max, at.logs, at.weights, at.sums);
}
