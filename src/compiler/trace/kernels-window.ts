/** Kernels of images: convolutions, pools, resizing. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import type { Builder, Conv2dOptions } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { TraceKernel } from "./kernel.ts";

type Four = [number, number, number, number];
type Pad = "valid" | "same" | number | [number, number][];

interface ConvAttrs {
  readonly strides: number | [number, number];
  readonly dilations?: number | [number, number];
  readonly pad: Pad;
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
  readonly dataFormat?: string;
  readonly filterShape: Four;
  readonly inputShape: Four;
}

/** A numeric pad spelt out: tfjs computes the width of the output from the height of the filter when it is a number. */
const evenPad = (pad: Pad): Pad =>
  typeof pad === "number"
    ? [
        [0, 0],
        [pad, pad],
        [pad, pad],
        [0, 0],
      ]
    : pad;

function options(
  xShape: readonly number[],
  filter: readonly number[],
  attrs: ConvAttrs,
  depthwise = false,
): Conv2dOptions {
  if (attrs.dataFormat === "NCHW") fail("unsupported", 'convolution: the engines want dataFormat "NHWC"');
  const c = tf.backend_util.computeConv2DInfo(
    [...xShape] as Four,
    [...filter] as Four,
    attrs.strides,
    attrs.dilations ?? 1,
    evenPad(attrs.pad) as "same",
    attrs.dimRoundingMode,
    depthwise,
  );
  return {
    strides: [c.strideHeight, c.strideWidth],
    dilations: [c.dilationHeight, c.dilationWidth],
    paddings: [
      [c.padInfo.top, c.padInfo.bottom],
      [c.padInfo.left, c.padInfo.right],
    ],
    ...(depthwise && { groups: xShape[3] as number }),
  };
}

/** The filter of a depthwise product, [h, w, c, m], as that of a product in c groups. */
const grouped = ([h, w, c, m]: Four): Four => [h, w, 1, c * m];

interface PoolAttrs {
  readonly filterSize: number | [number, number];
  readonly strides: number | [number, number];
  readonly pad: Pad;
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
}

const poolInfo = (shape: readonly number[], attrs: PoolAttrs) =>
  tf.backend_util.computePool2DInfo(
    [...shape] as Four,
    attrs.filterSize,
    attrs.strides,
    1,
    evenPad(attrs.pad) as "same",
    attrs.dimRoundingMode,
  );

const pool =
  (op: "avgPool" | "maxPool"): TraceKernel =>
  (b, { x }, attrs: PoolAttrs) => {
    const p = poolInfo((x as Node).shape, attrs);
    return b[op](x as Node, {
      window: [p.filterHeight, p.filterWidth],
      strides: [p.strideHeight, p.strideWidth],
      paddings: [
        [p.padInfo.top, p.padInfo.bottom],
        [p.padInfo.left, p.padInfo.right],
      ],
    });
  };

/** Zeros between the elements of one axis. */
function dilate(b: Builder, x: Node, axis: number, gap: number): Node {
  const size = x.shape[axis] as number;
  if (gap === 1 || size <= 1) return x;
  const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
  const apart = b.reshape(x, [...before, size, 1, ...after]);
  const spaced = b.pad(
    apart,
    apart.shape.map((_, i) => [0, i === axis + 1 ? gap - 1 : 0] as const),
  );
  const long = b.reshape(spaced, [...before, size * gap, ...after]);
  return b.slice(
    long,
    long.shape.map(() => 0),
    [...before, (size - 1) * gap + 1, ...after],
  );
}

/** Each derivative goes to the first largest element of its window. */
function maxPoolGrad(b: Builder, dy: Node, input: Node, output: Node, attrs: PoolAttrs): Node {
  const p = poolInfo(input.shape, attrs);
  const { top, bottom, left, right } = p.padInfo;
  const [n, height, width, channels] = input.shape as Four;
  const [tall, wide] = [height + top + bottom + p.strideHeight, width + left + right + p.strideWidth];
  const around = [
    [0, 0],
    [top, tall - top - height],
    [left, wide - left - width],
    [0, 0],
  ] as const;
  const padded = b.pad(input, around, Number.NEGATIVE_INFINITY);
  let free: Node = b.constant(1, output.shape, "bool");
  let total: Node | undefined;
  for (let i = 0; i < p.filterHeight; i++) {
    for (let j = 0; j < p.filterWidth; j++) {
      const size = [n, p.outHeight, p.outWidth, channels];
      const seen = b.stridedSlice(padded, [0, i, j, 0], size, [1, p.strideHeight, p.strideWidth, 1]);
      const first = b.binary("and", free, b.binary("equal", seen, output));
      free = b.binary("and", free, b.unary("not", first));
      const given = b.where(first, dy, b.constant(0));
      const spread = dilate(b, dilate(b, given, 1, p.strideHeight), 2, p.strideWidth);
      const [h, w] = spread.shape.slice(1, 3) as [number, number];
      const placed = b.pad(spread, [
        [0, 0],
        [i, tall - i - h],
        [j, wide - j - w],
        [0, 0],
      ]);
      total = total === undefined ? placed : b.binary("add", total, placed);
    }
  }
  return b.slice(total as Node, [0, top, left, 0], [...input.shape]);
}

interface ResizeAttrs {
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
  readonly size: [number, number];
}

