/**
 * Sums, means and scans accumulated in double precision. tfjs's wasm kernels keep one float32 accumulator: the sum of a
 * million tenths comes out one per cent too large, and a likelihood over many data loses its last digits first.
 */
import * as tf from "@tensorflow/tfjs-core";
import { heapKernel, type Values, type WasmBackend } from "./heap.ts";

type Source = Values | Float64Array;

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
function sumRow(x: Source, from: number, n: number): number {
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

/** x of shape [outer, n, inner] summed over n, times `scale`. */
function sumAxis(x: Source, out: Source, outer: number, n: number, inner: number, scale: number): void {
  if (inner === 1) {
    for (let o = 0; o < outer; o++) out[o] = sumRow(x, o * n, n) * scale;
    return;
  }
  const row = new Float64Array(inner);
  for (let o = 0; o < outer; o++) {
    row.fill(0);
    for (let k = 0, at = o * n * inner; k < n; k++, at += inner) {
      for (let j = 0; j < inner; j++) row[j] = (row[j] as number) + (x[at + j] as number);
    }
    for (let j = 0; j < inner; j++) out[o * inner + j] = (row[j] as number) * scale;
  }
}

/** Sums out every reduced group, the last one first; what lies between stays in double precision. */
function reduce(x: Source, groups: Group[], out: Values, scale: number): void {
  const at = groups.findLastIndex((group) => group.reduced);
  if (at < 0) {
    for (let i = 0; i < out.length; i++) out[i] = (x[i] as number) * scale;
    return;
  }
  const size = (from: number, to: number) => groups.slice(from, to).reduce((n, g) => n * g.size, 1);
  const [outer, n, inner] = [size(0, at), (groups[at] as Group).size, size(at + 1, groups.length)];
  const left = groups.filter((_, i) => i !== at);
  if (!left.some((group) => group.reduced)) {
    sumAxis(x, out, outer, n, inner, scale);
    return;
  }
  const partial = new Float64Array(outer * inner);
  sumAxis(x, partial, outer, n, inner, 1);
  const merged: Group[] = [];
  for (const group of left) {
    const last = merged[merged.length - 1];
    if (last !== undefined && last.reduced === group.reduced) last.size *= group.size;
    else merged.push({ ...group });
  }
  reduce(partial, merged, out, scale);
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
  // A group of size zero sums to zero; its mean is 0 / 0.
  reduce(backend.typedArrayFromHeap(x), groupsOf(x.shape, axes), backend.typedArrayFromHeap(out), mean ? 1 / count : 1);
  if (mean && count === 0) backend.typedArrayFromHeap(out).fill(Number.NaN);
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
