/** Folding: what depends on constants alone is computed once, in doubles, while the graph is made. */

import { type Shape, sameShape, sizeOf } from "../../core/shape.ts";
import { type DType, type Node, type NumericArray, stridesOf } from "../ir/node.ts";
import type { Rewrite } from "../primitives/builder.ts";
import { is, primitive } from "../primitives/families.ts";
import { castScalar } from "../primitives/scalar.ts";
import { countAlong, withoutAxes } from "../primitives/types.ts";

/** Arrays up to this many elements are folded; beyond, the runtime is the better place. */
const foldedSize = 4096;

/** The one value of a constant that has the same value everywhere. */
export const splatOf = (x: Node): number | undefined =>
  is(x, "constant") && typeof x.attrs.value === "number" ? x.attrs.value : undefined;

const foldable = (x: Node) => is(x, "constant") && (typeof x.attrs.value === "number" || sizeOf(x.shape) <= foldedSize);

const arrayOf = (values: Float64Array, dtype: DType): NumericArray =>
  dtype === "float32" ? values : dtype === "int32" ? Int32Array.from(values) : Uint8Array.from(values);

/** The elements of a constant as they appear when it is broadcast to `shape`. */
function elementsOf(x: Node, shape: Shape): (flat: number) => number {
  const value = x.attrs.value!;
  if (typeof value === "number") return () => value;
  if (sameShape(x.shape, shape)) return (flat) => value[flat]!;
  const lead = shape.length - x.shape.length;
  const [outer, inner] = [stridesOf(shape), stridesOf(x.shape)];
  return (flat) => {
    let at = 0;
    for (let i = 0; i < x.shape.length; i++)
      if (x.shape[i] !== 1) at += inner[i]! * (Math.floor(flat / outer[lead + i]!) % shape[lead + i]!);
    return value[at]!;
  };
}

/** Elementwise primitives of constants, as a constant of the broadcast shape. */
export const foldElementwise: Rewrite = (b, op, inputs, attrs) => {
  if (inputs.length === 0 || attrs.single || !inputs.every(foldable)) return undefined;
  const { meaning, type } = primitive(op)!;
  if (meaning === undefined) return undefined;
  const { shape, dtype } = type(inputs, attrs, op);
  const splats = inputs.map(splatOf);
  if (splats.every((v) => v !== undefined)) return b.constant(castScalar(meaning(...splats), dtype), shape, dtype);
  if (sizeOf(shape) > foldedSize) return undefined;
  const parts = inputs.map((x) => elementsOf(x, shape));
  const values = Float64Array.from({ length: sizeOf(shape) }, (_, i) =>
    castScalar(meaning(...parts.map((at) => at(i))), dtype),
  );
  return b.constant(arrayOf(values, dtype), shape, dtype);
};

/** Constants of one value stay so under everything that only moves elements, and their sums are products. */
export const foldSplats: Rewrite = (b, op, inputs, attrs) => {
  const [x] = inputs;
  const value = x && splatOf(x);
  if (op === "constant" && typeof attrs.value === "object" && attrs.value.length > 0) {
    const first = attrs.value[0]!;
    return attrs.value.every((v) => Object.is(v, first)) ? b.constant(first, attrs.shape, attrs.dtype) : undefined;
  }
  if (x === undefined || value === undefined) return undefined;
  const same = (shape: Shape) => b.constant(value, shape, x.dtype);
  switch (op) {
    case "reshape":
    case "broadcast":
      return same(attrs.shape!);
    case "transpose":
      return same(attrs.perm!.map((p) => x.shape[p]!));
    case "slice":
    case "stridedSlice":
      return same(attrs.size!);
    case "reverse":
      return x;
    case "concat": {
      const axis = attrs.axis!;
      if (!inputs.every((y) => Object.is(splatOf(y), value))) return undefined;
      return same(
        x.shape.with(
          axis,
          inputs.reduce((n, y) => n + y.shape[axis]!, 0),
        ),
      );
    }
    case "sum":
    case "mean":
    case "max":
    case "min": {
      const shape = withoutAxes(x.shape, attrs.axes!, attrs.keepDims);
      const count = countAlong(x.shape, attrs.axes!);
      if (count === 0) return undefined;
      return b.constant(op === "sum" ? value * count : value, shape, x.dtype);
    }
    default:
      return undefined;
  }
};

/** A constant array under another shape. */
export const foldReshape: Rewrite = (b, op, [x], attrs) =>
  op === "reshape" && x && is(x, "constant") ? b.constant(x.attrs.value!, attrs.shape!, x.dtype) : undefined;
