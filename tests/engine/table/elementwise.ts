/** Rows of functions of one or two elements, with their values in double precision. */
import * as tf from "@tensorflow/tfjs-core";
import * as ops from "../../../src/engine/ops.ts";
import { ANY, type Domain, INSIDE, type OpCase, POSITIVE } from "./case.ts";

type Unary = readonly [name: string, run: (x: tf.Tensor) => tf.Tensor, truth: (x: number) => number, domain?: Domain];

/** Abramowitz and Stegun 7.1.5: the series of erf, in double precision. */
function erf(x: number): number {
  let term = x;
  let total = x;
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const SELU = [1.0507009873554805, 1.7580993408473768] as const;

const UNARY: readonly Unary[] = [
  ["abs", tf.abs, Math.abs, [0.2, 2]],
  ["abs of negative", tf.abs, Math.abs, [-2, -0.2]],
  ["acos", tf.acos, Math.acos, INSIDE],
  ["acosh", tf.acosh, Math.acosh, [1.3, 3]],
  ["asin", tf.asin, Math.asin, INSIDE],
  ["asinh", tf.asinh, Math.asinh],
  ["atan", tf.atan, Math.atan],
  ["atanh", tf.atanh, Math.atanh, INSIDE],
  ["cos", tf.cos, Math.cos],
  ["cosh", tf.cosh, Math.cosh],
  ["elu of positive", tf.elu, (x) => x, POSITIVE],
  ["elu of negative", tf.elu, (x) => Math.expm1(x), [-2, -0.2]],
  ["erf", tf.erf, erf],
  ["exp", tf.exp, Math.exp],
  ["expm1", tf.expm1, Math.expm1],
  ["leakyRelu", (x) => tf.leakyRelu(x, 0.1), (x) => 0.1 * x, [-2, -0.2]],
  ["log", tf.log, Math.log, POSITIVE],
  ["log1p", tf.log1p, Math.log1p, [-0.5, 2]],
  ["logSigmoid", ops.logSigmoid, (x) => Math.log(sigmoid(x))],
  ["tf.logSigmoid", tf.logSigmoid, (x) => Math.log(sigmoid(x))],
  ["neg", tf.neg, (x) => -x],
  ["reciprocal", tf.reciprocal, (x) => 1 / x, POSITIVE],
  ["relu", tf.relu, (x) => x, POSITIVE],
  ["relu6", tf.relu6, (x) => x, POSITIVE],
  ["relu6 above 6", tf.relu6, () => 6, [7, 8]],
  ["rsqrt", tf.rsqrt, (x) => 1 / Math.sqrt(x), POSITIVE],
  ["selu of positive", tf.selu, (x) => SELU[0] * x, POSITIVE],
  ["selu of negative", tf.selu, (x) => SELU[1] * Math.expm1(x), [-2, -0.2]],
  ["sigmoid", tf.sigmoid, sigmoid],
  ["silu", (x) => tf.mul(x, tf.sigmoid(x)), (x) => x * sigmoid(x)],
  [
    "gelu",
    (x) => tf.mul(x, tf.mul(0.5, tf.add(1, tf.erf(tf.div(x, Math.SQRT2))))),
    (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  ],
  ["sin", tf.sin, Math.sin],
  ["sinh", tf.sinh, Math.sinh],
  ["softplus", tf.softplus, (x) => Math.log1p(Math.exp(x))],
  ["mish", (x) => tf.mul(x, tf.tanh(tf.softplus(x))), (x) => x * Math.tanh(Math.log1p(Math.exp(x)))],
  ["sqrt", tf.sqrt, Math.sqrt, POSITIVE],
  ["square", tf.square, (x) => x * x],
  ["tan", tf.tan, Math.tan, INSIDE],
  ["tanh", tf.tanh, Math.tanh],
  ["pow 2.5", (x) => tf.pow(x, 2.5), (x) => x ** 2.5, POSITIVE],
  ["pow 3 of negative", (x) => tf.pow(x, 3), (x) => x ** 3, [-2, -0.2]],
  ["power as exponent", (x) => tf.pow(2, x), (x) => 2 ** x],
  ["clipByValue", (x) => tf.clipByValue(x, -5, 5), (x) => x],
  ["clipByValue outside", (x) => tf.clipByValue(x, -5, -4), () => -4],
  ["prelu", (x) => tf.prelu(x, tf.scalar(0.3)), (x) => 0.3 * x, [-2, -0.2]],
  ["where", (x) => tf.where(tf.greater(x, 0), tf.square(x), tf.exp(x)), (x) => (x > 0 ? x * x : Math.exp(x)), [0.1, 2]],
  [
    "huber",
    (x) => tf.losses.huberLoss(tf.zerosLike(x), x, undefined, 1, tf.Reduction.NONE),
    (x) => (x * x) / 2,
    INSIDE,
  ],
  ["divNoNan", (x) => tf.divNoNan(x, tf.scalar(3)), (x) => x / 3],
  ["cast", (x) => tf.cast(x, "float32"), (x) => x],
  ["maximum with a scalar", (x) => tf.maximum(x, 0.1), (x) => x, POSITIVE],
  ["minimum with a scalar", (x) => tf.minimum(x, 0.1), () => 0.1, POSITIVE],
];

type Binary = readonly [
  name: string,
  run: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  truth: (a: number, b: number) => number,
  domain?: Domain,
];

const BINARY: readonly Binary[] = [
  ["add", tf.add, (a, b) => a + b],
  ["sub", tf.sub, (a, b) => a - b],
  ["mul", tf.mul, (a, b) => a * b],
  ["div", tf.div, (a, b) => a / b, POSITIVE],
  ["maximum", tf.maximum, Math.max],
  ["minimum", tf.minimum, Math.min],
  ["pow", tf.pow, (a, b) => a ** b, POSITIVE],
  ["atan2", tf.atan2, Math.atan2, POSITIVE],
  [
    "mod",
    (a, b) => tf.mod(tf.add(tf.mul(a, 0.3), 10), tf.add(tf.mul(b, 0.1), 2.9)),
    (a, b) => (0.3 * a + 10) % (0.1 * b + 2.9),
  ],
  ["squaredDifference", tf.squaredDifference, (a, b) => (a - b) ** 2],
  ["prelu of both", tf.prelu, (a, b) => (a > 0 ? a : a * b)],
];

const FLAT: readonly Unary[] = [
  ["ceil", tf.ceil, Math.ceil],
  ["floor", tf.floor, Math.floor],
  ["round", tf.round, Math.round],
  ["sign", tf.sign, Math.sign],
  ["step", (x) => tf.step(x), (x) => (x > 0 ? 1 : 0)],
  ["cast to whole numbers", (x) => tf.cast(tf.cast(x, "int32"), "float32"), Math.trunc],
  ["zerosLike", tf.zerosLike, () => 0],
  ["stopGradient", ops.stopGradient, (x) => x],
  ["greater", (x) => tf.cast(tf.greater(x, 0), "float32"), (x) => (x > 0 ? 1 : 0)],
];

const VECTOR = [6] as const;

export const ELEMENTWISE: readonly OpCase[] = [
  ...UNARY.map(([name, run, truth, domain = ANY]) => ({ name, shapes: [VECTOR], domain, run, truth })),
  ...FLAT.map(([name, run, truth, domain = ANY]) => ({
    name,
    shapes: [VECTOR],
    domain,
    run,
    truth,
    flat: true as const,
  })),
  ...BINARY.map(([name, run, truth, domain = ANY]) => ({ name, shapes: [VECTOR, VECTOR], domain, run, truth })),
  // Each also with both inputs broadcast: a gradient must then sum.
  ...BINARY.map(([name, run, , domain = ANY]) => ({
    name: `${name}, broadcast`,
    shapes: [
      [2, 1, 3],
      [4, 1],
    ],
    domain,
    run,
    reference: run,
  })),
];
