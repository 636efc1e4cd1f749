/** Second derivatives through ops that keep their output, or whose gradients have none. */
import * as tf from "@tensorflow/tfjs-core";
import { at, d2, type T4, type Trap } from "./trap.ts";

const X = 0.7;
const S = 1 / (1 + Math.exp(-X));
const T = Math.tanh(X);

export const SECOND: readonly Trap[] = [
  {
    name: "exp, second derivative of x eˣ",
    run: () => d2((x) => tf.mul(x, tf.exp(x)), at(X)),
    truth: [(2 + X) * Math.exp(X)],
    plain: "wrong",
  },
  {
    name: "sigmoid, second derivative",
    run: () => d2(tf.sigmoid, at(X)),
    truth: [S * (1 - S) * (1 - 2 * S)],
    plain: "throws",
  },
  {
    name: "SiLU, second derivative",
    run: () => d2((x) => tf.mul(x, tf.sigmoid(x)), at(X)),
    truth: [S * (1 - S) * (2 + X * (1 - 2 * S))],
    plain: "wrong",
  },
  {
    name: "tanh, second derivative of x tanh x",
    run: () => d2((x) => tf.mul(x, tf.tanh(x)), at(X)),
    truth: [2 * (1 - T * T) - 2 * X * T * (1 - T * T)],
    plain: "wrong",
  },
  {
    name: "softmax, second derivative of x times its probability against 0",
    run: () => d2((x) => tf.mul(tf.slice(tf.softmax(tf.concat([x, at(0)])), 0, 1), x), at(X)),
    truth: [S * (1 - S) * (2 + X * (1 - 2 * S))],
    plain: "wrong",
  },
  {
    name: "logSoftmax, second derivative of x times its log-probability against 0",
    run: () => d2((x) => tf.mul(tf.slice(tf.logSoftmax(tf.concat([x, at(0)])), 0, 1), x), at(X)),
    truth: [(1 - S) * (2 - X * S)],
    plain: "wrong",
  },
  { name: "elu, second derivative", run: () => d2(tf.elu, at(-X)), truth: [Math.exp(-X)], plain: "throws" },
  {
    name: "elu, second derivative where the exponential overflows",
    run: () => d2((x) => tf.mul(x, tf.elu(x)), at(100)),
    truth: [2],
    plain: "throws",
  },
  {
    name: "selu, second derivative where the exponential overflows",
    run: () => d2((x) => tf.mul(x, tf.selu(x)), at(100)),
    truth: [2 * 1.0507009873554805],
    plain: "throws",
  },
  {
    name: "pow, second derivative in the exponent of x 2ˣ",
    run: () => d2((x) => tf.mul(x, tf.pow(2, x)), at(X)),
    truth: [2 ** X * Math.LN2 * (2 + X * Math.LN2)],
    plain: "wrong",
  },
  {
    name: "max, second derivative of its square",
    run: () => d2((x) => tf.square(tf.max(x)), at(1, 2)),
    truth: [0, 2],
    plain: "throws",
  },
  {
    name: "min, second derivative of its square",
    run: () => d2((x) => tf.square(tf.min(x)), at(1, 2)),
    truth: [2, 0],
    plain: "throws",
  },
  {
    name: "clipByValue, second derivative of its square",
    run: () => d2((x) => tf.square(tf.clipByValue(x, -1, 1)), at(0.5, 2)),
    truth: [2, 0],
    plain: "throws",
  },
  {
    name: "relu6, second derivative of its square",
    run: () => d2((x) => tf.square(tf.relu6(x)), at(2, 7)),
    truth: [2, 0],
    plain: "throws",
  },
  {
    name: "leakyRelu, second derivative of its square",
    run: () => d2((x) => tf.square(tf.leakyRelu(x, 0.5)), at(-1, 2)),
    truth: [0.5, 2],
    plain: "throws",
  },
  {
    name: "prelu, second derivative of its square",
    run: () => d2((x) => tf.square(tf.prelu(x, at(0.5, 0.5))), at(-1, 2)),
    truth: [0.5, 2],
    plain: "throws",
  },
  {
    name: "minimum, second derivative of its square",
    run: () => d2((x) => tf.square(tf.minimum(x, at(3, 1))), at(2, 2)),
    truth: [2, 0],
    plain: "throws",
  },
  {
    name: "logSumExp, second derivative of x times it",
    run: () => d2((x) => tf.mul(x, tf.logSumExp(tf.concat([x, at(0)]))), at(X)),
    truth: [S * (2 + X * (1 - S))],
    plain: "throws",
  },
  {
    name: "prod, second derivative of its square",
    run: () => d2((x) => tf.square(tf.prod(x)), at(2, 3)),
    truth: [2 * 9 + 4 * 6, 2 * 4 + 4 * 6],
    plain: "throws",
  },
  {
    name: "divNoNan, second derivative",
    run: () => d2((x) => tf.divNoNan(at(1, 1), x), at(0, 2)),
    truth: [0, 0.25],
    plain: "throws",
  },
  {
    name: "huberLoss, second derivative",
    run: () => d2((x) => tf.losses.huberLoss(at(0, 0), x, undefined, 1, tf.Reduction.SUM), at(0.5, 3)),
    truth: [1, 0],
    plain: "throws",
  },
  {
    name: "avgPool, second derivative of its square",
    run: () => d2((x) => tf.square(tf.avgPool(tf.reshape(x, [1, 1, 2, 1]) as T4, [1, 2], 1, "valid")), at(1, 2)),
    truth: [1, 1],
    plain: "throws",
  },
  {
    name: "resizeBilinear, second derivative of its square",
    run: () => d2((x) => tf.square(tf.image.resizeBilinear(tf.reshape(x, [1, 1, 2, 1]) as T4, [1, 1])), at(1, 2)),
    truth: [2, 0],
    plain: "throws",
  },
  {
    name: "maxPool, second derivative of its square",
    run: () =>
      d2((x) => tf.square(tf.maxPool(x as T4, [1, 2], [1, 2], "valid")), tf.reshape(at(1, 2, 4, 3), [1, 1, 4, 1])),
    truth: [0, 2, 2, 0],
    plain: "throws",
  },
  {
    name: "conv2d, second derivative in the filter",
    run: () =>
      d2(
        (f) =>
          tf.square(tf.conv2d(tf.reshape(at(1, 2), [1, 1, 2, 1]) as T4, tf.reshape(f, [1, 2, 1, 1]) as T4, 1, "valid")),
        at(1, 2),
      ),
    truth: [6, 12],
    plain: "throws",
  },
];
