/** Rows of convolutions and pools. */
import * as tf from "@tensorflow/tfjs-core";
import { ANY, type Domain, IMAGE, type OpCase, type Structural, structural, type T4, X } from "./case.ts";

/** Few elements far apart: differences must not change which is the largest. */
const SMALL = [1, 5, 4, 1] as const;
const FAR_APART: Domain = [-4, 4];

/** Padding spelt out: with a number tfjs's reference engine takes the width of the output from the height of the filter. */
const around = (x: tf.Tensor, n: number, value = 0): T4 =>
  tf.pad(
    x,
    [
      [0, 0],
      [n, n],
      [n, n],
      [0, 0],
    ],
    value,
  ) as T4;
const LOW = -100;

const ROWS: readonly Structural[] = [
  ["conv2d, same", [IMAGE, [3, 2, 3, 2]], (x, f) => tf.conv2d(x as T4, f as T4, 1, "same")],
  ["conv2d, valid, strides", [IMAGE, [3, 2, 3, 2]], (x, f) => tf.conv2d(x as T4, f as T4, 2, "valid")],
  ["conv2d, same, strides", [IMAGE, [3, 3, 3, 2]], (x, f) => tf.conv2d(x as T4, f as T4, [2, 1], "same")],
  ["conv2d, dilations", [IMAGE, [2, 3, 3, 2]], (x, f) => tf.conv2d(x as T4, f as T4, 1, "same", "NHWC", [2, 1])],
  ["conv2d, numeric pad", [IMAGE, [3, 3, 3, 2]], (x, f) => tf.conv2d(x as T4, f as T4, 1, 1)],
  [
    "conv2d, numeric pad, strides",
    [IMAGE, [2, 3, 3, 2]],
    (x, f) => tf.conv2d(x as T4, f as T4, [2, 3], 2),
    ANY,
    (x, f) => tf.conv2d(around(x, 2), f as T4, [2, 3], "valid"),
  ],
  [
    "conv1d",
    [
      [2, 6, 3],
      [3, 3, 2],
    ],
    (x, f) => tf.conv1d(x as tf.Tensor3D, f as tf.Tensor3D, 1, "same"),
  ],
  [
    "conv2dTranspose",
    [
      [1, 3, 3, 2],
      [3, 3, 3, 2],
    ],
    (x, f) => tf.conv2dTranspose(x as T4, f as T4, [1, 6, 6, 3], 2, "same"),
  ],
  [
    "fused.conv2d",
    [IMAGE, [3, 3, 3, 2], [2]],
    (x, f, bias) => tf.fused.conv2d({ x: x as T4, filter: f as T4, strides: 1, pad: "same", bias }),
  ],
  ["depthwiseConv2d", [IMAGE, [3, 2, 3, 2]], (x, f) => tf.depthwiseConv2d(x as T4, f as T4, 1, "same")],
  ["depthwiseConv2d, strides", [IMAGE, [3, 3, 3, 1]], (x, f) => tf.depthwiseConv2d(x as T4, f as T4, 2, "valid")],
  [
    "depthwiseConv2d, dilations",
    [IMAGE, [2, 2, 3, 1]],
    (x, f) => tf.depthwiseConv2d(x as T4, f as T4, 1, "same", "NHWC", 2),
  ],
  [
    "depthwiseConv2d, numeric pad",
    [IMAGE, [2, 3, 3, 1]],
    (x, f) => tf.depthwiseConv2d(x as T4, f as T4, [2, 2], 1),
    ANY,
    (x, f) => tf.depthwiseConv2d(around(x, 1), f as T4, [2, 2], "valid"),
  ],
  [
    "separableConv2d",
    [IMAGE, [2, 2, 3, 1], [1, 1, 3, 2]],
    (x, d, p) => tf.separableConv2d(x as T4, d as T4, p as T4, 1, "same"),
  ],
  ["avgPool", [IMAGE], (x) => tf.avgPool(x as T4, 2, 2, "same")],
  ["avgPool, overlapping", [IMAGE], (x) => tf.avgPool(x as T4, [3, 2], 1, "valid")],
  [
    "avgPool, numeric pad",
    [IMAGE],
    (x) => tf.avgPool(x as T4, [3, 2], 2, 1),
    ANY,
    (x) => {
      const mean = (y: tf.Tensor) => tf.avgPool(around(y, 1), [3, 2], 2, "valid");
      return tf.div(mean(x), mean(tf.onesLike(x)));
    },
  ],
  ["maxPool", [SMALL], (x) => tf.maxPool(x as T4, 2, 2, "same"), FAR_APART],
  ["maxPool, overlapping", [SMALL], (x) => tf.maxPool(x as T4, [3, 2], 1, "valid"), FAR_APART],
  [
    "maxPool, numeric pad",
    [SMALL],
    (x) => tf.maxPool(x as T4, [2, 3], 2, 1),
    FAR_APART,
    (x) => tf.maxPool(around(x, 1, LOW), [2, 3], 2, "valid"),
  ],
  ["addN", [X, X, X], (a, b, c) => tf.addN([a, b, c])],
];

export const CONVOLUTIONS: readonly OpCase[] = ROWS.map(structural);
