/** Rows of matrix products and Einstein sums. */
import * as tf from "@tensorflow/tfjs-core";
import { einsum } from "../../../src/engine/einsum.ts";
import { ANY, type OpCase, type Structural, structural } from "./case.ts";

const ROWS: readonly Structural[] = [
  [
    "matMul",
    [
      [3, 4],
      [4, 2],
    ],
    (a, b) => tf.matMul(a, b),
  ],
  [
    "matMul, first transposed",
    [
      [4, 3],
      [4, 2],
    ],
    (a, b) => tf.matMul(a, b, true, false),
  ],
  [
    "matMul, second transposed",
    [
      [3, 4],
      [2, 4],
    ],
    (a, b) => tf.matMul(a, b, false, true),
  ],
  [
    "matMul, both transposed",
    [
      [4, 3],
      [2, 4],
    ],
    (a, b) => tf.matMul(a, b, true, true),
  ],
  [
    "matMul of batches",
    [
      [2, 3, 4],
      [2, 4, 2],
    ],
    (a, b) => tf.matMul(a, b),
  ],
  [
    "matMul of a batch and a matrix",
    [
      [2, 3, 4],
      [4, 2],
    ],
    (a, b) => tf.matMul(a, b),
  ],
  [
    "matMul with a broadcast batch",
    [
      [2, 1, 3, 4],
      [1, 3, 4, 2],
    ],
    (a, b) => tf.matMul(a, b),
    ANY,
    (a, b) => tf.sum(tf.mul(tf.expandDims(a, -1), tf.expandDims(b, -3)), -2),
  ],
  [
    "matMul with a broadcast batch, transposed",
    [
      [1, 4, 3],
      [2, 2, 4],
    ],
    (a, b) => tf.matMul(a, b, true, true),
  ],
  ["dot", [[4], [4]], (a, b) => tf.dot(a, b)],
  ["outerProduct", [[3], [4]], (a, b) => tf.outerProduct(a as tf.Tensor1D, b as tf.Tensor1D)],
  ["fused.matMul", [[3, 60], [60, 2], [2]], (a, b, bias) => tf.fused.matMul({ a, b, bias }), [-0.3, 0.3]],
  [
    "fused.matMul with relu, transposed",
    [[3, 60], [2, 60], [2]],
    (a, b, bias) => tf.fused.matMul({ a, b, bias, transposeB: true, activation: "relu" }),
    [0.01, 0.3],
  ],
  [
    "einsum",
    [
      [2, 3, 4],
      [4, 3, 5],
    ],
    (a, b) => einsum("bij,jik->bk", a, b),
  ],
  ["einsum of one", [[2, 3, 4]], (a) => einsum("bij->jb", a)],
  [
    "tf.einsum",
    [
      [2, 3, 4],
      [2, 4, 5],
    ],
    (a, b) => tf.einsum("bij,bjk->bik", a, b),
  ],
  [
    "tf.einsum with a label of one operand",
    [
      [2, 3],
      [3, 4],
    ],
    (a, b) => tf.einsum("ij,jk->i", a, b),
  ],
];

export const PRODUCTS: readonly OpCase[] = ROWS.map(structural);
