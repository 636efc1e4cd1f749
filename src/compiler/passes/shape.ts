/** Rules of what only moves elements: steps that do nothing go, chains become one step. */

import { type Shape, sameShape, sizeOf } from "../../core/shape.ts";
import type { Node } from "../ir/node.ts";
import { isBinary } from "../primitives/binary.ts";
import type { Rewrite } from "../primitives/builder.ts";
import { is, type Op } from "../primitives/families.ts";
import { isReduction } from "../primitives/reductions.ts";
import { countAlong, withoutAxes } from "../primitives/types.ts";
import { isUnary } from "../primitives/unary.ts";

const removesNothing = (shape: Shape, axes: readonly number[]) => axes.every((a) => shape[a] === 1);

/** Reshape, broadcast, slice, transpose, cast, pad, reverse and concat that change nothing. */
export const noOps: Rewrite = (_, op, inputs, attrs) => {
  const x = inputs[0]!;
  switch (op) {
    case "reshape":
    case "broadcast":
      return sameShape(x.shape, attrs.shape!) ? x : undefined;
    case "slice":
      return sameShape(x.shape, attrs.size!) ? x : undefined;
    case "stridedSlice":
      return sameShape(x.shape, attrs.size!) && attrs.strides!.every((s, i) => s === 1 || x.shape[i] === 1)
        ? x
        : undefined;
    case "transpose":
      return attrs.perm!.every((p, i) => p === i) ? x : undefined;
    case "cast":
      return x.dtype === attrs.dtype ? x : undefined;
    case "pad":
      return attrs.paddings!.every(([before, after]) => before + after === 0) ? x : undefined;
    case "reverse":
      return removesNothing(x.shape, attrs.axes!) ? x : undefined;
    case "concat":
      return inputs.length === 1 ? x : undefined;
    default:
      return undefined;
  }
};

/** A broadcast that only adds axes of one element is a reshape. */
export const thinBroadcast: Rewrite = (b, op, [x], attrs) =>
  op === "broadcast" && sizeOf(x!.shape) === sizeOf(attrs.shape!) ? b.reshape(x!, attrs.shape!) : undefined;

/** A reduction over axes of one element is a reshape. */
export const trivialReduction: Rewrite = (b, op, [x], attrs) => {
  if (!isReduction(op) || !removesNothing(x!.shape, attrs.axes!)) return undefined;
  return b.reshape(x!, withoutAxes(x!.shape, attrs.axes!, attrs.keepDims));
};

/** reshape∘reshape, transpose∘transpose, broadcast∘broadcast, slice∘slice. */
export const chains: Rewrite = (b, op, inputs, attrs) => {
  const x = inputs[0];
  if (!x || x.op !== op) return undefined;
  const source = x.inputs[0]!;
  switch (op) {
    case "reshape":
      return b.reshape(source, attrs.shape!);
    case "broadcast":
      return b.broadcast(source, attrs.shape!);
    case "transpose":
      return b.transpose(
        source,
        attrs.perm!.map((p) => x.attrs.perm![p]!),
      );
    case "slice":
      return b.slice(
        source,
        attrs.begin!.map((s, i) => s + x.attrs.begin![i]!),
        attrs.size!,
      );
    default:
      return undefined;
  }
};

/** What can meet x of `outer` shape before it is reshaped from `inner`: one number, or a row of its last axis. */
const meetsBoth = (y: Node, inner: Shape, outer: Shape) =>
  y.shape.length === 0 ||
  (y.shape.length === 1 && y.shape[0]! > 1 && inner.at(-1) === y.shape[0] && outer.at(-1) === y.shape[0]);

/**
 * f(reshape x) = reshape f(x), for elementwise f, also of two that are reshaped alike or of one beside a row: the rows of a matrix
 * product stay rows, and the reshape there and back about an activation goes.
 */
