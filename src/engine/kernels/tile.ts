/** Repetition along axes. tfjs's kernel takes a hundred nanoseconds for each element, and every broadcastTo goes through it. */
import type * as tf from "@tensorflow/tfjs-core";
import { heapKernel, type Values } from "./heap.ts";

/** Repeats the `length` elements at `at` in place until the block stands there `times` times. */
function repeatBlock(values: Values, at: number, length: number, times: number): void {
  const end = at + length * times;
  for (let done = at + length; done < end; ) {
    const count = Math.min(done - at, end - done);
    values.copyWithin(done, at, at + count);
    done += count;
  }
}

export const TILE: tf.KernelConfig = heapKernel<{ reps: number[] }>("Tile", (backend, inputs, { reps }) => {
  const x = inputs.x as tf.TensorInfo;
  const rank = Math.max(x.shape.length, reps.length);
  const full = (list: readonly number[]) => [...new Array<number>(rank - list.length).fill(1), ...list];
  const [shape, times] = [full(x.shape), full(reps)];
  const outShape = shape.map((size, axis) => size * (times[axis] as number));
  const out = backend.makeOutput(outShape, x.dtype);
  const from = backend.typedArrayFromHeap(x);
  const to = backend.typedArrayFromHeap(out);
  const strides = (of: readonly number[]) => of.map((_, axis) => of.slice(axis + 1).reduce((n, d) => n * d, 1));
  const [inStride, outStride] = [strides(shape), strides(outShape)];
  /** The first axis from which on nothing is repeated. */
  const plain = times.reduce((last, n, axis) => (n === 1 ? last : axis + 1), 0);
  const write = (axis: number, source: number, target: number): void => {
    const length = inStride[axis - 1] ?? from.length;
    if (axis >= plain) {
      to.set(from.subarray(source, source + length), target);
      return;
    }
    if (length === 1) {
      to.fill(from[source] as number, target, target + (outStride[axis - 1] ?? to.length));
      return;
    }
    const [size, inStep, outStep] = [shape[axis] as number, inStride[axis] as number, outStride[axis] as number];
    for (let k = 0; k < size; k++) write(axis + 1, source + k * inStep, target + k * outStep);
    repeatBlock(to, target, size * outStep, times[axis] as number);
  };
  if (to.length > 0) write(0, 0, 0);
  return out;
});
