/** Values of a tensor into memory that is there already: a training step reads millions of them, and need not allocate each time. */
import * as tf from "@tensorflow/tfjs-core";
import type { WasmBackend } from "./kernels/heap.ts";

/** Copies the values of a float tensor to `to[at …]`. */
export function readInto(tensor: tf.Tensor, to: Float32Array, at: number): void {
  if (tf.getBackend() !== "wasm") {
    to.set(tensor.dataSync() as Float32Array, at);
    return;
  }
  const backend = tf.backend() as unknown as WasmBackend;
  to.set(backend.typedArrayFromHeap(tensor), at);
}

/** The values of a tensor, without a copy where that can be: to be read before the next op, and never to be written. */
export function glance(tensor: tf.Tensor): ArrayLike<number> {
  if (tf.getBackend() !== "wasm") return tensor.dataSync();
  return (tf.backend() as unknown as WasmBackend).typedArrayFromHeap(tensor);
}
