/** Pools: means and maxima over windows of images [n,h,w,c]. */
import { type Four, type PoolAttrs, poolInfo } from "../../engine/window-info.ts";
import { type Attrs, type Node, textOf } from "../ir/node.ts";
import type { Lowering } from "../onnx/emit.ts";
import type { Convolutions } from "./convolutions.ts";
import type { Constructors, Decomposition, Family, TraceKernel, TraceKernels, TypeRule } from "./primitive.ts";
import type { Products } from "./products.ts";
import { mismatch } from "./types.ts";
import {
  CHANNELS_FIRST,
  CHANNELS_LAST,
  outputSize,
  type Pair,
  padImage,
  padsOf,
  places,
  tap,
  total,
  type WindowOptions,
  type Windows,
  windowAttrs,
  windowOptions,
  windowsOf,
} from "./windows.ts";

export interface PoolOptions extends WindowOptions {
  readonly window: Pair;
}

export interface Pools extends Convolutions {
  /** The mean over the part of each window that lies inside x [n,h,w,c]. */
  avgPool(x: Node, options: PoolOptions): Node;
  maxPool(x: Node, options: PoolOptions): Node;
}

const poolType: TypeRule = ([x], attrs, op) => {
  const { shape, dtype } = x!;
  if (shape.length !== 4) mismatch(op, textOf(shape), "[n,h,w,c]");
  return { shape: [shape[0]!, ...outputSize(shape, attrs.window!, attrs), shape[3]!], dtype };
};

const lowerPool =
  (op: string): Lowering =>
  (e, node, [x]) => {
    const { window = [], strides = [], dilations = [] } = node.attrs;
    const image = e.op("Transpose", [x!], { perm: CHANNELS_FIRST });
    const pooled = e.op(op, [image], { kernel_shape: window, strides, dilations, pads: padsOf(node) });
    return e.op("Transpose", [pooled], { perm: CHANNELS_LAST });
  };

/** How many places of each window lie inside the image, [1, h', w', 1]. */
function insideCounts(b: Products, w: Windows): Node {
  const along = (i: 0 | 1) =>
    Array.from({ length: w.out[i] }, (_, o) => {
      const at = (k: number) => o * w.strides[i]! - w.paddings[i]![0] + k * w.dilations[i]!;
      return Array.from({ length: w.window[i]! }, (_, k) => at(k)).filter((p) => p >= 0 && p < w.image[i + 1]!).length;
    });
  const columns = along(1);
  const counts = along(0).flatMap((row) => columns.map((column) => row * column));
  return b.constant(Float64Array.from(counts), [1, ...w.out, 1]);
}

/** ONNX Runtime has it for single precision only. */
const avgByPlaces: Decomposition<Products> = (b, [x], attrs) => {
  const w = windowsOf(x!.shape, attrs.window!, attrs);
  const padded = padImage(b, x!, w);
  const terms = places(w).map((place) => tap(b, padded, w, place));
  return b.binary("div", total(b, terms), insideCounts(b, w));
};

export const POOLS = {
  avgPool: { type: poolType, lower: lowerPool("AveragePool"), decompose: { float64: avgByPlaces } },
  maxPool: { type: poolType, lower: lowerPool("MaxPool") },
} satisfies Family<Products>;

const poolAttrs = (o: PoolOptions): Attrs => ({ ...windowAttrs(o), window: o.window });

export const POOL_CONSTRUCTORS: Constructors<Pools, Convolutions> = {
  avgPool(x, o) {
    return this.emit("avgPool", [x], poolAttrs(o));
  },
  maxPool(x, o) {
    return this.emit("maxPool", [x], poolAttrs(o));
  },
};

const pool =
  (op: "avgPool" | "maxPool"): TraceKernel<Pools> =>
  (b, { x }, attrs: PoolAttrs) => {
    const info = poolInfo(x!.shape, attrs);
    return b[op](x!, { window: [info.filterHeight, info.filterWidth], ...windowOptions(info) });
  };

/** Zeros between the elements of one axis. */
function dilate(b: Pools, x: Node, axis: number, gap: number): Node {
  const size = x.shape[axis] as number;
  if (gap === 1 || size <= 1) return x;
  const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
  const split = b.reshape(x, [...before, size, 1, ...after]);
  const spaced = b.pad(
    split,
    split.shape.map((_, i) => [0, i === axis + 1 ? gap - 1 : 0] as const),
  );
  const long = b.reshape(spaced, [...before, size * gap, ...after]);
  return b.slice(
    long,
    long.shape.map(() => 0),
    [...before, (size - 1) * gap + 1, ...after],
  );
}

/** Each derivative goes to the first largest element of its window. */
function maxPoolGrad(b: Pools, dy: Node, input: Node, output: Node, attrs: PoolAttrs): Node {
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
  let unclaimed: Node = b.constant(1, output.shape, "bool");
  let sum: Node | undefined;
  for (let i = 0; i < p.filterHeight; i++) {
    for (let j = 0; j < p.filterWidth; j++) {
      const size = [n, p.outHeight, p.outWidth, channels];
      const seen = b.stridedSlice(padded, [0, i, j, 0], size, [1, p.strideHeight, p.strideWidth, 1]);
      const first = b.binary("and", unclaimed, b.binary("equal", seen, output));
      unclaimed = b.binary("and", unclaimed, b.unary("not", first));
      const given = b.where(first, dy, b.constant(0));
      const spread = dilate(b, dilate(b, given, 1, p.strideHeight), 2, p.strideWidth);
      const [h, w] = spread.shape.slice(1, 3) as [number, number];
      const placed = b.pad(spread, [
        [0, 0],
        [i, tall - i - h],
        [j, wide - j - w],
        [0, 0],
      ]);
      sum = sum === undefined ? placed : b.binary("add", sum, placed);
    }
  }
  return b.slice(sum as Node, [0, top, left, 0], [...input.shape]);
}

export const POOL_KERNELS: TraceKernels<Pools> = {
  AvgPool: pool("avgPool"),
  MaxPool: pool("maxPool"),
  MaxPoolGrad: (b, { dy, input, output }, attrs: PoolAttrs) => maxPoolGrad(b, dy!, input!, output!, attrs),
};
