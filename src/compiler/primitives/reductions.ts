/** Primitives along axes: reductions, places of extremes, running sums. */

import { sizeOf } from "../../core/shape.ts";
import type { Node } from "../ir/node.ts";
import { textOf } from "../ir/node.ts";
import type { Lowering } from "../onnx/emit.ts";
import { type Operand, scalarLike } from "./elementwise-row.ts";
import type { Constructors, Family, Primitive, TraceKernel, TraceKernels, TypeRule } from "./primitive.ts";
import { type Shapes, sliceAlong } from "./shapes.ts";
import { checkAxes, mismatch, parseAxes, withoutAxes } from "./types.ts";

export interface Reductions extends Shapes {
  /** Over `axes` (all by default). `mean` of int32 is float32; `any` and `all` take and give bool. max and min propagate NaN. */
  reduce(op: ReduceOp, x: Node, axes?: readonly number[], keepDims?: boolean): Node;
  /** The first index of the largest element. */
  argMax(x: Node, axis: number): Node;
  argMin(x: Node, axis: number): Node;
  cumsum(x: Node, options: { readonly axis: number; readonly exclusive?: boolean; readonly reverse?: boolean }): Node;
  /** The k largest of the last axis, in falling order, the lower index first among equals. */
  topK(x: Node, k: number): { readonly values: Node; readonly indices: Node };
}

const reducedType: TypeRule = ([x], { axes = [], keepDims }, op) => {
  checkAxes(op, x!.shape, axes);
  return { shape: withoutAxes(x!.shape, axes, keepDims), dtype: x!.dtype };
};

const lowerReduction =
  (op: string): Lowering =>
  (e, node, [x]) =>
    node.attrs.axes!.length === 0
      ? x!
      : e.op(op, [x!, e.ints(node.attrs.axes!)], { keepdims: node.attrs.keepDims ? 1 : 0 });

/** any and all are the extremes of zeros and ones. */
const lowerLogical =
  (op: string): Lowering =>
  (e, node, [x]) =>
    e.cast(lowerReduction(op)(e, node, [e.cast(x!, "int32")]), "bool");

/** ReduceMax and ReduceMin pass over NaN; Clip does not: the clipped sum is 0, or NaN where there was one. */
const lowerExtreme =
  (op: string): Lowering =>
  (e, node, args) => {
    const best = lowerReduction(op)(e, node, args);
    if (node.dtype !== "float32" || node.attrs.axes!.length === 0) return best;
    const zero = scalarLike(e, node, 0);
    return e.op("Add", [best, lowerReduction("ReduceSum")(e, node, [e.op("Clip", [args[0]!, zero, zero])])]);
  };

/** Rows from which a product pays. */
const FEWEST_ROWS = 16;

/** A sum over the leading axes is the product of a row of ones with the rest: ONNX Runtime's kernel for it takes half the time. */
const lowerSum: Lowering = (e, node, args) => {
  const { axes = [] } = node.attrs;
  const { shape } = node.inputs[0]!;
  const [rows, columns] = [sizeOf(shape.slice(0, axes.length)), sizeOf(shape.slice(axes.length))];
  const leading = axes.length < shape.length && axes.every((axis, i) => axis === i);
  if (!leading || node.dtype !== "float32" || e.precision !== "float32" || rows < FEWEST_ROWS || columns < 2)
    return lowerReduction("ReduceSum")(e, node, args);
  const flat = shape.length === 2 ? args[0]! : e.op("Reshape", [args[0]!, e.ints([rows, columns])]);
  const total = e.op("MatMul", [e.constant("float32", [rows], 1), flat]);
  return node.shape.length === 1 ? total : e.op("Reshape", [total, e.ints(node.shape)]);
};

export interface Reduction extends Primitive<Shapes> {
  readonly operand: Operand;
  /** The tfjs kernel of the same operand. */
  readonly kernel: string;
}

const reduction = (operand: Operand, lower: Lowering, kernel: string): Reduction => ({
  type: reducedType,
  operand,
  lower,
  kernel,
});

export const REDUCE = {
  sum: reduction("number", lowerSum, "Sum"),
  mean: reduction("real", lowerReduction("ReduceMean"), "Mean"),
  prod: reduction("number", lowerReduction("ReduceProd"), "Prod"),
  max: reduction("number", lowerExtreme("ReduceMax"), "Max"),
  min: reduction("number", lowerExtreme("ReduceMin"), "Min"),
  any: reduction("truth", lowerLogical("ReduceMax"), "Any"),
  all: reduction("truth", lowerLogical("ReduceMin"), "All"),
} satisfies { readonly [op: string]: Reduction };

export type ReduceOp = keyof typeof REDUCE;
export const isReduction = (op: string): op is ReduceOp => Object.hasOwn(REDUCE, op);

/** The place of an extreme along one axis. */
const place = (op: string): Primitive<Shapes> => ({
  type([x], attrs, name) {
    checkAxes(name, x!.shape, [attrs.axis!]);
    return { shape: withoutAxes(x!.shape, [attrs.axis!]), dtype: "int32" };
  },
  lower: (e, node, [x]) => e.cast(e.op(op, [x!], { axis: node.attrs.axis!, keepdims: 0 }), "int32"),
});

