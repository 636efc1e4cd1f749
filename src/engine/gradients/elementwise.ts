/** Gradients of functions of one element. */
import * as tf from "@tensorflow/tfjs-core";
import { gradient, unary, unaryOfOutput, zeroGradient } from "./define.ts";

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);
/** SELU's λ (Klambauer et al. 2017). */
export const SELU_SCALE = 1.0507009873554805;
/** λα. */
export const SELU_SCALE_ALPHA = 1.7580993408473768;

const one = (): tf.Scalar => tf.scalar(1);

/** exp where x is negative and 1 elsewhere: an exponential that is masked out must not overflow, or its derivative is 0 · ∞. */
const expOfNegative = (x: tf.Tensor): tf.Tensor => tf.exp(tf.minimum(x, 0));

export const ELEMENTWISE: readonly tf.GradConfig[] = [
  // At 0 the slope is −1, as in tfjs: the usual forms of softplus and of cross-entropy, relu(x) + log1p(exp(−|x|)), rely on
  // it for their slope of one half there.
  unary("Abs", (x) => tf.step(x, -1)),
  unary("Acos", (x) => tf.neg(tf.rsqrt(tf.sub(one(), tf.square(x))))),
  unary("Acosh", (x) => tf.rsqrt(tf.sub(tf.square(x), one()))),
  unary("Asin", (x) => tf.rsqrt(tf.sub(one(), tf.square(x)))),
  unary("Asinh", (x) => tf.rsqrt(tf.add(one(), tf.square(x)))),
  unary("Atan", (x) => tf.reciprocal(tf.add(one(), tf.square(x)))),
  unary("Atanh", (x) => tf.reciprocal(tf.sub(one(), tf.square(x)))),
  unary("Cos", (x) => tf.neg(tf.sin(x))),
  unary("Cosh", (x) => tf.sinh(x)),
  unary("Elu", (x) => tf.where(tf.greater(x, 0), tf.onesLike(x), expOfNegative(x))),
  unary("Erf", (x) => tf.mul(tf.exp(tf.neg(tf.square(x))), TWO_OVER_SQRT_PI)),
  unaryOfOutput("Exp", (y) => y),
  unary("Expm1", (x) => tf.exp(x)),
  gradient("Log", ["x"], (dy, { x }) => ({ x: () => tf.div(dy, x) })),
  gradient("Log1p", ["x"], (dy, { x }) => ({ x: () => tf.div(dy, tf.add(x, one())) })),
  gradient("Neg", [], (dy) => ({ x: () => tf.neg(dy) })),
  unaryOfOutput("Reciprocal", (y) => tf.neg(tf.square(y))),
  unary("Relu", (x) => tf.step(x)),
  unary("Relu6", (x) => tf.cast(tf.logicalAnd(tf.greater(x, 0), tf.less(x, 6)), "float32")),
  unaryOfOutput("Rsqrt", (y) => tf.mul(tf.mul(tf.square(y), y), -0.5)),
  unary("Selu", (x) =>
    tf.where(tf.greater(x, 0), tf.mul(tf.onesLike(x), SELU_SCALE), tf.mul(expOfNegative(x), SELU_SCALE_ALPHA)),
  ),
  unaryOfOutput("Sigmoid", (y) => tf.mul(y, tf.sub(one(), y))),
  unary("Sin", (x) => tf.cos(x)),
  unary("Sinh", (x) => tf.cosh(x)),
  unary("Softplus", (x) => tf.sigmoid(x)),
  gradient("Sqrt", ["y"], (dy, { y }) => ({ x: () => tf.div(dy, tf.mul(y, 2)) })),
  unary("Square", (x) => tf.mul(x, 2)),
  unaryOfOutput("Tan", (y) => tf.add(one(), tf.square(y))),
  unaryOfOutput("Tanh", (y) => tf.sub(one(), tf.square(y))),
  gradient<"x", { alpha: number }>("LeakyRelu", ["x"], (dy, { x }, { alpha }) => ({
    x: () => tf.where(tf.greater(x, 0), dy, tf.mul(dy, alpha)),
  })),
  gradient<"x", { clipValueMin: number; clipValueMax: number }>("ClipByValue", ["x"], (dy, { x }, attrs) => ({
    x: () =>
      tf.where(
        tf.logicalAnd(tf.greaterEqual(x, attrs.clipValueMin), tf.lessEqual(x, attrs.clipValueMax)),
        dy,
        tf.zerosLike(dy),
      ),
  })),
  gradient("Identity", [], (dy) => ({ x: () => tf.cast(dy, "float32") })),
  // A cast to whole numbers is a step function: tfjs passes the derivative straight through it.
  gradient<"x", { dtype: tf.DataType }>("Cast", ["x"], (dy, { x }, { dtype }) => ({
    x: () => (dtype === "float32" && x.dtype === "float32" ? tf.clone(dy) : tf.zeros(x.shape)),
  })),
  ...[
    "Ceil",
    "Floor",
    "IsFinite",
    "IsInf",
    "IsNan",
    "LogicalNot",
    "OnesLike",
    "Round",
    "Sign",
    "Step",
    "ZerosLike",
  ].map((name) => zeroGradient(name, ["x"])),
];
