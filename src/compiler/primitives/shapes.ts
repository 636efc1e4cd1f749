/** Primitives that move elements by shape. */
import * as tf from "@tensorflow/tfjs-core";
import { type Shape, sameShape, sizeOf } from "../../core/shape.ts";
import { stridedRegion } from "../../engine/kernels/take.ts";
import { type Attrs, type Node, textOf } from "../ir/node.ts";
import type { Lowering } from "../onnx/emit.ts";
import { alike, type Elementwise } from "./elementwise.ts";
import type { Constructors, Family, TraceKernels, TypeRule } from "./primitive.ts";
import { broadcastShapes, checkAxes, mismatch, parseAxes } from "./types.ts";

export interface Shapes extends Elementwise {
  reshape(x: Node, shape: Shape): Node;
  /** Axis i of the result is axis perm[i] of x (reversed axes by default). */
  transpose(x: Node, perm?: readonly number[]): Node;
  broadcast(x: Node, shape: Shape): Node;
  concat(xs: readonly Node[], axis: number): Node;
  slice(x: Node, begin: readonly number[], size: readonly number[]): Node;
  /** Elements begin + i·stride, i < size, axis by axis; strides may be negative. */
  stridedSlice(x: Node, begin: readonly number[], size: readonly number[], strides: readonly number[]): Node;
  pad(x: Node, paddings: readonly (readonly [number, number])[], value?: number): Node;
  reverse(x: Node, axes: readonly number[]): Node;
}

const reshapeType: TypeRule = ([x], { shape }, op) => {
  if (sizeOf(shape!) !== sizeOf(x!.shape)) mismatch(op, `${textOf(x!.shape)} → ${textOf(shape!)}`, "as many elements");
  return { shape: shape!, dtype: x!.dtype };
};

const broadcastTo: TypeRule = ([x], { shape }, op) => {
  if (!sameShape(broadcastShapes(op, x!.shape, shape!), shape!))
    mismatch(op, `${textOf(x!.shape)} → ${textOf(shape!)}`, "a shape that the operand broadcasts to");
  return { shape: shape!, dtype: x!.dtype };
};

const transposeType: TypeRule = ([x], attrs, op) => {
  const [{ shape, dtype }, perm] = [x!, attrs.perm!];
  if (perm.length !== shape.length || new Set(perm).size !== perm.length || perm.some((p) => !(p in shape)))
    mismatch(op, `permutation ${textOf(perm)} of ${textOf(shape)}`, "each axis once");
  return { shape: perm.map((p) => shape[p]!), dtype };
};

const concatType: TypeRule = (inputs, attrs, op) => {
  const axis = attrs.axis!;
  const { shape: first, dtype } = inputs[0]!;
  for (const { shape } of inputs)
    if (shape.length !== first.length || shape.some((n, i) => i !== axis && n !== first[i]))
      mismatch(op, inputs.map((x) => textOf(x.shape)).join(", "), `equal shapes beside axis ${axis}`);
  return { shape: first.map((n, i) => (i === axis ? inputs.reduce((sum, x) => sum + x.shape[axis]!, 0) : n)), dtype };
};

const sliceType: TypeRule = ([x], { begin = [], size = [], strides }: Attrs, op) => {
  const { shape, dtype } = x!;
  const inside = shape.every((n, i) => {
    const last = begin[i]! + (size[i]! - 1) * (strides?.[i] ?? 1);
    return size[i]! >= 0 && (size[i] === 0 || (begin[i]! >= 0 && begin[i]! < n && last >= 0 && last < n));
  });
  if (begin.length !== shape.length || size.length !== shape.length || !inside)
    mismatch(op, `begin ${textOf(begin)}, size ${textOf(size)} of ${textOf(shape)}`, "a region inside the operand");
  return { shape: size, dtype };
};

/** A falling slice that reaches element 0 ends before it: a place that only a very negative number names. */
const BEFORE_ALL = -(2 ** 31);

const lowerSlice: Lowering = (e, node, [x]) => {
  const { begin = [], strides = begin.map(() => 1) } = node.attrs;
  const axes = node.shape.flatMap((n, i) => (n === node.inputs[0]!.shape[i] && strides[i] === 1 ? [] : [i]));
  if (axes.length === 0) return x!;
  const end = (i: number) => {
    const last = begin[i]! + node.shape[i]! * strides[i]!;
    return last < 0 ? BEFORE_ALL : last;
  };
  const pick = (f: (i: number) => number) => e.ints(axes.map(f));
  return e.op("Slice", [x!, pick((i) => begin[i]!), pick(end), pick((i) => i), pick((i) => strides[i]!)]);
};

