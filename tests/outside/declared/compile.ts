/** Compiled functions as exported constants. */
import * as tf from "@tensorflow/tfjs-core";
import { compile, hostTensor } from "tilted/compile";

export const double = compile(({ x }) => ({ y: tf.mul(x as tf.Tensor, 2) }));
export const exact = compile(({ x }) => ({ y: tf.mul(x as tf.Tensor, 2) }), { dtype: "float64" });
export const made = () => hostTensor(() => new Float32Array(2), [2]);
