/** Values of a tensor into memory that is there already: a training step reads millions of them, and need not allocate each time. */
import * as tf from "@tensorflow/tfjs-core";
import type { WasmBackend } from "./kernels/heap.ts";
import { type NativeBackend, nativeLoops } from "./wasm/memory.ts";
import { FLOATS_PER_TURN, unbounded } from "./wasm/unbounded.ts";

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

const loops = nativeLoops(() => [unbounded]);
const WORD = 4;

/** The first value of a tensor that is NaN or +∞; undefined when there is none. */
export function firstUnbounded(tensor: tf.Tensor): number | undefined {
  const values = glance(tensor);
  const turns = Math.floor(values.length / FLOATS_PER_TURN);
  const backend = tf.backend() as unknown as WasmBackend & NativeBackend;
  const native = tf.getBackend() === "wasm" && values instanceof Float32Array && turns > 0 ? loops(backend) : undefined;
  let checked = 0;
  if (native !== undefined) {
    // Room first: it may move the memory.
    const out = native.workspace(WORD);
    native.run.unbounded?.(backend.getMemoryOffset(tensor.dataId), turns, out);
    const [found] = new Int32Array((glance(tensor) as Float32Array).buffer, out, 1);
    if (found === 0) checked = turns * FLOATS_PER_TURN;
  }
  const rest = native === undefined ? values : glance(tensor);
  for (let i = checked; i < rest.length; i++) {
    if (!((rest[i] as number) < Number.POSITIVE_INFINITY)) return rest[i];
  }
  return undefined;
}
