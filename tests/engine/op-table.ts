/**
 * Every op that a program may call, as data: its inputs and, for functions of one element, an independent value in double
 * precision. The test beside it checks value, gradient and gradient of the gradient.
 */
import * as tf from "@tensorflow/tfjs-core";
import { einsum } from "../../src/engine/einsum.ts";
import * as ops from "../../src/engine/ops.ts";

/** Where inputs are drawn: an interval, away from the points where the op has no derivative. */
export type Domain = readonly [low: number, high: number];

export interface OpCase {
  readonly name: string;
  /** The shape of each differentiable input. */
  readonly shapes: readonly (readonly number[])[];
  readonly domain: Domain;
  readonly run: (...inputs: tf.Tensor[]) => tf.Tensor;
  /** The same function of one element (or of two, without broadcasting) in double precision. */
  readonly truth?: (...x: number[]) => number;
  /** Has no gradient that is worth checking: it is zero everywhere. */
  readonly flat?: true;
  /** The reference engine has no such op, or computes it differently on purpose. */
  readonly noReference?: true;
}

type T4 = tf.Tensor4D;
const ANY: Domain = [-1.5, 1.5];
const POSITIVE: Domain = [0.3, 2];
const INSIDE: Domain = [-0.8, 0.8];

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
  ["mod", tf.mod, (a, b) => a % b, [2.1, 2.9]],
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

const int = (...values: number[]) => tf.tensor1d(values, "int32");
const X = [3, 4] as const;
const IMAGE = [2, 5, 6, 3] as const;

type Structural = readonly [
  name: string,
  shapes: readonly (readonly number[])[],
  run: (...inputs: tf.Tensor[]) => tf.Tensor,
  domain?: Domain,
];

