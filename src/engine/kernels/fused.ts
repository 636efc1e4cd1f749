/** Fused products taken apart: tfjs's wasm kernels add the bias once per block of 48 columns and cache it without its shape. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { einsum } from "../einsum.ts";
import { kernel } from "../gradients/define.ts";
import { composedKernel } from "./heap.ts";

interface Fused {
  readonly activation: string;
  readonly leakyreluAlpha?: number;
}
type Operands = { readonly [name: string]: tf.Tensor | undefined };

/** The leak that tfjs takes when none is given. */
const DEFAULT_LEAK = 0.2;

function activate(x: tf.Tensor, { activation, leakyreluAlpha }: Fused, weights: tf.Tensor | undefined): tf.Tensor {
  switch (activation) {
    case "relu":
      return tf.relu(x);
    case "relu6":
      return tf.relu6(x);
    case "elu":
      return tf.elu(x);
    case "sigmoid":
      return tf.sigmoid(x);
    case "leakyrelu":
      return tf.leakyRelu(x, leakyreluAlpha ?? DEFAULT_LEAK);
    case "prelu":
      return tf.prelu(x, weights as tf.Tensor);
    case "linear":
    case undefined:
      return x;
    default:
      return fail("unsupported", `fused activation "${activation}": apply it after the product`);
  }
}

const finish = (product: tf.Tensor, inputs: Operands, attrs: Fused): tf.Tensor => {
  const biased = inputs.bias ? tf.add(product, inputs.bias) : product;
  return activate(biased, attrs, inputs.preluActivationWeights);
};

export const FUSED_KERNELS: readonly tf.KernelConfig[] = [
  composedKernel<Fused & { transposeA: boolean; transposeB: boolean }>("_FusedMatMul", (inputs, attrs) => {
    const product = tf.matMul(inputs.a as tf.Tensor, inputs.b as tf.Tensor, attrs.transposeA, attrs.transposeB);
    return finish(product, inputs, attrs);
  }),
  composedKernel<Fused>("FusedConv2D", (inputs, attrs) =>
    finish(kernel("Conv2D", { x: inputs.x, filter: inputs.filter }, attrs), inputs, attrs),
  ),
  composedKernel<Fused>("FusedDepthwiseConv2D", (inputs, attrs) =>
    finish(kernel("DepthwiseConv2dNative", { x: inputs.x, filter: inputs.filter }, attrs), inputs, attrs),
  ),
  composedKernel<{ equation: string }>("Einsum", (inputs, { equation }) => einsum(equation, ...Object.values(inputs))),
];
