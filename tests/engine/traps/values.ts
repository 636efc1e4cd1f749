/** Values that the wasm backend gets wrong. */
import * as tf from "@tensorflow/tfjs-core";
import { at, count, int, type T4, type Trap } from "./trap.ts";

export const VALUES: readonly Trap[] = [
  {
    name: "sum of a million tenths",
    run: () => tf.div(tf.sum(tf.fill([1_000_000], 0.1)), 1e5),
    truth: [1],
    plain: "wrong",
  },
  { name: "mean of a million tenths", run: () => tf.mean(tf.fill([1_000_000], 0.1)), truth: [0.1], plain: "wrong" },
  {
    name: "last cumulative sum of a million tenths",
    run: () => tf.div(tf.slice(tf.cumsum(tf.fill([1_000_000], 0.1)), 999_999, 1), 1e5),
    truth: [1],
    plain: "wrong",
  },
  {
    name: "maximum(1, NaN)",
    run: () => tf.maximum(at(1, Number.NaN, 1), at(Number.NaN, 1, 2)),
    truth: [Number.NaN, Number.NaN, 2],
    plain: "wrong",
  },
  {
    name: "minimum(1, NaN)",
    run: () => tf.minimum(at(1, Number.NaN, 1), at(Number.NaN, 1, 2)),
    truth: [Number.NaN, Number.NaN, 1],
    plain: "wrong",
  },
  {
    name: "clipByValue(NaN)",
    run: () => tf.clipByValue(at(Number.NaN, 5), -1, 1),
    truth: [Number.NaN, 1],
    plain: "wrong",
  },
  { name: "relu6(NaN)", run: () => tf.relu6(at(Number.NaN, 7)), truth: [Number.NaN, 6], plain: "wrong" },
  { name: "sign of a small number", run: () => tf.sign(at(1e-8, -1e-30, 0, 3)), truth: [1, -1, 0, 1], plain: "wrong" },
  // TensorFlow takes subnormal numbers for zero everywhere.
  {
    name: "sign of a subnormal",
    run: () => tf.sign(at(1e-40, -1e-44)),
    truth: [1, -1],
    plain: "wrong",
    engine: "wasm",
  },
  {
    name: "truth of one half",
    run: () => tf.cast(tf.cast(at(0.5, 0, -0.1), "bool"), "float32"),
    truth: [1, 0, 1],
    plain: "wrong",
  },
  {
    name: "oneHot of floats",
    run: () => tf.oneHot(int(1, -1, 3, 0), 2, 2.5, -1, "float32"),
    truth: [-1, 2.5, -1, -1, -1, -1, 2.5, -1],
    plain: "wrong",
    engine: "wasm",
  },
  {
    name: "log1p of small numbers",
    run: () => tf.mul(tf.log1p(at(1e-8, -1e-5)), at(1e8, 1e5)),
    truth: [1, -1.000005],
    plain: "wrong",
    engine: "wasm",
  },
  {
    name: "selu of small numbers",
    run: () => tf.mul(tf.selu(at(-1e-8, 1)), at(1e8, 1)),
    truth: [-1.7580993408473768, 1.0507009873554805],
    plain: "wrong",
    engine: "wasm",
  },
  {
    name: "gather with a batch",
    run: () =>
      tf.gather(
        count(3, 4, 2),
        tf.tensor2d(
          [
            [2, 0],
            [1, 1],
            [3, 3],
          ],
          [3, 2],
          "int32",
        ),
        1,
        1,
      ),
    truth: [4, 5, 0, 1, 10, 11, 10, 11, 22, 23, 22, 23],
    plain: "wrong",
  },
  {
    name: "stridedSlice that drops an axis",
    run: () => tf.stridedSlice(count(3, 2), [0, 1], [3, 2], [2, 1], 0, 0, 0, 0, 2),
    truth: [1, 5],
    plain: "wrong",
  },
  {
    name: "matMul with broadcast batches",
    run: () => tf.matMul(tf.reshape(at(1, 2), [2, 1, 1, 1]), tf.reshape(at(1, 10), [1, 2, 1, 1])),
    truth: [1, 10, 2, 20],
    plain: "wrong",
  },
  {
    name: "matMul by weights used before with another shape",
    run: () => {
      const weights = count(6, 4);
      tf.matMul(tf.ones([1, 6]), weights);
      return tf.matMul(tf.ones([1, 8]), tf.reshape(weights, [8, 3]));
    },
    truth: [84, 92, 100],
    plain: "corrupts",
  },
  {
    name: "matMul with weights that were reshaped",
    run: () => {
      const weights = count(3, 2);
      tf.matMul(tf.ones([1, 3]), weights);
      return tf.matMul(tf.ones([1, 2]), tf.reshape(weights, [2, 3]));
    },
    truth: [3, 5, 7],
    plain: "wrong",
  },
  {
    name: "fused.matMul with bias, transposed",
    run: () => tf.fused.matMul({ a: tf.ones([1, 100]), b: tf.ones([2, 100]), transposeB: true, bias: at(1, 2) }),
    truth: [101, 102],
    plain: "wrong",
  },
  {
    name: "fused.matMul with bias, of batches",
    run: () =>
      tf.slice(
        tf.fused.matMul({ a: tf.ones([2, 1, 100]), b: tf.ones([2, 100, 2]), bias: at(1, 2) }),
        [1, 0, 0],
        [1, 1, 2],
      ),
    truth: [101, 102],
    plain: "wrong",
  },
  {
    name: "einsum, value",
    run: () => tf.einsum("bij,bjk->bik", count(1, 1, 2), count(1, 2, 1)),
    truth: [1],
    plain: "throws",
  },
  {
    name: "unsortedSegmentSum",
    run: () => tf.unsortedSegmentSum(at(1, 2, 3), int(1, 0, 1), 2),
    truth: [2, 4],
    plain: "throws",
  },
  {
    name: "product of tensors of rank seven",
    run: () => tf.mul(tf.reshape(at(2, 3), [1, 1, 1, 1, 1, 1, 2]), tf.reshape(at(1, 10), [2, 1, 1, 1, 1, 1, 1])),
    truth: [2, 3, 20, 30],
    plain: "wrong",
  },
  {
    name: "prelu with its alpha broadcast",
    run: () => tf.prelu(tf.fill([2, 2], -1), tf.tensor2d([[1], [2]])),
    truth: [-1, -1, -2, -2],
    plain: "corrupts",
  },
  { name: "cumsum on a negative axis", run: () => tf.cumsum(count(2, 2), -2), truth: [0, 1, 2, 4], plain: "corrupts" },
  {
    name: "conv2d with a numeric pad and a filter that is not square",
    run: () => tf.conv2d(tf.ones([1, 2, 2, 1]) as T4, tf.ones([1, 2, 1, 1]) as T4, 1, 1),
    truth: [0, 0, 0, 1, 2, 1, 1, 2, 1, 0, 0, 0],
    plain: "corrupts",
  },
  {
    name: "maxPool with a numeric pad and a window that is not square",
    run: () => tf.maxPool(count(1, 1, 3, 1) as T4, [3, 2], 1, 1),
    truth: [0, 1, 2, 2],
    plain: "corrupts",
  },
];
