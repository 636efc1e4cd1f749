/** A builder of hash-consed graphs: equal expressions are one node, and every node has a checked shape. */
import { fail } from "../../core/errors.ts";
import {
  type Attrs,
  type BinaryOp,
  type DType,
  type Graph,
  kindOf,
  type Node,
  type NumericArray,
  type Op,
  type Output,
  type ReduceOp,
  type Shape,
  sizeOf,
  textOf,
  type UnaryOp,
} from "./node.ts";
import { inferType } from "./types.ts";

/** A rule applied while a node is being made: a node to use instead, or undefined. It may build through `builder`. */
export type Rewrite = (builder: Builder, op: Op, inputs: readonly Node[], attrs: Attrs) => Node | undefined;

export interface BuilderOptions {
  readonly rewrite?: Rewrite;
}

/** Constructor functions of the primitives. Each checks shapes (error code `shape`) and returns the one node of its value. */
export interface Builder {
  /** The primitive as such: no conversions of dtype, no defaults. What the functions below call. */
  emit(op: Op, inputs: readonly Node[], attrs?: Attrs): Node;
  /** A value given at run time. The same name twice is the same node, and must have the same shape and dtype. */
  input(name: string, shape: Shape, dtype?: DType): Node;
  /** A number fills the shape (and is kept as a double); an array has one element per place, row-major. */
  constant(value: number | NumericArray, shape?: Shape, dtype?: DType): Node;
  /** Elementwise. Real functions cast int32 and bool to float32 first. `round` is half to even, `sign(NaN)` is NaN. */
  unary(op: UnaryOp, x: Node): Node;
  /**
   * Elementwise with NumPy broadcasting; operands are brought to the higher dtype (bool < int32 < float32).
   * `maximum` and `minimum` propagate NaN; `mod` and `floorDiv` round towards −∞; `div` of int32 is `floorDiv`.
   */
  binary(op: BinaryOp, a: Node, b: Node): Node;
  /** condition ? a : b, elementwise, all three broadcast. */
  where(condition: Node, a: Node, b: Node): Node;
  /** To int32 truncates towards zero; to bool is x ≠ 0. */
  cast(x: Node, dtype: DType): Node;
  /** The product over the last two axes, batched and broadcast over the others. */
  matmul(a: Node, b: Node, options?: { readonly transposeA?: boolean; readonly transposeB?: boolean }): Node;
  /** Over `axes` (all by default). `mean` of int32 is float32; `any` and `all` take and give bool. max and min propagate NaN. */
  reduce(op: ReduceOp, x: Node, axes?: readonly number[], keepDims?: boolean): Node;
  /** The first index of the largest element. */
  argMax(x: Node, axis: number): Node;
  argMin(x: Node, axis: number): Node;
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
  /** shape = x.shape with `axis` replaced by the shape of `indices`. */
  gather(x: Node, indices: Node, axis?: number): Node;
  /** The last axis of `indices` addresses the first axes of x. */
  gatherND(x: Node, indices: Node): Node;
  /** Zeros of `shape` with the updates added at the indices; places named twice add up. */
  scatterND(indices: Node, updates: Node, shape: Shape): Node;
  /** Row i = Σ of the rows of x whose id is i, i < n; ids outside [0, n) are dropped. */
  segmentSum(x: Node, ids: Node, n: number): Node;
  cumsum(x: Node, options: { readonly axis: number; readonly exclusive?: boolean; readonly reverse?: boolean }): Node;
  /** The k largest of the last axis, in falling order, the lower index first among equals. */
  topK(x: Node, k: number): { readonly values: Node; readonly indices: Node };
  /** A new last axis of size `depth`: on at the index, off elsewhere (everywhere, for an index outside). */
  oneHot(indices: Node, depth: number, on?: number, off?: number, dtype?: DType): Node;
  /** x [n,h,w,c], filter [kh,kw,c/groups,out] → [n,h',w',out]. A depthwise product has groups = c and filter [kh,kw,1,c·m]. */
  conv2d(x: Node, filter: Node, options: Conv2dOptions): Node;
  conv2dInputGrad(dy: Node, filter: Node, inputShape: Shape, options: Conv2dOptions): Node;
  conv2dFilterGrad(x: Node, dy: Node, filterShape: Shape, options: Conv2dOptions): Node;
  /** The mean over the part of each window that lies inside x [n,h,w,c]. */
  avgPool(x: Node, options: PoolOptions): Node;
  maxPool(x: Node, options: PoolOptions): Node;
  /** The program that computes `outputs`: reachable nodes only, and every input ever made. */
  finish(outputs: readonly Output[]): Graph;
}

