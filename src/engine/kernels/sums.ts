/**
 * Sums, means and scans accumulated in double precision. tfjs's wasm kernels keep one float32 accumulator: the sum of a
 * million tenths comes out one per cent too large, and a likelihood over many data loses its last digits first.
 */
import * as tf from "@tensorflow/tfjs-core";
import { type NativeBackend, nativeLoops } from "../wasm/memory.ts";
import { PAIRS_PER_ITERATION, pairSums } from "../wasm/pairs.ts";
import { heapKernel, type WasmBackend } from "./heap.ts";

/** Adjacent axes that are all reduced or all kept, as one. */
interface Group {
  size: number;
  readonly reduced: boolean;
}

function groupsOf(shape: readonly number[], axes: ReadonlySet<number>): Group[] {
  const groups: Group[] = [];
  shape.forEach((size, axis) => {
    if (size === 1) return;
    const reduced = axes.has(axis);
    const last = groups[groups.length - 1];
    if (last !== undefined && last.reduced === reduced) last.size *= size;
    else groups.push({ size, reduced });
  });
  return groups;
}

/** Σ of n consecutive values; four accumulators, so that additions need not wait for each other. */
function sumRow(x: Float32Array, from: number, n: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const end = from + n;
  let i = from;
  for (; i + 3 < end; i += 4) {
    a += x[i] as number;
    b += x[i + 1] as number;
    c += x[i + 2] as number;
    d += x[i + 3] as number;
  }
  for (; i < end; i++) a += x[i] as number;
  return a + b + (c + d);
}

const loops = nativeLoops(() => [pairSums]);

/** Totals of rows of n consecutive values: the most frequent reduction, without an intermediate array of doubles. */
function rowTotals(backend: WasmBackend & NativeBackend, x: tf.TensorInfo, n: number, out: tf.TensorInfo): void {
  const run = n === 2 ? loops(backend)?.run.pairSums : undefined;
  const [values, to] = [x, out].map((info) => backend.typedArrayFromHeap(info)) as [Float32Array, Float32Array];
  const iterations = run === undefined ? 0 : Math.floor(to.length / PAIRS_PER_ITERATION);
  if (iterations > 0) run?.(backend.getMemoryOffset(x.dataId), backend.getMemoryOffset(out.dataId), iterations);
  for (let k = iterations * PAIRS_PER_ITERATION; k < to.length; k++) to[k] = sumRow(values, k * n, n);
}

/** Adds `rows` rows of `n` elements each to the first `n` totals from `to` on. */
function addRows(x: Float32Array, from: number, rows: number, n: number, totals: Float64Array, to: number): void {
  for (let k = 0, i = from; k < rows; k++, i += n) {
    for (let j = 0; j < n; j++) totals[to + j] = (totals[to + j] as number) + (x[i + j] as number);
  }
}

/** Adds every element of x to its total. All arrays have one type each, so that the engine compiles the loops once. */
function accumulate(x: Float32Array, groups: readonly Group[], totals: Float64Array): void {
  const stride = (from: number, keptOnly: boolean) =>
    groups.slice(from).reduce((n, group) => (keptOnly && group.reduced ? n : n * group.size), 1);
  const inStride = groups.map((_, g) => stride(g + 1, false));
  const outStride = groups.map((group, g) => (group.reduced ? 0 : stride(g + 1, true)));
  const last = groups.length - 1;
  const walk = (g: number, from: number, to: number): void => {
    const { size, reduced } = groups[g] as Group;
    if (g === last) {
      if (reduced) totals[to] = (totals[to] as number) + sumRow(x, from, size);
      else addRows(x, from, 1, size, totals, to);
    } else if (g === last - 1 && reduced) {
      addRows(x, from, size, (groups[last] as Group).size, totals, to);
    } else if (g === last - 1) {
      const n = (groups[last] as Group).size;
      for (let k = 0; k < size; k++) totals[to + k] = (totals[to + k] as number) + sumRow(x, from + k * n, n);
    } else {
      const [inStep, outStep] = [inStride[g] as number, outStride[g] as number];
      for (let k = 0; k < size; k++) walk(g + 1, from + k * inStep, to + k * outStep);
    }
  };
  if (groups.length === 0) totals[0] = x[0] as number;
  else walk(0, 0, 0);
}

