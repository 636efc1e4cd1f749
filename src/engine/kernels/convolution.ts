/** Convolution kernels that tfjs's wasm backend lacks, composed of those it has. */
import * as tf from "@tensorflow/tfjs-core";
import { dilate } from "../gradients/windows.ts";
import { type ConvAttrs, convInfo, explicitPad, type Four, type Pad, type WindowInfo } from "../window-info.ts";
import { composedKernel, wrappedKernel } from "./heap.ts";

/** Attributes of a kernel: those of a convolution, and of its derivatives the shape that comes out. */
interface KernelAttrs extends ConvAttrs {
  readonly filterShape: Four;
  readonly inputShape: Four;
}

/** x with explicit padding, and one more stride of it at the end. */
const padded = (x: tf.Tensor, { padInfo: p, strideHeight, strideWidth }: WindowInfo) =>
  tf.pad(x, [
    [0, 0],
    [p.top, p.bottom + strideHeight],
    [p.left, p.right + strideWidth],
    [0, 0],
  ]);

/** The inputs under element (i, j) of the filter. */
const inputsUnder = (x: tf.Tensor, i: number, j: number, c: WindowInfo): tf.Tensor =>
  tf.stridedSlice(
    x,
    [0, i * c.dilationHeight, j * c.dilationWidth, 0],
    [
      x.shape[0] as number,
      i * c.dilationHeight + (c.outHeight - 1) * c.strideHeight + 1,
      j * c.dilationWidth + (c.outWidth - 1) * c.strideWidth + 1,
      x.shape[3] as number,
    ],
    [1, c.strideHeight, c.strideWidth, 1],
  );

/**
 * d/dfilter: a convolution of the input with the derivative of the output, batch and channels exchanged, strides and
 * dilations exchanged.
 */
function backpropFilter(x: tf.Tensor, dy: tf.Tensor, attrs: KernelAttrs): tf.Tensor {
  const info = convInfo(x.shape, attrs.filterShape, attrs, false);
  const { top, bottom, left, right } = info.padInfo;
  const exchanged = tf.transpose(
    tf.pad(x, [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0],
    ]),
    [3, 1, 2, 0],
  );
  const kernel = tf.transpose(dy, [1, 2, 0, 3]);
  const d = tf.conv2d(exchanged as tf.Tensor4D, kernel as tf.Tensor4D, 1, "valid", "NHWC", [
    info.strideHeight,
    info.strideWidth,
  ]);
  const [h, w, ci, co] = attrs.filterShape;
  return tf.transpose(tf.slice(d, [0, 0, 0, 0], [ci, h, w, co]), [1, 2, 0, 3]);
}

/** dy of shape [batch, height, width, channels, multiplier]. */
const byChannel = (dy: tf.Tensor, [, , channels, multiplier]: Four): tf.Tensor =>
  tf.reshape(dy, [...dy.shape.slice(0, 3), channels, multiplier]);

function depthwiseBackpropInput(dy: tf.Tensor, filter: tf.Tensor, attrs: KernelAttrs): tf.Tensor {
  const c = convInfo(attrs.inputShape, filter.shape, attrs, true);
  const split = byChannel(dy, filter.shape as Four);
  const [, height, width] = attrs.inputShape;
  const { top, left } = c.padInfo;
  const [tall, wide] = [height + top + c.padInfo.bottom, width + left + c.padInfo.right];
  const terms: tf.Tensor[] = [];
  for (let i = 0; i < c.filterHeight; i++) {
    for (let j = 0; j < c.filterWidth; j++) {
      const weights = tf.reshape(tf.slice(filter, [i, j, 0, 0], [1, 1, -1, -1]), filter.shape.slice(2));
      const spread = dilate(dilate(tf.sum(tf.mul(split, weights), -1), 1, c.strideHeight), 2, c.strideWidth);
      const [y, x] = [i * c.dilationHeight, j * c.dilationWidth];
      const [h, w] = spread.shape.slice(1, 3) as [number, number];
      terms.push(
        tf.pad(spread, [
          [0, 0],
          [y, Math.max(0, tall - y - h)],
          [x, Math.max(0, wide - x - w)],
          [0, 0],
        ]),
      );
    }
  }
  return tf.slice(terms.length === 1 ? (terms[0] as tf.Tensor) : tf.addN(terms), [0, top, left, 0], attrs.inputShape);
}

function depthwiseBackpropFilter(x: tf.Tensor, dy: tf.Tensor, attrs: KernelAttrs): tf.Tensor {
  const c = convInfo(x.shape, attrs.filterShape, attrs, true);
  const split = byChannel(dy, attrs.filterShape);
  const whole = padded(x, c);
  const places: tf.Tensor[] = [];
  for (let i = 0; i < c.filterHeight; i++) {
    for (let j = 0; j < c.filterWidth; j++) {
      places.push(tf.sum(tf.mul(tf.expandDims(inputsUnder(whole, i, j, c), -1), split), [0, 1, 2]));
    }
  }
  return tf.reshape(tf.stack(places), attrs.filterShape);
}

export const CONVOLUTION_KERNELS: readonly tf.KernelConfig[] = [
  composedKernel<KernelAttrs>("Conv2DBackpropFilter", ({ x, dy }, attrs) =>
    backpropFilter(x as tf.Tensor, dy as tf.Tensor, attrs),
  ),
  composedKernel<KernelAttrs>("DepthwiseConv2dNativeBackpropInput", ({ dy, filter }, attrs) =>
    depthwiseBackpropInput(dy as tf.Tensor, filter as tf.Tensor, attrs),
  ),
  composedKernel<KernelAttrs>("DepthwiseConv2dNativeBackpropFilter", ({ x, dy }, attrs) =>
    depthwiseBackpropFilter(x as tf.Tensor, dy as tf.Tensor, attrs),
  ),
];

/** Kernels whose numeric pad is spelt out on the way: with a filter that is not square tfjs writes beyond its output. */
export const PADDED_KERNELS = [
  "Conv2D",
  "Conv2DBackpropInput",
  "DepthwiseConv2dNative",
  "MaxPool",
  "MaxPoolGrad",
  "AvgPool",
  "AvgPoolGrad",
].map((name) =>
  wrappedKernel(name, (original, args) => {
    const attrs = args.attrs as unknown as { pad: Pad };
    if (typeof attrs.pad !== "number") return original(args);
    return original({ ...args, attrs: { ...args.attrs, pad: explicitPad(attrs.pad) } as unknown as tf.NamedAttrMap });
  }),
);
