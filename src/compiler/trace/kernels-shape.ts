/** Kernels that move elements by shape. */
import * as tf from "@tensorflow/tfjs-core";
import { stridedRegion } from "../../engine/kernels/take.ts";
import type { Builder } from "../ir/graph.ts";
import { type Node, sizeOf } from "../ir/node.ts";
import type { TraceKernel } from "./kernel.ts";

const axesOf = (axis: number | number[] | undefined, shape: readonly number[]): number[] =>
  tf.util.parseAxisParam(axis as number[], [...shape]);

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Repetition: an axis of size d becomes [times, d], the first of which is broadcast. */
function tile(b: Builder, x: Node, reps: readonly number[]): Node {
  const rank = Math.max(x.shape.length, reps.length);
  const full = (list: readonly number[]) => [...new Array<number>(rank - list.length).fill(1), ...list];
  const [shape, times] = [full(x.shape), full(reps)];
  const out = shape.map((size, i) => size * (times[i] as number));
  if (shape.every((size, i) => size === 1 || times[i] === 1)) return b.broadcast(b.reshape(x, shape), out);
  const split = shape.flatMap((size, i) => (times[i] === 1 ? [size] : [1, size]));
  const wide = shape.flatMap((size, i) => (times[i] === 1 ? [size] : [times[i] as number, size]));
  return b.reshape(b.broadcast(b.reshape(x, split), wide), out);
}

const slice = (b: Builder, x: Node, at: number, begin: number, size: number): Node =>
  b.slice(
    x,
    x.shape.map((_, i) => (i === at ? begin : 0)),
    x.shape.map((full, i) => (i === at ? size : full)),
  );

interface MirrorAttrs {
  readonly paddings: readonly (readonly [number, number])[];
  readonly mode: "reflect" | "symmetric";
}

/** Each padded axis reads the mirrored places. */
function mirrorPad(b: Builder, x: Node, { paddings, mode }: MirrorAttrs): Node {
  const edge = mode === "symmetric" ? 1 : 0;
  return paddings.reduce((out, [before, after], axis) => {
    const size = x.shape[axis] as number;
    if (before + after === 0) return out;
    const shown = range(before + size + after).map((j) => {
      const i = j - before;
      if (i < 0) return -i - edge;
      return i >= size ? 2 * size - 2 + edge - i : i;
    });
    return b.gather(out, b.constant(Int32Array.from(shown), [shown.length], "int32"), axis);
  }, x);
}

interface BlockAttrs {
  readonly blockShape: number[];
  readonly crops: number[][];
  readonly paddings: [number, number][];
}

function batchToSpace(b: Builder, x: Node, { blockShape, crops }: BlockAttrs): Node {
  const [shape, block] = [[...x.shape], sizeOf(blockShape)];
  const reshaped = tf.backend_util.getReshaped(shape, blockShape, block);
  const permuted = b.transpose(b.reshape(x, reshaped), tf.backend_util.getPermuted(reshaped.length, blockShape.length));
  const flat = tf.backend_util.getReshapedPermuted(shape, blockShape, block);
  const begin = tf.backend_util.getSliceBeginCoords(crops, blockShape.length);
  const size = tf.backend_util.getSliceSize(flat, crops, blockShape.length);
  const rest = flat.slice(begin.length);
  return b.slice(b.reshape(permuted, flat), [...begin, ...rest.map(() => 0)], [...size, ...rest]);
}

function spaceToBatch(b: Builder, x: Node, { blockShape, paddings }: BlockAttrs): Node {
  const block = sizeOf(blockShape);
  const none: readonly [number, number] = [0, 0];
  const padded = b.pad(
    x,
    x.shape.map((_, i) => (i === 0 ? none : (paddings[i - 1] ?? none))),
  );
  const shape = [...padded.shape];
  const reshaped = tf.backend_util.getReshaped(shape, blockShape, block, false);
  const permuted = b.transpose(
    b.reshape(padded, reshaped),
    tf.backend_util.getPermuted(reshaped.length, blockShape.length, false),
  );
  return b.reshape(permuted, tf.backend_util.getReshapedPermuted(shape, blockShape, block, false));
}

function depthToSpace(b: Builder, x: Node, s: number, dataFormat: string): Node {
  const first = dataFormat === "NCHW";
  const image = first ? b.transpose(x, [0, 2, 3, 1]) : x;
  const [n, h, w, c] = image.shape as [number, number, number, number];
  const depth = c / (s * s);
  const split = b.transpose(b.reshape(image, [n, h, w, s, s, depth]), [0, 1, 3, 2, 4, 5]);
  const out = b.reshape(split, [n, h * s, w * s, depth]);
  return first ? b.transpose(out, [0, 3, 1, 2]) : out;
}