const SPLIT = 1 << 12;

/** Totals of whole numbers: as two floats each, high and low bits, which are exact. */
function accumulateWhole(x: Int32Array | Uint8Array, groups: readonly Group[], totals: Float64Array): void {
  accumulate(
    Float32Array.from(x, (v) => Math.floor(v / SPLIT)),
    groups,
    totals,
  );
  totals.forEach((total, i) => {
    totals[i] = total * SPLIT;
  });
  accumulate(
    Float32Array.from(x, (v) => v - Math.floor(v / SPLIT) * SPLIT),
    groups,
    totals,
  );
}

interface ReduceAttrs {
  readonly axis: number | number[];
  readonly keepDims: boolean;
}

function reduction(
  backend: WasmBackend,
  x: tf.TensorInfo,
  { axis, keepDims }: ReduceAttrs,
  dtype: tf.DataType,
  mean: boolean,
) {
  const axes = new Set(tf.util.parseAxisParam(axis, x.shape));
  const shape = x.shape.flatMap((size, i) => (axes.has(i) ? (keepDims ? [1] : []) : [size]));
  const out = backend.makeOutput(shape, dtype);
  const count = x.shape.reduce((n, size, i) => (axes.has(i) ? n * size : n), 1);
  const groups = groupsOf(x.shape, axes);
  const values = backend.typedArrayFromHeap(x);
  const [kept, reduced, none] = groups;
  if (!mean && kept?.reduced === false && reduced !== undefined && none === undefined && x.dtype === "float32") {
    if (values.length > 0) rowTotals(backend as WasmBackend & NativeBackend, x, reduced.size, out);
    return out;
  }
  const totals = new Float64Array(shape.reduce((n, d) => n * d, 1));
  if (values.length > 0) {
    if (values instanceof Float32Array) accumulate(values, groups, totals);
    else accumulateWhole(values, groups, totals);
  }
  const to = backend.typedArrayFromHeap(out);
  // The mean of nothing is 0 / 0.
  if (mean) for (let i = 0; i < to.length; i++) to[i] = (totals[i] as number) / count;
  else to.set(totals);
  return out;
}

interface ScanAttrs {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

/** Running totals along an axis (which may be counted from the end: tfjs's kernel then writes outside its memory). */
function scan(name: string, neutral: number, combine: (total: number, x: number) => number): tf.KernelConfig {
  return heapKernel<ScanAttrs>(name, (backend, { x }, { axis, exclusive, reverse }) => {
    const source = x as tf.TensorInfo;
    const at = tf.util.parseAxisParam(axis, source.shape)[0] as number;
    const n = source.shape[at] as number;
    const inner = source.shape.slice(at + 1).reduce((p, d) => p * d, 1);
    const outer = source.shape.slice(0, at).reduce((p, d) => p * d, 1);
    const info = backend.makeOutput(source.shape, source.dtype);
    const values = backend.typedArrayFromHeap(source);
    const out = backend.typedArrayFromHeap(info);
    const step = reverse ? -inner : inner;
    for (let o = 0; o < outer; o++) {
      for (let j = 0; j < inner; j++) {
        let i = o * n * inner + j + (reverse ? (n - 1) * inner : 0);
        let total = neutral;
        for (let k = 0; k < n; k++, i += step) {
          const next = combine(total, values[i] as number);
          out[i] = exclusive ? total : next;
          total = next;
        }
      }
    }
    return info;
  });
}

export const SUMS: readonly tf.KernelConfig[] = [
  heapKernel<ReduceAttrs>("Sum", (backend, { x }, attrs) =>
    reduction(
      backend,
      x as tf.TensorInfo,
      attrs,
      (x as tf.TensorInfo).dtype === "float32" ? "float32" : "int32",
      false,
    ),
  ),
  heapKernel<ReduceAttrs>("Mean", (backend, { x }, attrs) =>
    reduction(backend, x as tf.TensorInfo, attrs, "float32", true),
  ),
  scan("Cumsum", 0, (total, x) => total + x),
  scan("Cumprod", 1, (total, x) => total * x),
];