export const lateReshape: Rewrite = (b, op, inputs, attrs) => {
  const elementwise = isUnary(op) || isBinary(op) || op === "cast";
  const reshaped = inputs.find((x) => is(x, "reshape"));
  if (!elementwise || reshaped === undefined) return undefined;
  const [inner, outer] = [reshaped.inputs[0]!.shape, reshaped.shape];
  const early = inputs.map((x) => {
    if (is(x, "reshape") && sameShape(x.shape, outer) && sameShape(x.inputs[0]!.shape, inner)) return x.inputs[0]!;
    return meetsBoth(x, inner, outer) ? x : undefined;
  });
  return early.every((x) => x !== undefined) ? b.reshape(b.emit(op, early, attrs), outer) : undefined;
};

/** Sums over all axes but the last of rows that were put in a grid: sums over the rows. */
export const flatSum: Rewrite = (b, op, [x], attrs) => {
  if (op !== "sum" || !is(x!, "reshape") || attrs.keepDims) return undefined;
  const [rows, outer] = [x!.inputs[0]!, x!.shape];
  const leading = attrs.axes!.length === outer.length - 1 && !attrs.axes!.includes(outer.length - 1);
  return leading && rows.shape.length === 2 && outer.length > 2 && rows.shape[1] === outer.at(-1)
    ? b.reduce("sum", rows, [0])
    : undefined;
};

/** bool → int32 → float32 is one cast; what came from bool holds only 0 and 1, which every type keeps. */
export const castChain: Rewrite = (b, op, [x], attrs) =>
  op === "cast" && is(x!, "cast") && x!.inputs[0]!.dtype === "bool" ? b.cast(x!.inputs[0]!, attrs.dtype!) : undefined;

/** A transpose that moves only axes of one element leaves the elements in order. */
export const trivialTranspose: Rewrite = (b, op, [x], attrs) => {
  if (op !== "transpose") return undefined;
  const moved = attrs.perm!.filter((p) => x!.shape[p] !== 1);
  return moved.every((p, i) => i === 0 || p > moved[i - 1]!)
    ? b.reshape(
        x!,
        attrs.perm!.map((p) => x!.shape[p]!),
      )
    : undefined;
};

/** reshape(reduce(x)) that only drops or restores the reduced axes is the reduction with the other `keepDims`. */
export const reshapedReduction: Rewrite = (b, op, [x], attrs) => {
  if (op !== "reshape" || !isReduction(x!.op)) return undefined;
  const source = x!.inputs[0]!;
  const { axes = [], keepDims = false } = x!.attrs;
  const other = withoutAxes(source.shape, axes, !keepDims);
  return sameShape(other, attrs.shape!) ? b.reduce(x!.op, source, axes, !keepDims) : undefined;
};

const merging = new Set<Op>(["sum", "max", "min", "prod", "any", "all"]);

/** A reduction of a reduction of the same kind is one reduction. */
export const reductionChain: Rewrite = (b, op, [x], attrs) => {
  if (!isReduction(op) || !merging.has(op) || x!.op !== op || x!.attrs.keepDims !== attrs.keepDims) return undefined;
  const source = x!.inputs[0]!;
  const inner = x!.attrs.axes!;
  // Axes of the middle value, counted in the source.
  const kept = source.shape.map((_, i) => i).filter((i) => attrs.keepDims || !inner.includes(i));
  return b.reduce(op, source, [...inner, ...attrs.axes!.map((a) => kept[a]!)], attrs.keepDims ?? false);
};

/** Sums over axes that a broadcast made: the count times the value; extremes: the value. */
export const reducedBroadcast: Rewrite = (b, op, [x], attrs) => {
  if (!["sum", "mean", "max", "min"].includes(op) || !is(x!, "broadcast") || x!.dtype !== "float32") return undefined;
  const source: Node = x!.inputs[0]!;
  const lead = x!.shape.length - source.shape.length;
  const made = attrs.axes!.filter((a) => (source.shape[a - lead] ?? 1) === 1 && x!.shape[a]! > 1);
  if (made.length === 0) return undefined;
  const count = countAlong(x!.shape, made);
  const thin = b.broadcast(
    source,
    x!.shape.map((n, i) => (made.includes(i) ? 1 : n)),
  );
  const rest = b.reduce(op as "sum", thin, attrs.axes!, attrs.keepDims ?? false);
  return op === "sum" ? b.binary("mul", rest, b.constant(count)) : rest;
};
