/** Gradients of matrix products and of Einstein sums, which are matrix products here. */
import * as tf from "@tensorflow/tfjs-core";
import { einsumGradient } from "../einsum.ts";
import { gradient } from "./define.ts";

interface MatMulAttrs {
  transposeA: boolean;
  transposeB: boolean;
}

/** Sums over leading axes along which a matrix of the batch was repeated; tfjs forgets to. */
function unbatch(d: tf.Tensor, shape: readonly number[]): tf.Tensor {
  const axes = tf.broadcast_util.getReductionAxes(shape.slice(0, -2), d.shape.slice(0, -2));
  return tf.reshape(axes.length > 0 ? tf.sum(d, axes) : d, [...shape]);
}

export const PRODUCT: readonly tf.GradConfig[] = [
  gradient<"a" | "b", MatMulAttrs>("BatchMatMul", ["a", "b"], (dy, { a, b }, { transposeA, transposeB }) => ({
    a: () => unbatch(transposeA ? tf.matMul(b, dy, transposeB, true) : tf.matMul(dy, b, false, !transposeB), a.shape),
    b: () => unbatch(transposeB ? tf.matMul(dy, a, true, transposeA) : tf.matMul(a, dy, !transposeA, false), b.shape),
  })),
  {
    kernelName: "Einsum",
    saveAllInputs: true,
    gradFunc: (dy, saved, attrs) =>
      Object.fromEntries(
        saved.map((_, i) => [i, () => einsumGradient(attrs.equation as string, saved, i, dy as tf.Tensor)]),
      ),
  },
];