/** Row r of the matrix of a resizing says which places of the old axis place r of the new one reads, and how much of each. */
function weights(
  from: number,
  to: number,
  { alignCorners, halfPixelCenters }: ResizeAttrs,
  nearest: boolean,
): Float32Array {
  const cornered = alignCorners && to > 1;
  const ratio = (cornered ? from - 1 : from) / (cornered ? to - 1 : to);
  const out = new Float32Array(to * from);
  const add = (r: number, place: number, share: number) => {
    const at = r * from + Math.min(from - 1, Math.max(0, place));
    out[at] = (out[at] as number) + share;
  };
  for (let r = 0; r < to; r++) {
    if (nearest) {
      const place = halfPixelCenters ? ratio * (r + 0.5) : ratio * r;
      add(r, alignCorners ? Math.round(place) : Math.floor(place), 1);
      continue;
    }
    const place = halfPixelCenters ? ratio * (r + 0.5) - 0.5 : ratio * r;
    const low = Math.max(0, Math.floor(place));
    add(r, low, 1 - (place - low));
    add(r, Math.ceil(place), place - low);
  }
  return out;
}

/** Multiplies one axis of an image by a matrix, or by its transpose. */
function along(b: Builder, x: Node, axis: 1 | 2, matrix: Node, transposeA: boolean): Node {
  const order = axis === 1 ? [1, 0, 2, 3] : [2, 0, 1, 3];
  const moved = b.transpose(x, order);
  const [size, ...rest] = moved.shape as Four;
  const product = b.matmul(matrix, b.reshape(moved, [size, rest.reduce((n, d) => n * d, 1)]), { transposeA });
  const back = axis === 1 ? [1, 0, 2, 3] : [1, 2, 0, 3];
  return b.transpose(b.reshape(product, [product.shape[0] as number, ...rest]), back);
}

function resize(
  b: Builder,
  x: Node,
  small: readonly number[],
  large: readonly number[],
  attrs: ResizeAttrs,
  nearest: boolean,
  adjoint: boolean,
) {
  return ([1, 2] as const).reduce((out, axis) => {
    const [from, to] = [small[axis] as number, large[axis] as number];
    return along(b, out, axis, b.constant(weights(from, to, attrs, nearest), [to, from]), adjoint);
  }, x);
}

const resizing =
  (nearest: boolean): TraceKernel =>
  (b, { images }, attrs: ResizeAttrs) => {
    const { shape } = images as Node;
    return resize(b, b.cast(images as Node, "float32"), shape, [0, ...attrs.size], attrs, nearest, false);
  };
const resizingGrad =
  (nearest: boolean): TraceKernel =>
  (b, { images, dy }, attrs: ResizeAttrs) =>
    resize(b, dy as Node, (images as Node).shape, (dy as Node).shape, attrs, nearest, true);

export const WINDOWS: { readonly [kernelName: string]: TraceKernel } = {
  Conv2D: (b, inputs, attrs: ConvAttrs) => {
    const [x, filter] = [inputs.x as Node, inputs.filter as Node];
    return b.conv2d(x, filter, options(x.shape, filter.shape, attrs));
  },
  Conv2DBackpropInput: (b, inputs, attrs: ConvAttrs) => {
    const filter = inputs.filter as Node;
    return b.conv2dInputGrad(
      inputs.dy as Node,
      filter,
      attrs.inputShape,
      options(attrs.inputShape, filter.shape, attrs),
    );
  },
  Conv2DBackpropFilter: (b, inputs, attrs: ConvAttrs) => {
    const x = inputs.x as Node;
    return b.conv2dFilterGrad(x, inputs.dy as Node, attrs.filterShape, options(x.shape, attrs.filterShape, attrs));
  },
  DepthwiseConv2dNative: (b, inputs, attrs: ConvAttrs) => {
    const [x, filter] = [inputs.x as Node, inputs.filter as Node];
    const shape = filter.shape as unknown as Four;
    return b.conv2d(x, b.reshape(filter, grouped(shape)), options(x.shape, shape, attrs, true));
  },
  DepthwiseConv2dNativeBackpropInput: (b, inputs, attrs: ConvAttrs) => {
    const filter = inputs.filter as Node;
    const shape = filter.shape as unknown as Four;
    const set = options(attrs.inputShape, shape, attrs, true);
    return b.conv2dInputGrad(inputs.dy as Node, b.reshape(filter, grouped(shape)), attrs.inputShape, set);
  },
  DepthwiseConv2dNativeBackpropFilter: (b, inputs, attrs: ConvAttrs) => {
    const x = inputs.x as Node;
    const set = options(x.shape, attrs.filterShape, attrs, true);
    const d = b.conv2dFilterGrad(x, inputs.dy as Node, grouped(attrs.filterShape), set);
    return b.reshape(d, attrs.filterShape);
  },
  AvgPool: pool("avgPool"),
  MaxPool: pool("maxPool"),
  MaxPoolGrad: (b, { dy, input, output }, attrs: PoolAttrs) =>
    maxPoolGrad(b, dy as Node, input as Node, output as Node, attrs),
  ResizeBilinear: resizing(false),
  ResizeBilinearGrad: resizingGrad(false),
  ResizeNearestNeighbor: resizing(true),
  ResizeNearestNeighborGrad: resizingGrad(true),
};