const padType: TypeRule = ([x], attrs, op) => {
  const [{ shape, dtype }, paddings] = [x!, attrs.paddings!];
  if (paddings.length !== shape.length || paddings.some(([a, b]) => a < 0 || b < 0))
    mismatch(op, `paddings of ${paddings.length} axes for ${textOf(shape)}`, "a nonnegative pair for each axis");
  return { shape: shape.map((n, i) => n + paddings[i]![0] + paddings[i]![1]), dtype };
};

export const SHAPES = {
  reshape: {
    type: reshapeType,
    lower: (e, node, [x]) => e.op("Reshape", [x!, e.ints(node.shape)], { allowzero: 1 }),
  },
  broadcast: { type: broadcastTo, lower: (e, node, [x]) => e.op("Expand", [x!, e.ints(node.shape)]) },
  transpose: { type: transposeType, lower: (e, node, [x]) => e.op("Transpose", [x!], { perm: node.attrs.perm! }) },
  concat: { type: concatType, lower: (e, node, args) => e.op("Concat", args, { axis: node.attrs.axis! }) },
  slice: { type: sliceType, lower: lowerSlice },
  stridedSlice: { type: sliceType, lower: lowerSlice },
  pad: {
    type: padType,
    lower(e, node, [x]) {
      const pads = node.attrs.paddings!;
      const amounts = e.ints([...pads.map((p) => p[0]), ...pads.map((p) => p[1])]);
      return e.op("Pad", [x!, amounts, e.constant(e.typeOf(node.dtype), [], node.attrs.value!)]);
    },
  },
  reverse: {
    type([x], { axes = [] }, op) {
      checkAxes(op, x!.shape, axes);
      return { shape: x!.shape, dtype: x!.dtype };
    },
    lower(e, node, [x]) {
      const axes = node.attrs.axes!;
      const all = (value: number) => e.ints(axes.map(() => value));
      return e.op("Slice", [x!, all(-1), all(BEFORE_ALL), e.ints(axes), all(-1)]);
    },
  },
} satisfies Family<Elementwise>;

export const SHAPE_CONSTRUCTORS: Constructors<Shapes, Elementwise> = {
  reshape(x, shape) {
    return this.emit("reshape", [x], { shape: [...shape] });
  },
  transpose(x, perm = x.shape.map((_, i) => x.shape.length - 1 - i)) {
    return this.emit("transpose", [x], { perm: [...perm] });
  },
  broadcast(x, shape) {
    return this.emit("broadcast", [x], { shape: [...shape] });
  },
  concat(xs, axis) {
    return this.emit("concat", alike(this, ...xs), { axis });
  },
  slice(x, begin, size) {
    return this.emit("slice", [x], { begin: [...begin], size: [...size] });
  },
  stridedSlice(x, begin, size, strides) {
    return this.emit("stridedSlice", [x], { begin: [...begin], size: [...size], strides: [...strides] });
  },
  pad(x, paddings, value = 0) {
    return this.emit("pad", [x], { paddings: paddings.map(([before, after]) => [before, after] as const), value });
  },
  reverse(x, axes) {
    return this.emit("reverse", [x], { axes: [...axes].sort((p, q) => p - q) });
  },
};

/** Repetition: an axis of size d becomes [times, d], the first of which is broadcast. */
function tile(b: Shapes, x: Node, reps: readonly number[]): Node {
  const rank = Math.max(x.shape.length, reps.length);
  const full = (list: readonly number[]) => [...new Array<number>(rank - list.length).fill(1), ...list];
  const [shape, times] = [full(x.shape), full(reps)];
  const out = shape.map((size, i) => size * (times[i] as number));
  if (shape.every((size, i) => size === 1 || times[i] === 1)) return b.broadcast(b.reshape(x, shape), out);
  const split = shape.flatMap((size, i) => (times[i] === 1 ? [size] : [1, size]));
  const wide = shape.flatMap((size, i) => (times[i] === 1 ? [size] : [times[i] as number, size]));
  return b.reshape(b.broadcast(b.reshape(x, split), wide), out);
}