const STRUCTURAL: readonly Structural[] = [
  // Reductions and scans.
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
  ["cumsum over a negative axis", [[2, 3, 2]], (x) => tf.cumsum(x, -2)],
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
  ["softmaxCrossEntropy", [X], (x) => tf.losses.softmaxCrossEntropy(tf.oneHot(int(0, 1, 3), 4), x)],
  ["sigmoidCrossEntropy", [X], (x) => tf.losses.sigmoidCrossEntropy(tf.ones([3, 4]), x)],
  // Shapes.
  ["reshape", [X], (x) => tf.reshape(x, [2, 6])],
  ["expandDims and squeeze", [X], (x) => tf.squeeze(tf.expandDims(x, 1), [1])],
  ["transpose", [[2, 3, 4]], (x) => tf.transpose(x, [2, 0, 1])],
  ["transpose of rank 6", [[2, 1, 2, 2, 1, 3]], (x) => tf.transpose(x, [5, 3, 1, 0, 2, 4])],
  ["tile", [[2, 3]], (x) => tf.tile(x, [2, 3])],
  ["tile of rank 5", [[1, 2, 1, 2, 1]], (x) => tf.tile(x, [2, 1, 3, 2, 1])],
  ["broadcastTo", [[2, 1, 3]], (x) => tf.broadcastTo(x, [2, 2, 4, 3])],
  [
    "concat",
    [
      [2, 3],
      [2, 2],
    ],
    (a, b) => tf.concat([a, b], 1),
  ],
  [
    "concat with nothing",
    [
      [2, 3],
      [2, 2],
    ],
    (a, b) => tf.concat([a, tf.zeros([2, 0]), b], -1),
  ],
  [
    "stack",
    [
      [2, 3],
      [2, 3],
    ],
    (a, b) => tf.stack([a, b], 1),
  ],
  ["unstack", [X], (x) => tf.mul(tf.unstack(x, 1)[1] as tf.Tensor, tf.unstack(x, 1)[3] as tf.Tensor)],
  ["split", [[2, 6]], (x) => tf.split(x, [1, 2, 3], 1)[1] as tf.Tensor],
  ["slice", [[2, 3, 4]], (x) => tf.slice(x, [0, 1, 1], [2, 2, -1])],
  ["stridedSlice", [[5, 6]], (x) => tf.stridedSlice(x, [0, 1], [5, 6], [2, 3])],
  ["stridedSlice backwards", [[5, 6, 2]], (x) => tf.stridedSlice(x, [4, 1, 1], [0, 6, 2], [-2, 2, 1], 0, 0, 0, 0, 4)],
  [
    "pad",
    [[2, 3]],
    (x) =>
      tf.pad(
        x,
        [
          [1, 0],
          [2, 1],
        ],
        0.5,
      ),
  ],
  [
    "mirrorPad, reflect",
    [[3, 4]],
    (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 2],
          [2, 1],
        ],
        "reflect",
      ),
  ],
  [
    "mirrorPad, symmetric",
    [[3, 4]],
    (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 2],
          [2, 1],
        ],
        "symmetric",
      ),
  ],
  ["reverse", [[2, 3, 4]], (x) => tf.reverse(x, [0, 2])],
  ["flipLeftRight", [[1, 2, 3, 2]], (x) => tf.image.flipLeftRight(x as T4)],
  ["depthToSpace", [[1, 2, 3, 8]], (x) => tf.depthToSpace(x as T4, 2)],
  [
    "spaceToBatchND",
    [[1, 4, 4, 1]],
    (x) =>
      tf.spaceToBatchND(
        x,
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
  ],
  [
    "batchToSpaceND",
    [[4, 2, 2, 1]],
    (x) =>
      tf.batchToSpaceND(
        x,
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
  ],
  ["diag", [[3]], (x) => tf.diag(x)],
  ["bandPart", [[4, 4]], (x) => tf.linalg.bandPart(x, 1, 0)],
  ["resizeBilinear", [[1, 3, 4, 2]], (x) => tf.image.resizeBilinear(x as T4, [5, 7])],
  ["resizeNearestNeighbor", [[1, 3, 4, 2]], (x) => tf.image.resizeNearestNeighbor(x as T4, [5, 7])],
  // Indices.
  ["gather", [[4, 3]], (x) => tf.gather(x, int(2, 0, 2, 3))],
  [
    "gather along an axis",
    [[2, 4, 3]],
    (x) =>
      tf.gather(
        x,
        tf.tensor2d(
          [
            [2, 0],
            [2, 3],
          ],
          [2, 2],
          "int32",
        ),
        1,
      ),
  ],
  ["gather along a negative axis", [[2, 4, 3]], (x) => tf.gather(x, int(2, 0, 2), -1)],
  [
    "gather with a batch",
    [[3, 4, 2]],
    (x) =>
      tf.gather(
        x,
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
  ],
  ["ops.gather", [[4, 3]], (x) => ops.gather(x, [1, 1, 0], 1)],
  [
    "gatherND",
    [[3, 4]],
    (x) =>
      tf.gatherND(
        x,
        tf.tensor2d(
          [
            [2, 0],
            [1, 1],
            [2, 0],
          ],
          [3, 2],
          "int32",
        ),
      ),
  ],
  ["scatterND", [[3, 4]], (x) => tf.scatterND(tf.tensor2d([[2], [1], [2]], [3, 1], "int32"), x, [5, 4])],
  [
    "tensorScatterUpdate",
    [
      [5, 4],
      [2, 4],
    ],
    (x, u) => tf.tensorScatterUpdate(x, tf.tensor2d([[2], [1]], [2, 1], "int32"), u),
  ],
  ["unsortedSegmentSum", [[4, 3]], (x) => tf.unsortedSegmentSum(x, int(1, 0, 1, 2), 4)],
  ["topk", [[3, 5]], (x) => tf.topk(x, 2).values],
  ["oneHot product", [[3, 4]], (x) => tf.sum(tf.mul(x, tf.oneHot(tf.argMax(x, 1), 4)), 1)],
  [
    "booleanless where with broadcasting",
    [
      [3, 1],
      [1, 4],
    ],
    (a, b) => tf.where(tf.greater(a, b), a, b),
  ],
  // Products.
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
  // Convolutions and pools.
  ["conv2d, same", [IMAGE, [3, 2, 3, 2]], (x, f) => tf.conv2d(x as T4, f as T4, 1, "same")],
  ["conv2d, valid, strides", [IMAGE, [3, 2, 3, 2]], (x, f) => tf.conv2d(x as T4, f as T4, 2, "valid")],
  ["conv2d, same, strides", [IMAGE, [3, 3, 3, 2]], (x, f) => tf.conv2d(x as T4, f as T4, [2, 1], "same")],
  ["conv2d, dilations", [IMAGE, [2, 3, 3, 2]], (x, f) => tf.conv2d(x as T4, f as T4, 1, "same", "NHWC", [2, 1])],
  ["conv2d, numeric pad", [IMAGE, [3, 3, 3, 2]], (x, f) => tf.conv2d(x as T4, f as T4, 1, 1)],
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
    "separableConv2d",
    [IMAGE, [2, 2, 3, 1], [1, 1, 3, 2]],
    (x, d, p) => tf.separableConv2d(x as T4, d as T4, p as T4, 1, "same"),
  ],
  ["avgPool", [IMAGE], (x) => tf.avgPool(x as T4, 2, 2, "same")],
  ["avgPool, overlapping", [IMAGE], (x) => tf.avgPool(x as T4, [3, 2], 1, "valid")],
  ["maxPool", [IMAGE], (x) => tf.maxPool(x as T4, 2, 2, "same")],
  ["maxPool, overlapping", [IMAGE], (x) => tf.maxPool(x as T4, [3, 2], 1, "valid")],
  ["addN", [X, X, X], (a, b, c) => tf.addN([a, b, c])],
];

const VECTOR = [6] as const;

export const OP_TABLE: readonly OpCase[] = [
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
  })),
  ...STRUCTURAL.map(([name, shapes, run, domain = ANY]) => ({ name, shapes, domain, run })),
];
