/** Gradients of functions of two broadcast elements: each sums over the axes along which its input was broadcast. */
import * as tf from "@tensorflow/tfjs-core";
import type { WasmBackend } from "../kernels/heap.ts";
import { gradient, unbroadcast, zeroGradient } from "./define.ts";

/** d/da and d/db of a function of `a` and `b`, each times `dy`, in the broadcast shape. */
type Partials = (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor, y: tf.Tensor) => { a: () => tf.Tensor; b: () => tf.Tensor };

const binary = (kernelName: string, partials: Partials, keepsOutput = false): tf.GradConfig =>
  gradient(kernelName, keepsOutput ? ["a", "b", "y"] : ["a", "b"], (dy, { a, b, y }) => {
    const of = partials(dy, a, b, y);
    return { a: () => unbroadcast(of.a(), a.shape), b: () => unbroadcast(of.b(), b.shape) };
  });

const float = (x: tf.Tensor): tf.Tensor => tf.cast(x, "float32");
const masked = (mask: tf.Tensor, x: tf.Tensor): tf.Tensor => tf.mul(x, float(mask));

/** Whether an element may be zero: it may where the values are not at hand. */
const mayHaveZero = (x: tf.Tensor): boolean =>
  tf.getBackend() !== "wasm" || (tf.backend() as unknown as WasmBackend).typedArrayFromHeap(x).includes(0);

/**
 * `b` as a divisor of derivatives: 1 where it is zero and nothing depends on the quotient, as behind the mask of tf.divNoNan.
 * There 0/0 would be NaN. The quotient itself shows a division by zero that is not masked.
 */
function divisor(dy: tf.Tensor, b: tf.Tensor): tf.Tensor {
  if (!mayHaveZero(b)) return float(b);
  const unused = tf.logicalAnd(tf.equal(dy, 0), tf.equal(b, 0));
  return tf.where(unused, tf.onesLike(dy), float(b));
}

/** Exponents from which on the power is flat at zero, also under a root. */
const FLAT = 2;

/** 0 where a = 0 and b ≥ 2, whatever the derivative: of the norm √Σ|x|² at zero, where its slope is ∞ · 0, this is a subgradient. */
function flatAtZero(a: tf.Tensor, b: tf.Tensor, slope: tf.Tensor): tf.Tensor {
  if (!mayHaveZero(a)) return slope;
  return tf.where(tf.logicalAnd(tf.equal(a, 0), tf.greaterEqual(b, FLAT)), tf.zerosLike(slope), slope);
}

export const BINARY: readonly tf.GradConfig[] = [
  binary("Add", (dy) => ({ a: () => dy, b: () => dy })),
  binary("Sub", (dy) => ({ a: () => dy, b: () => tf.neg(dy) })),
  binary("Multiply", (dy, a, b) => ({ a: () => tf.mul(dy, float(b)), b: () => tf.mul(dy, float(a)) })),
  binary("RealDiv", (dy, a, b) => ({
    a: () => tf.div(dy, divisor(dy, b)),
    // a / b / b and not a / b², which leaves the range of float32 for |b| below 1e−19.
    b: () => {
      const d = divisor(dy, b);
      return tf.neg(tf.div(tf.mul(dy, tf.div(float(a), d)), d));
    },
  })),
  binary("SquaredDifference", (dy, a, b) => {
    const slope = () => tf.mul(dy, tf.mul(tf.sub(float(a), float(b)), 2));
    return { a: slope, b: () => tf.neg(slope()) };
  }),
  // Where both are equal the first has the slope, as in tfjs.
  binary("Maximum", (dy, a, b) => ({
    a: () => masked(tf.greaterEqual(a, b), dy),
    b: () => masked(tf.less(a, b), dy),
  })),
  binary("Minimum", (dy, a, b) => ({
    a: () => masked(tf.lessEqual(a, b), dy),
    b: () => masked(tf.greater(a, b), dy),
  })),
  binary(
    "Pow",
    (dy, a, b, y) => ({
      // b · a^(b − 1); at b = 0 it is 0 and not 0 · a⁻¹, which is NaN at a = 0.
      a: () => {
        const flat = tf.equal(b, 0);
        const exponent = tf.where(flat, tf.onesLike(float(b)), tf.sub(float(b), 1));
        return flatAtZero(a, b, tf.mul(dy, tf.mul(float(b), tf.pow(float(a), exponent))));
      },
      // a^b · log a where a > 0, 0 elsewhere; the masked logarithm is that of 1, so that no derivative of it is infinite.
      b: () => {
        const positive = tf.greater(a, 0);
        const log = tf.log(tf.where(positive, float(a), tf.onesLike(float(a))));
        return tf.mul(dy, tf.mul(y, log));
      },
    }),
    true,
  ),
  binary("Atan2", (dy, a, b) => {
    const radius = () => tf.add(tf.square(a), tf.square(b));
    return { a: () => tf.mul(dy, tf.div(b, radius())), b: () => tf.neg(tf.mul(dy, tf.div(a, radius()))) };
  }),
  binary("Mod", (dy, a, b) => ({ a: () => dy, b: () => tf.neg(tf.mul(dy, tf.floor(tf.div(float(a), float(b))))) })),
  gradient("Prelu", ["x", "alpha"], (dy, { x, alpha }) => ({
    x: () => unbroadcast(tf.where(tf.greater(x, 0), dy, tf.mul(dy, alpha)), x.shape),
    alpha: () => unbroadcast(tf.where(tf.greater(x, 0), tf.zerosLike(dy), tf.mul(dy, x)), alpha.shape),
  })),
  gradient("Select", ["condition"], (dy, { condition }) => ({
    condition: () => tf.zeros(condition.shape),
    // A choice and not a product with the mask: an infinite dy must not turn the other branch into NaN.
    t: () => tf.where(condition as tf.Tensor, dy, tf.zerosLike(dy)),
    e: () => tf.where(condition as tf.Tensor, tf.zerosLike(dy), dy),
  })),
  {
    kernelName: "AddN",
    saveAllInputs: true,
    gradFunc: (dy, saved) => Object.fromEntries(saved.map((_, i) => [i, () => tf.clone(dy as tf.Tensor)])),
  },
  ...[
    "BitwiseAnd",
    "Equal",
    "FloorDiv",
    "Greater",
    "GreaterEqual",
    "Less",
    "LessEqual",
    "LogicalAnd",
    "LogicalOr",
    "LogicalXor",
    "NotEqual",
  ].map((name) => zeroGradient(name, ["a", "b"])),
];