/** One of the two outputs of the one node that makes both. */
const largest = (output: 0 | 1): Primitive<Shapes> => ({
  type([x], attrs, op) {
    const k = attrs.k!;
    if (!(k <= (x!.shape.at(-1) ?? 0))) mismatch(op, `k ${k} of ${textOf(x!.shape)}`, "k within the last axis");
    return { shape: [...x!.shape.slice(0, -1), k], dtype: output === 0 ? x!.dtype : "int32" };
  },
  lower(e, node, [x]) {
    const key = (i: number) => `topK${i} ${x} ${node.attrs.k}`;
    if (!e.scope.found.has(key(0))) {
      const made = e.ops("TopK", [x!, e.ints([node.attrs.k!])], 2);
      made.forEach((name, i) => {
        e.scope.found.set(key(i), name);
      });
    }
    const name = e.scope.found.get(key(output))!;
    return output === 0 ? name : e.cast(name, "int32");
  },
});

export const REDUCTIONS = {
  ...REDUCE,
  argMax: place("ArgMax"),
  argMin: place("ArgMin"),
  cumsum: {
    type([x], attrs, op) {
      checkAxes(op, x!.shape, [attrs.axis!]);
      return { shape: x!.shape, dtype: x!.dtype };
    },
    lower: (e, node, [x]) =>
      e.op("CumSum", [x!, e.constant("int64", [], node.attrs.axis!)], {
        exclusive: Number(node.attrs.exclusive ?? false),
        reverse: Number(node.attrs.reverse ?? false),
      }),
  },
  topKValues: largest(0),
  topKIndices: largest(1),
} satisfies Family<Shapes>;

export const REDUCTION_CONSTRUCTORS: Constructors<Reductions, Shapes> = {
  reduce(op, x, axes = x.shape.map((_, i) => i), keepDims = false) {
    const { operand } = REDUCE[op];
    const dtype =
      operand === "truth" ? "bool" : operand === "real" ? "float32" : x.dtype === "bool" ? "int32" : x.dtype;
    return this.emit(op, [this.cast(x, dtype)], { axes: [...new Set(axes)].sort((p, q) => p - q), keepDims });
  },
  argMax(x, axis) {
    return this.emit("argMax", [x], { axis });
  },
  argMin(x, axis) {
    return this.emit("argMin", [x], { axis });
  },
  cumsum(x, { axis, exclusive = false, reverse = false }) {
    return this.emit("cumsum", [x], { axis, exclusive, reverse });
  },
  topK(x, k) {
    return { values: this.emit("topKValues", [x], { k }), indices: this.emit("topKIndices", [x], { k }) };
  },
};

interface ReduceAttrs {
  readonly axis?: number | number[];
  readonly reductionIndices?: number | number[];
  readonly keepDims?: boolean;
}

const reduceKernel =
  (op: ReduceOp): TraceKernel<Reductions> =>
  (b, { x }, attrs: ReduceAttrs) => {
    const axes = parseAxes(attrs.axis ?? attrs.reductionIndices, x!.shape);
    if (axes.length > 0) return b.reduce(op, x!, axes, attrs.keepDims);
    return op === "mean" ? b.cast(x!, "float32") : x!;
  };

interface ScanAttrs {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

/** Running products, one slice after the other. */
function cumprod(b: Shapes, x: Node, { axis, exclusive, reverse }: ScanAttrs): Node {
  const [at] = parseAxes(axis, x.shape) as [number];
  const count = x.shape[at] as number;
  const slices = Array.from({ length: count }, (_, k) => sliceAlong(b, x, at, k, 1));
  if (reverse) slices.reverse();
  let total: Node = b.constant(1, x.shape.with(at, 1), x.dtype);
  const out = slices.map((slice) => {
    const next = b.binary("mul", total, slice);
    const shown = exclusive ? total : next;
    total = next;
    return shown;
  });
  if (reverse) out.reverse();
  return count === 0 ? x : b.concat(out, at);
}

export const REDUCTION_KERNELS: TraceKernels<Reductions> = {
  ...Object.fromEntries(Object.entries(REDUCE).map(([op, { kernel }]) => [kernel, reduceKernel(op as ReduceOp)])),
  ArgMax: (b, { x }, { axis }: { axis: number }) => b.argMax(x!, parseAxes(axis, x!.shape)[0]!),
  ArgMin: (b, { x }, { axis }: { axis: number }) => b.argMin(x!, parseAxes(axis, x!.shape)[0]!),
  Cumsum: (b, { x }, { axis, exclusive, reverse }: ScanAttrs) =>
    b.cumsum(x!, { axis: parseAxes(axis, x!.shape)[0]!, exclusive, reverse }),
  Cumprod: (b, { x }, attrs: ScanAttrs) => cumprod(b, x!, attrs),
  TopK(b, { x }, { k }: { k: number }) {
    const { values, indices } = b.topK(x!, k);
    return [values, indices];
  },
};
