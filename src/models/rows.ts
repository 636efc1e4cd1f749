/** Networks applied to many rows outside training. */
import type * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../core/array.ts";
import { scope } from "../core/scope.ts";
import { sizeOf } from "../core/shape.ts";
import { type Tree, toTensors } from "../core/tree.ts";
import type { ParamEffect, Program } from "../effects/effects.ts";
import { interpret } from "../effects/interpret.ts";

/** Rows that go through a network at once, outside training. */
const CHUNK = 512;

/** Applies a program row-wise in chunks, so that memory stays bounded. */
export function inChunks(
  x: NdArray,
  params: Tree<NdArray>,
  f: (rows: tf.Tensor) => Program<ParamEffect, tf.Tensor>,
): NdArray {
  const n = x.shape[0] as number;
  const event = x.shape.slice(1);
  const size = sizeOf(event);
  const parts: NdArray[] = [];
  for (let from = 0; from < n; from += CHUNK) {
    const to = Math.min(n, from + CHUNK);
    const rows = ndarray(x.data.subarray(from * size, to * size), [to - from, ...event]);
    parts.push(scope(() => fromTensor(interpret(f(rows.tensor()), { params: toTensors(params) }).result)));
  }
  const outEvent = parts[0]?.shape.slice(1) ?? [];
  const out = new Float32Array(n * sizeOf(outEvent));
  parts.forEach((part, i) => {
    out.set(part.data, i * CHUNK * sizeOf(outEvent));
  });
  return ndarray(out, [n, ...outEvent]);
}