/** `size` places of one axis. */
export const sliceAlong = (b: Shapes, x: Node, axis: number, begin: number, size: number): Node =>
  b.slice(
    x,
    x.shape.map((_, i) => (i === axis ? begin : 0)),
    x.shape.with(axis, size),
  );

/** An axis that is to be made, counted from the end when negative. */
const madeAxis = (axis: number, shape: Shape) => (axis < 0 ? shape.length + 1 + axis : axis);

/** The array [...shape, ...shape] with x on its diagonal. */
function diagonal(b: Shapes, x: Node): Node {
  const n = sizeOf(x.shape);
  const eye = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  const spread = b.binary("mul", b.constant(eye, [n, n]), b.reshape(x, [n, 1]));
  return b.reshape(b.cast(spread, x.dtype), [...x.shape, ...x.shape]);
}

export const SHAPE_KERNELS: TraceKernels<Shapes> = {
  Reshape: (b, { x }, { shape }: { shape: number[] }) =>
    b.reshape(x!, tf.util.inferFromImplicitShape(shape, sizeOf(x!.shape))),
  ExpandDims: (b, { input }, { dim }: { dim: number }) =>
    b.reshape(input!, input!.shape.toSpliced(madeAxis(dim, input!.shape), 0, 1)),
  Transpose: (b, { x }, { perm }: { perm: number[] }) => b.transpose(x!, perm),
  Tile: (b, { x }, { reps }: { reps: number[] }) => tile(b, x!, reps),
  BroadcastTo: (b, { x }, { shape }: { shape: number[] }) => b.broadcast(x!, shape),
  Concat(b, inputs, { axis }: { axis: number }) {
    const nodes = Object.values(inputs);
    const [at] = parseAxes(axis, nodes[0]!.shape) as [number];
    const full = nodes.filter(({ shape }) => shape[at] !== 0);
    return full.length === 0 ? nodes[0]! : full.length === 1 ? full[0]! : b.concat(full, at);
  },
  Pack(b, inputs, { axis }: { axis: number }) {
    const nodes = Object.values(inputs);
    const { shape } = nodes[0]!;
    const at = madeAxis(axis, shape);
    return b.concat(
      nodes.map((node) => b.reshape(node, shape.toSpliced(at, 0, 1))),
      at,
    );
  },
  Unpack(b, { value }, { axis }: { axis: number }) {
    const { shape } = value!;
    const at = axis < 0 ? shape.length + axis : axis;
    return Array.from({ length: shape[at]! }, (_, i) =>
      b.reshape(sliceAlong(b, value!, at, i, 1), shape.toSpliced(at, 1)),
    );
  },
  SplitV(b, { x }, { numOrSizeSplits, axis }: { numOrSizeSplits: number | number[]; axis: number }) {
    const [at] = parseAxes(axis, x!.shape) as [number];
    let from = 0;
    return tf.backend_util
      .prepareSplitSize({ shape: [...x!.shape] } as tf.Tensor, numOrSizeSplits, at)
      .map((size) => sliceAlong(b, x!, at, (from += size) - size, size));
  },
  Slice(b, { x }, attrs: { begin: number | number[]; size: number | number[] }) {
    const [begin, size] = tf.slice_util.parseSliceParams(x as unknown as tf.Tensor, attrs.begin, attrs.size);
    return b.slice(x!, begin as number[], size as number[]);
  },
  StridedSlice(b, { x }, attrs: Parameters<typeof stridedRegion>[1]) {
    const { begin, counts, strides, shape } = stridedRegion(x!.shape, attrs);
    return b.reshape(b.stridedSlice(x!, begin, counts, strides), shape);
  },
  PadV2: (b, { x }, attrs: { paddings: [number, number][]; constantValue: number }) =>
    b.pad(x!, attrs.paddings, attrs.constantValue),
  Reverse(b, { x }, { dims }: { dims: number | number[] }) {
    const axes = parseAxes(dims, x!.shape);
    return axes.length === 0 ? x! : b.reverse(x!, axes);
  },
  FlipLeftRight: (b, { image }) => b.reverse(image!, [2]),
  Diag: (b, { x }) => diagonal(b, x!),
};
