/** What is refused; plain tfjs fails, or is wrong without a word. */
import * as tf from "@tensorflow/tfjs-core";
import { at, count, d1, d2, type Refusal, type T4 } from "./trap.ts";

const COMPLEX = /real and imaginary/;

export const REFUSALS: readonly Refusal[] = [
  {
    name: "second derivative of losses.softmaxCrossEntropy",
    run: () => d2((x) => tf.losses.softmaxCrossEntropy(tf.tensor2d([[1, 0]]), tf.reshape(x, [1, 2])), at(1, 2)),
    code: "not-differentiable",
    says: /logSoftmax/,
  },
  {
    name: "gradient of conv3d",
    run: () =>
      d1(
        (x) => tf.conv3d(x as tf.Tensor5D, tf.ones([1, 1, 1, 1, 1]) as tf.Tensor5D, 1, "same"),
        tf.ones([1, 2, 2, 2, 1]),
      ),
    code: "not-differentiable",
    says: /conv2d/,
  },
  {
    name: "gradient of localResponseNormalization",
    run: () => d1((x) => tf.localResponseNormalization(x as T4), tf.ones([1, 1, 1, 4])),
    code: "not-differentiable",
    says: /write the normalisation/,
  },
  {
    name: "gradient of a multinomial draw",
    run: () => d1((x) => tf.cast(tf.multinomial(x as tf.Tensor1D, 2), "float32"), at(0.1, 0.2)),
    code: "not-differentiable",
    says: /score-function/,
  },
  {
    name: "dilation2d",
    run: () => tf.dilation2d(tf.fill([1, 2, 2, 1], -1) as T4, tf.zeros([1, 1, 1]), 1, "valid"),
    code: "unsupported",
    says: /maximum over shifted/,
    engine: "wasm",
  },
  { name: "complex numbers", run: () => tf.complex(at(1), at(2)), code: "unsupported", says: COMPLEX, engine: "wasm" },
  { name: "rfft", run: () => tf.spectral.rfft(at(1, 2)), code: "unsupported", says: COMPLEX, engine: "wasm" },
  {
    name: "matMul of whole numbers",
    run: () => tf.matMul(tf.cast(count(2, 2), "int32"), tf.cast(count(2, 2), "int32")),
    code: "unsupported",
    says: /cast both to float32/,
    engine: "wasm",
  },
  {
    name: "einsum of three",
    run: () => tf.einsum("i,i,i->i", at(1), at(2), at(3)),
    code: "unsupported",
    says: /one product after another/,
  },
  { name: "einsum of a diagonal", run: () => tf.einsum("ii->i", count(2, 2)), code: "unsupported", says: /diagonal/ },
];
