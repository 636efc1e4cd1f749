/** loc + scale·noise, skipping the product by 1 and the sum with 0: the draw of a standard normal prior is the noise itself. */
import * as tf from "@tensorflow/tfjs-core";
import { currentTracer } from "../core/tracing.ts";
import { isDifferentiated } from "./kernels/mixture.ts";
import { readView } from "./read.ts";

/** Most entries of a parameter that are compared. */
const MAX_INSPECTED = 64;

/** Whether all entries are this number; false also for large tensors, which are not read. */
const isAll = (x: tf.Tensor, value: number): boolean => {
  if (x.size > MAX_INSPECTED) return false;
  const values = readView(x);
  for (let i = 0; i < values.length; i++) if (values[i] !== value) return false;
  return true;
};

/** The same bits as of the products and sums, for noise that is never −0. The parameters broadcast to the shape of the noise. */
export function affine(loc: tf.Tensor, scale: tf.Tensor, noise: tf.Tensor): tf.Tensor {
  // A gradient or a trace needs the ops, and on other engines a read would wait for the device.
  const plain = currentTracer() === undefined && !isDifferentiated() && tf.getBackend() === "wasm";
  const scaled = plain && isAll(scale, 1) ? noise : tf.mul(scale, noise);
  return plain && isAll(loc, 0) ? scaled : tf.add(loc, scaled);
}
