/** Batched matrix products whose leading axes broadcast: tfjs pairs the matrices in flat order, which is wrong in general. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { sizeOf } from "../../core/shape.ts";
import { wrappedKernel } from "./heap.ts";

/** A batch of one, or of the full size, is read rightly; any other is repeated until it is full. */
function broadcastBatch(x: tf.Tensor, batch: readonly number[]): tf.Tensor {
  const own = x.shape.slice(0, -2);
  if (sizeOf(own) === 1 || sizeOf(own) === sizeOf(batch)) return x;
  return tf.broadcastTo(x, [...batch, ...x.shape.slice(-2)]);
}

export const broadcastBatches = wrappedKernel("BatchMatMul", (original, args) => {
  const { a, b } = args.inputs as unknown as { a: tf.Tensor; b: tf.Tensor };
  if (a.dtype !== "float32") {
    fail("unsupported", `matMul of ${a.dtype} tensors: cast both to float32 (exact while every sum stays below 2^24)`);
  }
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (broadcastBatch(a, batch) === a && broadcastBatch(b, batch) === b) return original(args);
  return tf.tidy(() =>
    tf.matMul(
      broadcastBatch(a, batch),
      broadcastBatch(b, batch),
      args.attrs?.transposeA as boolean,
      args.attrs?.transposeB as boolean,
    ),
  );
});
