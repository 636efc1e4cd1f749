/** Rows of reductions, scans, normalisations and losses. */
import * as tf from "@tensorflow/tfjs-core";
import * as ops from "../../../src/engine/ops.ts";
import { ANY, int, type OpCase, POSITIVE, type Structural, structural, type T4, X } from "./case.ts";

const ROWS: readonly Structural[] = [
  ["sum", [X], (x) => tf.sum(x)],
  ["sum over the first axis", [X], (x) => tf.sum(x, 0)],
  ["sum over two axes", [[2, 3, 4]], (x) => tf.sum(x, [0, 2], true)],
  ["mean", [X], (x) => tf.mean(x)],
  ["mean over an axis", [[2, 3, 4]], (x) => tf.mean(x, -2)],
  ["max", [X], (x) => tf.max(x, 1)],
  ["max over all", [X], (x) => tf.max(x)],
  ["min", [X], (x) => tf.min(x, 0, true)],
  ["prod", [X], (x) => tf.prod(x, 1)],
  ["prod over two axes", [[2, 3, 2]], (x) => tf.prod(x, [0, 2])],
  ["cumsum", [X], (x) => tf.cumsum(x, 1)],
  ["cumsum over the first axis", [X], (x) => tf.cumsum(x, 0, true, true)],
  ["cumsum of many", [[2, 150]], (x) => tf.cumsum(tf.mul(x, 0.1), 1)],
  ["cumsum of many, reversed, exclusive", [[150, 2]], (x) => tf.cumsum(tf.mul(x, 0.1), 0, true, true)],
  ["cumsum over a negative axis", [[2, 3, 2]], (x) => tf.cumsum(x, -2), ANY, (x) => tf.cumsum(x, 1)],
  ["cumprod", [X], (x) => tf.cumprod(x, 1)],
  ["cumprod, exclusive and reverse", [X], (x) => tf.cumprod(x, 0, true, true)],
  ["logSumExp", [X], (x) => ops.logSumExp(x, 1)],
  ["logSumExp over all", [X], (x) => ops.logSumExp(x)],
  ["tf.logSumExp", [X], (x) => tf.logSumExp(x, 0)],
  ["softmax", [X], (x) => tf.softmax(x)],
  ["logSoftmax", [X], (x) => ops.logSoftmax(x)],
  ["tf.logSoftmax", [X], (x) => tf.logSoftmax(x)],
  ["norm", [X], (x) => tf.norm(x, 2, 1), POSITIVE],
  ["variance", [X], (x) => tf.moments(x, 0).variance],
  [
    "batchNorm with scale",
    [[2, 2, 2, 3], [3], [3], [3], [3]],
    (x, m, v, o, s) => tf.batchNorm(x as T4, m as tf.Tensor1D, v as tf.Tensor1D, o as tf.Tensor1D, s as tf.Tensor1D),
    POSITIVE,
  ],
  [
    "batchNorm without scale",
    [[4, 3], [3], [3]],
    (x, m, v) => tf.batchNorm2d(x as tf.Tensor2D, m as tf.Tensor1D, v as tf.Tensor1D),
    POSITIVE,
  ],
  ["softmax cross-entropy", [X], (x) => tf.neg(tf.sum(tf.mul(tf.oneHot(int(0, 1, 3), 4), ops.logSoftmax(x)), 1))],
  ["sigmoidCrossEntropy", [X], (x) => tf.losses.sigmoidCrossEntropy(tf.ones([3, 4]), x)],
];

export const REDUCTIONS: readonly OpCase[] = ROWS.map(structural);
