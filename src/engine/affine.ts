/** loc + scale·noise, without the two passes where they change nothing: noise of a standard normal prior is its draw. */
import * as tf from "@tensorflow/tfjs-core";
import { currentTracer } from "../core/tracing.ts";
import { isDifferentiated } from "./kernels/mixture.ts";
import { glance } from "./read.ts";

/** Most entries of a parameter that are looked at. */
const FEW = 64;

/** Whether all entries are this number, as far as that is seen at once. */
const isAll = (x: tf.Tensor, value: number): boolean => {
  if (x.size > FEW) return false;
  const values = glance(x);
  for (let i = 0; i < values.length; i++) if (values[i] !== value) return false;
  return true;
};

/** The same bits as of the products and sums, for noise that is never −0. The parameters broadcast to the shape of the noise. */
export function affine(loc: tf.Tensor, scale: tf.Tensor, noise: tf.Tensor): tf.Tensor {
  // A gradient or a record wants the ops, and other engines are not to be waited for.
  const plain = currentTracer() === undefined && !isDifferentiated() && tf.getBackend() === "wasm";
  const scaled = plain && isAll(scale, 1) ? noise : tf.mul(scale, noise);
  return plain && isAll(loc, 0) ? scaled : tf.add(loc, scaled);
}