type Pair = readonly [number, number];

export interface Conv2dOptions {
  readonly strides?: Pair;
  readonly dilations?: Pair;
  /** Zeros before and after the rows, before and after the columns. */
  readonly paddings?: readonly [Pair, Pair];
  readonly groups?: number;
}

export interface PoolOptions extends Omit<Conv2dOptions, "groups"> {
  readonly window: Pair;
}

const numberKey = (x: number) => (Object.is(x, -0) ? "-0" : String(x));
/** Arrays up to this length are compared by content, longer ones by identity: reading them would cost more than it saves. */
const comparedLength = 64;
const arrayIds = new WeakMap<NumericArray, number>();
let nextArrayId = 0;

function arrayKey(a: NumericArray): string {
  if (a.length <= comparedLength) return Array.from(a, numberKey).join();
  if (!arrayIds.has(a)) arrayIds.set(a, nextArrayId++);
  return `#${arrayIds.get(a)}`;
}

function attrsKey(attrs: Attrs): string {
  const fields = Object.entries(attrs).filter(([, v]) => v !== undefined && v !== false);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return fields
    .map(([k, v]) => `${k}=${k !== "value" ? JSON.stringify(v) : typeof v === "number" ? numberKey(v) : arrayKey(v)}`)
    .join(";");
}

const rank: Record<DType, number> = { bool: 0, int32: 1, float32: 2 };
const highest = (nodes: readonly Node[]): DType =>
  nodes.reduce<DType>((d, x) => (rank[x.dtype] > rank[d] ? x.dtype : d), "bool");

const ones: Pair = [1, 1];
const convAttrs = (o: Omit<Conv2dOptions, "groups">): Attrs => ({
  strides: o.strides ?? ones,
  dilations: o.dilations ?? ones,
  paddings: o.paddings ?? [
    [0, 0],
    [0, 0],
  ],
});

