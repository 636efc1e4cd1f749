/** Batches of matrix products whose leading axes broadcast: tfjs takes them in a flat order that is right only by chance. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { wrappedKernel } from "./heap.ts";

const size = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** A batch of one, or of the full size, is read rightly; any other is repeated until it is full. */
function filled(x: tf.Tensor, batch: readonly number[]): tf.Tensor {
  const own = x.shape.slice(0, -2);
  if (size(own) === 1 || size(own) === size(batch)) return x;
  return tf.broadcastTo(x, [...batch, ...x.shape.slice(-2)]);
}

export const broadcastBatches = wrappedKernel("BatchMatMul", (original, args) => {
  const { a, b } = args.inputs as unknown as { a: tf.Tensor; b: tf.Tensor };
  if (a.dtype !== "float32") {
    fail("unsupported", `matMul of ${a.dtype} tensors: cast both to float32 (exact while every sum stays below 2^24)`);
  }
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (filled(a, batch) === a && filled(b, batch) === b) return original(args);
  return tf.tidy(() =>
    tf.matMul(filled(a, batch), filled(b, batch), args.attrs?.transposeA as boolean, args.attrs?.transposeB as boolean),
  );
});