export const SHAPES: { readonly [kernelName: string]: TraceKernel } = {
  Reshape: (b, { x }, { shape }: { shape: number[] }) =>
    b.reshape(x as Node, tf.util.inferFromImplicitShape(shape, sizeOf((x as Node).shape))),
  ExpandDims: (b, inputs, { dim }: { dim: number }) => {
    const { shape } = inputs.input as Node;
    return b.reshape(inputs.input as Node, shape.toSpliced(dim < 0 ? shape.length + 1 + dim : dim, 0, 1));
  },
  Transpose: (b, { x }, { perm }: { perm: number[] }) => b.transpose(x as Node, perm),
  Tile: (b, { x }, { reps }: { reps: number[] }) => tile(b, x as Node, reps),
  BroadcastTo: (b, { x }, { shape }: { shape: number[] }) => b.broadcast(x as Node, shape),
  Concat: (b, inputs, { axis }: { axis: number }) => {
    const nodes = Object.values(inputs);
    const [at] = axesOf(axis, (nodes[0] as Node).shape) as [number];
    const full = nodes.filter(({ shape }) => shape[at] !== 0);
    return full.length === 0 ? (nodes[0] as Node) : full.length === 1 ? (full[0] as Node) : b.concat(full, at);
  },
  Pack: (b, inputs, { axis }: { axis: number }) => {
    const nodes = Object.values(inputs);
    const { shape } = nodes[0] as Node;
    const at = axis < 0 ? shape.length + 1 + axis : axis;
    return b.concat(
      nodes.map((node) => b.reshape(node, shape.toSpliced(at, 0, 1))),
      at,
    );
  },
  Unpack: (b, inputs, { axis }: { axis: number }) => {
    const x = inputs.value as Node;
    const at = axis < 0 ? x.shape.length + axis : axis;
    return range(x.shape[at] as number).map((i) => b.reshape(slice(b, x, at, i, 1), x.shape.toSpliced(at, 1)));
  },
  SplitV: (b, inputs, { numOrSizeSplits, axis }: { numOrSizeSplits: number | number[]; axis: number }) => {
    const x = inputs.x as Node;
    const [at] = axesOf(axis, x.shape) as [number];
    let from = 0;
    return tf.backend_util
      .prepareSplitSize({ shape: [...x.shape] } as tf.Tensor, numOrSizeSplits, at)
      .map((size) => slice(b, x, at, (from += size) - size, size));
  },
  Slice: (b, { x }, attrs: { begin: number | number[]; size: number | number[] }) => {
    const [begin, size] = tf.slice_util.parseSliceParams(x as unknown as tf.Tensor, attrs.begin, attrs.size);
    return b.slice(x as Node, begin as number[], size as number[]);
  },
  StridedSlice: (b, { x }, attrs: Parameters<typeof stridedRegion>[1]) => {
    const { begin, counts, strides, shape } = stridedRegion((x as Node).shape, attrs);
    return b.reshape(b.stridedSlice(x as Node, begin, counts, strides), shape);
  },
  PadV2: (b, { x }, attrs: { paddings: [number, number][]; constantValue: number }) =>
    b.pad(x as Node, attrs.paddings, attrs.constantValue),
  MirrorPad: (b, { x }, attrs: MirrorAttrs) => mirrorPad(b, x as Node, attrs),
  Reverse: (b, { x }, { dims }: { dims: number | number[] }) => {
    const axes = axesOf(dims, (x as Node).shape);
    return axes.length === 0 ? (x as Node) : b.reverse(x as Node, axes);
  },
  FlipLeftRight: (b, { image }) => b.reverse(image as Node, [2]),
  DepthToSpace: (b, { x }, attrs: { blockSize: number; dataFormat: string }) =>
    depthToSpace(b, x as Node, attrs.blockSize, attrs.dataFormat),
  BatchToSpaceND: (b, { x }, attrs: BlockAttrs) => batchToSpace(b, x as Node, attrs),
  SpaceToBatchND: (b, { x }, attrs: BlockAttrs) => spaceToBatch(b, x as Node, attrs),
  Diag: (b, inputs) => {
    const x = inputs.x as Node;
    const n = sizeOf(x.shape);
    const eye = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
    const spread = b.binary("mul", b.constant(eye, [n, n]), b.reshape(x, [n, 1]));
    return b.reshape(b.cast(spread, x.dtype), [...x.shape, ...x.shape]);
  },
};
