/** Reading a tensor's values without allocating: a training step reads millions of them. */
import * as tf from "@tensorflow/tfjs-core";
import type { WasmBackend } from "./kernels/heap.ts";
import { type NativeBackend, nativeLoops } from "./wasm/memory.ts";
import { FLOATS_PER_ITERATION, nanOrInfinity } from "./wasm/nan-or-infinity.ts";

/** Copies the values of a float tensor to `to[at …]`. */
export function readInto(tensor: tf.Tensor, to: Float32Array, at: number): void {
  if (tf.getBackend() !== "wasm") {
    to.set(tensor.dataSync() as Float32Array, at);
    return;
  }
  const backend = tf.backend() as unknown as WasmBackend;
  to.set(backend.typedArrayFromHeap(tensor), at);
}

/** The values of a tensor, as a view where possible: valid until the next op, and read-only. */
export function readView(tensor: tf.Tensor): ArrayLike<number> {
  if (tf.getBackend() !== "wasm") return tensor.dataSync();
  return (tf.backend() as unknown as WasmBackend).typedArrayFromHeap(tensor);
}

const loops = nativeLoops(() => [nanOrInfinity]);
const WORD = 4;

/** The first value of a tensor that is NaN or +∞; undefined when there is none. */
export function firstNanOrInfinity(tensor: tf.Tensor): number | undefined {
  const values = readView(tensor);
  const iterations = Math.floor(values.length / FLOATS_PER_ITERATION);
  const backend = tf.backend() as unknown as WasmBackend & NativeBackend;
  const native =
    tf.getBackend() === "wasm" && values instanceof Float32Array && iterations > 0 ? loops(backend) : undefined;
  let checked = 0;
  if (native !== undefined) {
    // Allocate first: it may move the memory.
    const out = native.workspace(WORD);
    native.run.nanOrInfinity?.(backend.getMemoryOffset(tensor.dataId), iterations, out);
    const [found] = new Int32Array((readView(tensor) as Float32Array).buffer, out, 1);
    if (found === 0) checked = iterations * FLOATS_PER_ITERATION;
  }
  const rest = native === undefined ? values : readView(tensor);
  for (let i = checked; i < rest.length; i++) {
    if (!((rest[i] as number) < Number.POSITIVE_INFINITY)) return rest[i];
  }
  return undefined;
}