/** An empty graph to build in. */
export function createBuilder({ rewrite }: BuilderOptions = {}): Builder {
  const known = new Map<string, Node>();
  const inputs = new Map<string, Node>();
  let nextId = 0;

  function emit(op: Op, operands: readonly Node[], attrs: Attrs = {}): Node {
    const type = inferType(op, operands, attrs);
    const key = `${op}(${operands.map((x) => x.id).join()})${attrsKey(attrs)}`;
    const found = known.get(key);
    if (found) return found;
    let node = rewrite?.(builder, op, operands, attrs);
    if (!node) node = Object.freeze({ id: nextId++, op, inputs: operands, attrs, ...type });
    known.set(key, node);
    return node;
  }

  const cast = (x: Node, dtype: DType) => (x.dtype === dtype ? x : emit("cast", [x], { dtype }));
  const alike = (...xs: readonly Node[]) => xs.map((x) => cast(x, highest(xs)));

  const builder: Builder = {
    emit,
    cast,
    input(name, shape, dtype = "float32") {
      const old = inputs.get(name);
      const node = emit("input", [], { name, shape, dtype });
      if (old && old !== node)
        fail(
          "argument",
          `Input ${name} was declared as ${old.dtype}${textOf(old.shape)} and again as ${dtype}${textOf(shape)}; give each input its own name.`,
        );
      inputs.set(name, node);
      return node;
    },
    constant(value, shape = typeof value === "number" ? [] : [value.length], dtype = "float32") {
      if (typeof value !== "number" && value.length !== sizeOf(shape))
        fail(
          "shape",
          `constant: found ${value.length} elements; expected ${sizeOf(shape)} for shape ${textOf(shape)}.`,
        );
      return emit("constant", [], { value, shape, dtype });
    },
    unary(op, x) {
      const kind = kindOf(op);
      if (op === "not") return emit(op, [cast(x, "bool")]);
      if (kind === "real") return emit(op, [cast(x, "float32")]);
      return emit(op, [x.dtype === "bool" ? cast(x, "int32") : x]);
    },
    binary(op, a, b) {
      if (kindOf(op) === "logical") return emit(op, [cast(a, "bool"), cast(b, "bool")]);
      let pair = alike(a, b);
      if (pair[0]!.dtype === "bool") pair = pair.map((x) => cast(x, "int32"));
      if (op === "atan2") pair = pair.map((x) => cast(x, "float32"));
      return emit(op === "div" && pair[0]!.dtype === "int32" ? "floorDiv" : op, pair);
    },
    where: (condition, a, b) => emit("where", [cast(condition, "bool"), ...alike(a, b)]),
    matmul: (a, b, { transposeA = false, transposeB = false } = {}) =>
      emit("matmul", alike(a, b), { transposeA, transposeB }),
    reduce(op, x, axes = x.shape.map((_, i) => i), keepDims = false) {
      const logical = op === "any" || op === "all";
      const dtype = logical ? "bool" : op === "mean" ? "float32" : x.dtype === "bool" ? "int32" : x.dtype;
      return emit(op, [cast(x, dtype)], { axes: [...new Set(axes)].sort((a, b) => a - b), keepDims });
    },
    argMax: (x, axis) => emit("argMax", [x], { axis }),
    argMin: (x, axis) => emit("argMin", [x], { axis }),
    reshape: (x, shape) => emit("reshape", [x], { shape: [...shape] }),
    transpose: (x, perm = x.shape.map((_, i) => x.shape.length - 1 - i)) => emit("transpose", [x], { perm: [...perm] }),
    broadcast: (x, shape) => emit("broadcast", [x], { shape: [...shape] }),
    concat: (xs, axis) => emit("concat", alike(...xs), { axis }),
    slice: (x, begin, size) => emit("slice", [x], { begin: [...begin], size: [...size] }),
    stridedSlice: (x, begin, size, strides) =>
      emit("stridedSlice", [x], { begin: [...begin], size: [...size], strides: [...strides] }),
    pad: (x, paddings, value = 0) => emit("pad", [x], { paddings: paddings.map(([a, b]) => [a, b] as const), value }),
    reverse: (x, axes) => emit("reverse", [x], { axes: [...axes].sort((a, b) => a - b) }),
    gather: (x, indices, axis = 0) => emit("gather", [x, cast(indices, "int32")], { axis }),
    gatherND: (x, indices) => emit("gatherND", [x, cast(indices, "int32")]),
    scatterND: (indices, updates, shape) => emit("scatterND", [cast(indices, "int32"), updates], { shape: [...shape] }),
    segmentSum: (x, ids, n) => emit("segmentSum", [x, cast(ids, "int32")], { k: n }),
    cumsum: (x, { axis, exclusive = false, reverse = false }) => emit("cumsum", [x], { axis, exclusive, reverse }),
    topK: (x, k) => ({ values: emit("topKValues", [x], { k }), indices: emit("topKIndices", [x], { k }) }),
    oneHot(indices, depth, on = 1, off = 0, dtype = "float32") {
      const places = builder.constant(
        Int32Array.from({ length: depth }, (_, i) => i),
        [depth],
        "int32",
      );
      const hot = builder.binary("equal", builder.reshape(cast(indices, "int32"), [...indices.shape, 1]), places);
      return builder.where(hot, builder.constant(on, [], dtype), builder.constant(off, [], dtype));
    },
    conv2d: (x, filter, o) => emit("conv2d", [x, filter], { ...convAttrs(o), groups: o.groups ?? 1 }),
    conv2dInputGrad: (dy, filter, shape, o) =>
      emit("conv2dInputGrad", [dy, filter], { ...convAttrs(o), groups: o.groups ?? 1, shape: [...shape] }),
    conv2dFilterGrad: (x, dy, shape, o) =>
      emit("conv2dFilterGrad", [x, dy], { ...convAttrs(o), groups: o.groups ?? 1, shape: [...shape] }),
    avgPool: (x, o) => emit("avgPool", [x], { ...convAttrs(o), window: o.window }),
    maxPool: (x, o) => emit("maxPool", [x], { ...convAttrs(o), window: o.window }),
    finish: (outputs) => collect([...inputs.values()], outputs),
  };
  return builder;
}

/** Operands are made before what uses them, so the order of ids is an order of evaluation. */
function collect(inputs: readonly Node[], outputs: readonly Output[]): Graph {
  const names = outputs.map((o) => o.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) fail("argument", `Two outputs are named ${twice}; give each its own name.`);
  const reached = new Set<Node>();
  const pending = outputs.map((o) => o.node);
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (reached.has(node)) continue;
    reached.add(node);
    pending.push(...node.inputs);
  }
  return { inputs, nodes: [...reached].sort((a, b) => a.id - b.id), outputs };
}
