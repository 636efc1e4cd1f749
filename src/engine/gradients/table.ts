/** Every gradient of the library. tfjs-core alone brings none; what @tensorflow/tfjs brings is replaced by these. */
import type * as tf from "@tensorflow/tfjs-core";
import { BINARY } from "./binary.ts";
import { CONVOLUTION } from "./convolution.ts";
import { refuseGradient } from "./define.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { MIXTURES } from "./mixture.ts";
import { PRODUCT } from "./product.ts";
import { REDUCE } from "./reduce.ts";
import { SHAPE } from "./shape.ts";
import { TAKE } from "./take.ts";

const DEFINED: readonly tf.GradConfig[] = [
  ...ELEMENTWISE,
  ...BINARY,
  ...REDUCE,
  ...SHAPE,
  ...TAKE,
  ...PRODUCT,
  ...CONVOLUTION,
  ...MIXTURES,
];

/** Kernels that have no derivative, and what a program that wants one can do. */
const ADVICE: { readonly [kernelName: string]: string } = {
  ...Object.fromEntries(
    ["Complex", "ComplexAbs", "FFT", "IFFT", "Imag", "Real"].map((name) => [
      name,
      "complex numbers have none; keep real and imaginary parts as two tensors",
    ]),
  ),
  ...Object.fromEntries(
    ["CropAndResize", "RotateWithOffset", "Transform"].map((name) => [
      name,
      "resample with gather and weights of your own",
    ]),
  ),
  Multinomial: "a draw has none; use a reparameterised sample or a score-function estimator",
  EluGrad: "use elu, whose gradient does not need it",
};
const NO_ADVICE = "it is no smooth function of its input; use stopGradient on what goes into it";
const OTHERS = [
  "Bincount",
  "BroadcastArgs",
  "DenseBincount",
  "LowerBound",
  "MatrixBandPart",
  "MaxPoolWithArgmax",
  "NonMaxSuppressionV3",
  "NonMaxSuppressionV4",
  "NonMaxSuppressionV5",
  "SearchSorted",
  "SparseFillEmptyRows",
  "SparseReshape",
  "SparseSegmentMean",
  "SparseSegmentSum",
  "SparseToDense",
  "Unique",
  "UpperBound",
];

export const GRADIENTS: readonly tf.GradConfig[] = [
  ...DEFINED,
  ...[...Object.keys(ADVICE), ...OTHERS].map((name) => refuseGradient(name, ADVICE[name] ?? NO_ADVICE)),
];
