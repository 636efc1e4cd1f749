/** Kernels of tfjs's node engine that are wrong, incomplete or imprecise, in front of its own or in place of them. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { kernel } from "../gradients/define.ts";
import { dilate } from "../gradients/windows.ts";
import { type ConvAttrs, convInfo, type Four, type PoolAttrs, poolInfo, type WindowInfo } from "../window-info.ts";
import { CONVOLUTION_KERNELS } from "./convolution.ts";
import { FUSED_KERNELS } from "./fused.ts";
import { type Wrapper, wrappedKernel } from "./heap.ts";

const BACKEND = "tensorflow";

/**
 * In place of tfjs's own: the gradients of a depthwise convolution, which TensorFlow computes without its dilations, the
 * fused one, which passes over what is put in front of the plain one below, and einsum, which there accepts repeated
 * letters that have no derivative here.
 */
const REPLACED = [
  "DepthwiseConv2dNativeBackpropInput",
  "DepthwiseConv2dNativeBackpropFilter",
  "FusedDepthwiseConv2D",
  "Einsum",
];

export const TENSORFLOW_KERNELS: readonly tf.KernelConfig[] = [...CONVOLUTION_KERNELS, ...FUSED_KERNELS]
  .filter(({ kernelName }) => REPLACED.includes(kernelName))
  .map((config) => ({ ...config, backendName: BACKEND }));

/** tfjs reads the size of axis −1, finds none, and takes every index for wrong. */
const gather = wrappedKernel("GatherV2", (original, args) => {
  const { x, indices } = args.inputs as { x: tf.Tensor; indices: tf.Tensor };
  const axis = tf.util.parseAxisParam((args.attrs?.axis as number | undefined) ?? 0, x.shape)[0] as number;
  const size = x.shape[axis] as number;
  for (const index of indices.dataSync()) {
    if (!(index >= 0 && index < size)) {
      fail("argument", `gather: index ${index} is outside 0 … ${size - 1} of axis ${axis}`);
    }
  }
  return original({ ...args, attrs: { ...args.attrs, axis, batchDims: args.attrs?.batchDims ?? 0 } });
});

/** Terms that one float32 accumulator adds without a loss that shows. */
const BLOCK = 64;

interface ScanAttrs {
  readonly axis: number;
  readonly exclusive?: boolean;
  readonly reverse?: boolean;
}

/**
 * Running totals in blocks, each of which starts from the total of those before: TensorFlow keeps one float32 accumulator,
 * whose last total of a million tenths is one per cent too large.
 */
const cumsum = wrappedKernel("Cumsum", (original, args) => {
  const x = args.inputs.x as tf.Tensor;
  const { axis, exclusive = false, reverse = false } = args.attrs as unknown as ScanAttrs;
  const at = tf.util.parseAxisParam(axis, x.shape)[0] as number;
  const n = x.shape[at] as number;
  if (n <= BLOCK || x.dtype !== "float32") return original({ ...args, attrs: { ...args.attrs, axis: at } });
  return tf.tidy(() => {
    const [before, after] = [x.shape.slice(0, at), x.shape.slice(at + 1)];
    const blocks = Math.ceil(n / BLOCK);
    const missing = x.shape.map((_, i): [number, number] => [0, i === at ? blocks * BLOCK - n : 0]);
    const split = tf.reshape(tf.pad(x, missing), [...before, blocks, BLOCK, ...after]);
    const within = kernel("Cumsum", { x: split }, { axis: at + 1, exclusive, reverse });
    const starts = kernel("Cumsum", { x: tf.sum(split, at + 1) }, { axis: at, exclusive: true, reverse });
    const all = tf.reshape(tf.add(within, tf.expandDims(starts, at + 1)), [...before, blocks * BLOCK, ...after]);
    return tf.slice(
      all,
      x.shape.map(() => 0),
      x.shape,
    );
  });
});

type Place = { readonly [name: string]: tf.Tensor };

/** Attributes of any kernel of windows. */
interface KernelAttrs extends ConvAttrs, PoolAttrs {
  readonly inputShape: Four;
  readonly filterShape: Four;
}

/** An image with its padding, over which the same window moves without any. */
interface Padded {
  readonly pad: (x: tf.Tensor, value?: number) => tf.Tensor;
  readonly unpad: (x: tf.Tensor) => tf.Tensor;
  /** The shape with the padding. */
  readonly shape: Four;
  readonly attrs: object;
}

