/**
 * Reading and adding at indices: tfjs's wasm backend lacks the sum over segments, and misreads batched indices and strided
 * slices that drop an axis.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { heapKernel } from "./heap.ts";

interface StridedSliceAttrs {
  readonly begin: number[];
  readonly end: number[];
  readonly strides: number[];
  readonly beginMask: number;
  readonly endMask: number;
  readonly ellipsisMask: number;
  readonly newAxisMask: number;
  readonly shrinkAxisMask: number;
}

/** A slice with strides: where it begins and steps on every axis of the input, how often, and the shape of the result. */
export function stridedRegion(shape: readonly number[], a: StridedSliceAttrs) {
  const info = tf.slice_util.sliceInfo(
    [...shape],
    a.begin,
    a.end,
    a.strides,
    a.beginMask,
    a.endMask,
    a.ellipsisMask,
    a.newAxisMask,
    a.shrinkAxisMask,
  );
  const { begin, end, strides } = info as unknown as { begin: number[]; end: number[]; strides: number[] };
  const counts = shape.map((_, i) =>
    Math.max(0, Math.ceil(((end[i] as number) - (begin[i] as number)) / (strides[i] as number))),
  );
  return { begin, strides, counts, shape: info.finalShape };
}

export const TAKE_KERNELS: readonly tf.KernelConfig[] = [
  heapKernel<{ axis: number; batchDims: number }>("GatherV2", (backend, inputs, attrs) => {
    const { x, indices } = inputs as { x: tf.Tensor; indices: tf.Tensor };
    const axis = tf.util.parseAxisParam(attrs.axis ?? 0, x.shape)[0] as number;
    const info = tf.backend_util.segment_util.collectGatherOpShapeInfo(x, indices, axis, attrs.batchDims ?? 0);
    const out = backend.makeOutput(info.outputShape, x.dtype);
    const from = backend.typedArrayFromHeap(x);
    const at = backend.typedArrayFromHeap(indices);
    const to = backend.typedArrayFromHeap(out);
    const { batchSize, outerSize, dimSize, sliceSize } = info;
    const n = at.length / Math.max(1, batchSize);
    for (const index of at) {
      if (!(index >= 0 && index < dimSize))
        fail("argument", `gather: index ${index} is outside 0 … ${dimSize - 1} of axis ${axis}`);
    }
    let o = 0;
    for (let b = 0; b < batchSize; b++) {
      for (let outer = 0; outer < outerSize; outer++) {
        const base = (b * outerSize + outer) * dimSize;
        for (let k = 0; k < n; k++, o += sliceSize) {
          const start = (base + (at[b * n + k] as number)) * sliceSize;
          if (sliceSize < 16) for (let j = 0; j < sliceSize; j++) to[o + j] = from[start + j] as number;
          else to.set(from.subarray(start, start + sliceSize), o);
        }
      }
    }
    return out;
  }),
  heapKernel<StridedSliceAttrs>("StridedSlice", (backend, inputs, attrs) => {
    const x = inputs.x as tf.TensorInfo;
    const region = stridedRegion(x.shape, attrs);
    const out = backend.makeOutput(region.shape, x.dtype);
    const from = backend.typedArrayFromHeap(x);
    const to = backend.typedArrayFromHeap(out);
    const rank = x.shape.length;
    let o = 0;
    const copy = (axis: number, offset: number): void => {
      if (axis === rank) {
        to[o++] = from[offset] as number;
        return;
      }
      const base = offset * (x.shape[axis] as number) + (region.begin[axis] as number);
      const [count, stride] = [region.counts[axis] as number, region.strides[axis] as number];
      if (axis === rank - 1) for (let i = 0; i < count; i++) to[o++] = from[base + i * stride] as number;
      else for (let i = 0; i < count; i++) copy(axis + 1, base + i * stride);
    };
    copy(0, 0);
    return out;
  }),
  heapKernel<{ numSegments: number }>("UnsortedSegmentSum", (backend, inputs, { numSegments }) => {
    const { x, segmentIds } = inputs as { x: tf.TensorInfo; segmentIds: tf.TensorInfo };
    const inner = x.shape.slice(segmentIds.shape.length).reduce((n, d) => n * d, 1);
    const shape = [numSegments, ...x.shape.slice(segmentIds.shape.length)];
    const out = backend.makeOutput(shape, x.dtype);
    const from = backend.typedArrayFromHeap(x);
    const ids = backend.typedArrayFromHeap(segmentIds);
    const to = backend.typedArrayFromHeap(out);
    // Many rows may meet in one segment: they do so in double precision.
    const sums = new Float64Array(to.length);
    ids.forEach((id, row) => {
      if (id < 0) return;
      if (id >= numSegments) fail("argument", `unsortedSegmentSum: segment ${id} of ${numSegments}`);
      const start = id * inner;
      for (let j = 0; j < inner; j++) sums[start + j] = (sums[start + j] as number) + (from[row * inner + j] as number);
    });
    to.set(sums);
    return out;
  }),
];
