/** Where the loops over log-weights find a part of them, what belongs to it, and room for what they make. */
import type { WasmExports } from "../../core/simd/assembler.ts";
import { CHUNK, LANES, SUM_BYTES, type Width } from "./weight-kernels.ts";

const DOUBLE = 8;
/** Where log-weights, values, weights and sums lie, from the beginning of the room. */
const [LOGS, VALUES, WEIGHTS, SUMS] = [0, CHUNK * DOUBLE, 2 * CHUNK * DOUBLE, 3 * CHUNK * DOUBLE];
/** Bytes of the room. */
export const SCRATCH_BYTES = SUMS + SUM_BYTES;

/** Loops, with room for one part. */
export interface Machine {
  readonly run: WasmExports;
  readonly at: { readonly logs: number; readonly values: number; readonly weights: number; readonly sums: number };
  readonly floats: Float32Array;
  readonly doubles: Float64Array;
  readonly valueFloats: Float32Array;
  readonly valueDoubles: Float64Array;
  readonly weights: Float64Array;
  readonly sums: Float64Array;
}

/** A machine whose room begins at `base`. */
export function machineIn(memory: ArrayBufferLike, base: number, run: WasmExports): Machine {
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

/** Copies numbers `from` to before `to` to where the loops read them; returns their width. Doubles stay what they are. */
export function place(
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

/** Places up to a whole turn. */
export const turnsOf = (count: number): number => Math.ceil(count / LANES);

/** Weights of log-weights `from` to before `to`; places up to a whole turn have weight zero. */
export function weigh(
  { run, at, floats, doubles }: Machine,
  logWeights: ArrayLike<number>,
  max: number,
  from: number,
  to: number,
): void {
  const width = place(logWeights, from, to, floats, doubles);
  const turns = turnsOf(to - from);
  (width === 32 ? floats : doubles).fill(Number.NEGATIVE_INFINITY, to - from, turns * LANES);
  run[`sums${width}`]?.(turns, max, at.logs, at.weights, at.sums);
}