function padded(attrs: KernelAttrs, c: WindowInfo): Padded {
  const { top, left } = c.padInfo;
  const below = (out: number, stride: number, window: number, above: number, size: number): number =>
    Math.max(0, (out - 1) * stride + window - above - size);
  const bottom = below(c.outHeight, c.strideHeight, c.effectiveFilterHeight, top, c.inHeight);
  const right = below(c.outWidth, c.strideWidth, c.effectiveFilterWidth, left, c.inWidth);
  const sides: [number, number][] = [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
  const { batchSize, inHeight, inWidth, inChannels } = c;
  return {
    pad: (x, value = 0) => tf.pad(x, sides, value),
    unpad: (x) => tf.slice(x, [0, top, left, 0], [batchSize, inHeight, inWidth, inChannels]),
    shape: [batchSize, inHeight + top + bottom, inWidth + left + right, inChannels],
    attrs: { ...attrs, pad: "valid", dimRoundingMode: undefined },
  };
}

/** A kernel for which tfjs refuses every padding but "valid" and "same". */
const windows = (
  name: string,
  info: (inputs: Place, attrs: KernelAttrs) => WindowInfo,
  run: (inputs: Place, p: Padded) => tf.Tensor,
): Wrapper =>
  wrappedKernel(name, (original, args) => {
    const attrs = args.attrs as unknown as KernelAttrs;
    if (typeof attrs.pad === "string") return original(args);
    const inputs = args.inputs as unknown as Place;
    return tf.tidy(() => run(inputs, padded(attrs, info(inputs, attrs))));
  });

const shapeOf = (x: tf.Tensor | undefined): number[] => x?.shape ?? [];
const OUTSIDE = Number.NEGATIVE_INFINITY;

const WINDOWS: readonly Wrapper[] = [
  windows(
    "MaxPool",
    ({ x }, attrs) => poolInfo(shapeOf(x), attrs),
    ({ x }, p) => kernel("MaxPool", { x: p.pad(x as tf.Tensor, OUTSIDE) }, p.attrs),
  ),
  windows(
    "MaxPoolGrad",
    ({ input }, attrs) => poolInfo(shapeOf(input), attrs),
    ({ dy, input, output }, p) =>
      p.unpad(kernel("MaxPoolGrad", { dy, input: p.pad(input as tf.Tensor, OUTSIDE), output }, p.attrs)),
  ),
  windows(
    "AvgPool",
    ({ x }, attrs) => poolInfo(shapeOf(x), attrs),
    ({ x }, p) => {
      // The mean of what lies inside the image.
      const mean = (y: tf.Tensor) => kernel("AvgPool", { x: p.pad(y) }, p.attrs);
      return tf.div(mean(x as tf.Tensor), mean(tf.onesLike(x as tf.Tensor)));
    },
  ),
  windows(
    "Conv2D",
    ({ x, filter }, attrs) => convInfo(shapeOf(x), shapeOf(filter), attrs),
    ({ x, filter }, p) => kernel("Conv2D", { x: p.pad(x as tf.Tensor), filter }, p.attrs),
  ),
  windows(
    "Conv2DBackpropInput",
    ({ filter }, attrs) => convInfo(attrs.inputShape, shapeOf(filter), attrs),
    ({ dy, filter }, p) => p.unpad(kernel("Conv2DBackpropInput", { dy, filter }, { ...p.attrs, inputShape: p.shape })),
  ),
  windows(
    "Conv2DBackpropFilter",
    ({ x }, attrs) => convInfo(shapeOf(x), attrs.filterShape, attrs),
    ({ x, dy }, p) => kernel("Conv2DBackpropFilter", { x: p.pad(x as tf.Tensor), dy }, p.attrs),
  ),
  windows(
    "DepthwiseConv2dNative",
    ({ x, filter }, attrs) => convInfo(shapeOf(x), shapeOf(filter), attrs, true),
    ({ x, filter }, p) => kernel("DepthwiseConv2dNative", { x: p.pad(x as tf.Tensor), filter }, p.attrs),
  ),
];

/**
 * Dilations are zeros between the places of the filter. TensorFlow's own CPU kernel refuses them; only oneDNN's, which it
 * takes on processors that have the instructions for it, does not.
 */
const undilated = (within: Wrapper): Wrapper => {
  const outer = wrappedKernel(within.kernelName, (original, args) => {
    const { x, filter } = args.inputs as { x: tf.Tensor; filter: tf.Tensor };
    const [down = 1, across = down] = [(args.attrs as unknown as KernelAttrs).dilations ?? 1].flat();
    if (down === 1 && across === 1) return original(args);
    const spread = () => dilate(dilate(filter, 0, down), 1, across);
    return tf.tidy(() => kernel(within.kernelName, { x, filter: spread() }, { ...args.attrs, dilations: 1 }));
  });
  return { ...within, wrap: (original) => outer.wrap(within.wrap(original)) };
};

export const TENSORFLOW_WRAPPERS: readonly Wrapper[] = [
  gather,
  cumsum,
  ...WINDOWS.map((wrapper) => (wrapper.kernelName === "DepthwiseConv2dNative" ? undilated(wrapper) : wrapper)),
];
