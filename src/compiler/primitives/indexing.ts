/** Primitives that read and add at indices. */

import { type Shape, sameShape, sizeOf } from "../../core/shape.ts";
import { type DType, type Node, textOf } from "../ir/node.ts";
import type { Emitter } from "../onnx/emit.ts";
import type { Constructors, Decomposition, Family, TraceKernels } from "./primitive.ts";
import type { Reductions } from "./reductions.ts";
import { checkAxes, mismatch, parseAxes } from "./types.ts";

export interface Indexing extends Reductions {
  /** shape = x.shape with `axis` replaced by the shape of `indices`. */
  gather(x: Node, indices: Node, axis?: number): Node;
  /** The last axis of `indices` addresses the first axes of x. */
  gatherND(x: Node, indices: Node): Node;
  /** Zeros of `shape` with the updates added at the indices; places named twice add up. */
  scatterND(indices: Node, updates: Node, shape: Shape): Node;
  /** Row i = Σ of the rows of x whose id is i, i < n; ids outside [0, n) are dropped. */
  segmentSum(x: Node, ids: Node, n: number): Node;
  /** A new last axis of size `depth`: on at the index, off elsewhere (everywhere, for an index outside). */
  oneHot(indices: Node, depth: number, on?: number, off?: number, dtype?: DType): Node;
}

/** Constant index vectors are written as int64 at once, others are cast. */
const asInt64 = (e: Emitter, node: Node, name: string): string => {
  const { value } = node.attrs;
  return node.op === "constant" && typeof value === "object"
    ? e.constant("int64", node.shape, value)
    : e.cast(name, "int64");
};

/** Rows are added at their ids; ids outside go to one more row, which is cut off. */
const scatteredSum: Decomposition<Indexing> = (b, [x, ids], attrs) => {
  const n = attrs.k!;
  const count = sizeOf(ids!.shape);
  const rest = x!.shape.slice(ids!.shape.length);
  const at = (value: number) => b.constant(value, [], "int32");
  const inside = b.binary("and", b.binary("greaterEqual", ids!, at(0)), b.binary("less", ids!, at(n)));
  const target = b.reshape(b.where(inside, ids!, at(n)), [count, 1]);
  const rows = b.scatterND(target, b.reshape(x!, [count, ...rest]), [n + 1, ...rest]);
  return b.slice(
    rows,
    [n, ...rest].map(() => 0),
    [n, ...rest],
  );
};

export const INDEXING = {
  gather: {
    type([x, indices], attrs, op) {
      checkAxes(op, x!.shape, [attrs.axis!]);
      return { shape: x!.shape.toSpliced(attrs.axis!, 1, ...indices!.shape), dtype: x!.dtype };
    },
    lower: (e, node, args) => e.op("Gather", args, { axis: node.attrs.axis! }),
  },
  gatherND: {
    type([x, indices], _, op) {
      const at = indices!.shape;
      if (at.length < 1 || at.at(-1)! > x!.shape.length)
        mismatch(op, `indices ${textOf(at)} into ${textOf(x!.shape)}`, "a last axis no longer than the rank");
      return { shape: [...at.slice(0, -1), ...x!.shape.slice(at.at(-1)!)], dtype: x!.dtype };
    },
    lower: (e, node, [x, at]) => e.op("GatherND", [x!, asInt64(e, node.inputs[1]!, at!)]),
  },
  scatterND: {
    type([indices, updates], attrs, op) {
      const at = indices!.shape;
      const expected = [...at.slice(0, -1), ...attrs.shape!.slice(at.at(-1)!)];
      if (!sameShape(updates!.shape, expected))
        mismatch(op, `updates ${textOf(updates!.shape)} at indices ${textOf(at)}`, textOf(expected));
      return { shape: attrs.shape!, dtype: updates!.dtype };
    },
    lower(e, node, [at, updates]) {
      const zero = e.constant(e.typeOf(node.dtype), [], 0);
      const zeros = e.op("Expand", [zero, e.ints(node.shape)]);
      return e.op("ScatterND", [zeros, asInt64(e, node.inputs[0]!, at!), updates!], { reduction: "add" });
    },
  },
  segmentSum: {
    type([x, ids], attrs, op) {
      const lead = ids!.shape;
      if (!sameShape(lead, x!.shape.slice(0, lead.length)))
        mismatch(op, `ids ${textOf(lead)} for ${textOf(x!.shape)}`, "ids shaped as the first axes of the operand");
      return { shape: [attrs.k!, ...x!.shape.slice(lead.length)], dtype: x!.dtype };
    },
    decompose: { float32: scatteredSum, float64: scatteredSum },
  },
} satisfies Family<Indexing>;

export const INDEXING_CONSTRUCTORS: Constructors<Indexing, Reductions> = {
  gather(x, indices, axis = 0) {
    return this.emit("gather", [x, this.cast(indices, "int32")], { axis });
  },
  gatherND(x, indices) {
    return this.emit("gatherND", [x, this.cast(indices, "int32")]);
  },
  scatterND(indices, updates, shape) {
    return this.emit("scatterND", [this.cast(indices, "int32"), updates], { shape: [...shape] });
  },
  segmentSum(x, ids, n) {
    return this.emit("segmentSum", [x, this.cast(ids, "int32")], { k: n });
  },
  oneHot(indices, depth, on = 1, off = 0, dtype = "float32") {
    const places = this.constant(
      Int32Array.from({ length: depth }, (_, i) => i),
      [depth],
      "int32",
    );
    const hot = this.binary("equal", this.reshape(this.cast(indices, "int32"), [...indices.shape, 1]), places);
    return this.where(hot, this.constant(on, [], dtype), this.constant(off, [], dtype));
  },
};

/** The first `batchDims` axes are those of both: their rows are made distinct, and read as if they were one axis. */
function gatherBatched(b: Indexing, x: Node, indices: Node, axis: number, batchDims: number): Node {
  const [lead, outer, inner] = [x.shape.slice(0, batchDims), x.shape.slice(batchDims, axis), x.shape.slice(axis + 1)];
  const size = x.shape[axis] as number;
  const batch = sizeOf(lead);
  const taken = indices.shape.slice(batchDims);
  const n = sizeOf(taken);
  const rows = b.reshape(b.transpose(b.reshape(x, [batch, sizeOf(outer), size, sizeOf(inner)]), [0, 2, 1, 3]), [
    batch * size,
    sizeOf(outer) * sizeOf(inner),
  ]);
  const offsets = b.constant(
    Int32Array.from({ length: batch }, (_, i) => i * size),
    [batch, 1],
    "int32",
  );
  const places = b.reshape(b.binary("add", b.reshape(indices, [batch, n]), offsets), [batch * n]);
  const read = b.reshape(b.gather(rows, places, 0), [batch, n, sizeOf(outer), sizeOf(inner)]);
  return b.reshape(b.transpose(read, [0, 2, 1, 3]), [...lead, ...outer, ...taken, ...inner]);
}

interface MirrorAttrs {
  readonly paddings: readonly (readonly [number, number])[];
  readonly mode: "reflect" | "symmetric";
}

/** Each padded axis reads the mirrored places. */
function mirrorPad(b: Indexing, x: Node, { paddings, mode }: MirrorAttrs): Node {
  const edge = mode === "symmetric" ? 1 : 0;
  return paddings.reduce((out, [before, after], axis) => {
    const size = x.shape[axis] as number;
    if (before + after === 0) return out;
    const read = Int32Array.from({ length: before + size + after }, (_, j) => {
      const i = j - before;
      if (i < 0) return -i - edge;
      return i >= size ? 2 * size - 2 + edge - i : i;
    });
    return b.gather(out, b.constant(read, [read.length], "int32"), axis);
  }, x);
}

/** The updates where something is written, x elsewhere. */
function scatterInto(b: Indexing, x: Node, indices: Node, updates: Node): Node {
  const written = b.cast(b.scatterND(indices, b.constant(1, updates.shape, updates.dtype), x.shape), "bool");
  return b.where(written, b.scatterND(indices, updates, x.shape), x);
}

export const INDEXING_KERNELS: TraceKernels<Indexing> = {
  GatherV2(b, inputs, attrs: { axis: number; batchDims: number }) {
    const [x, indices] = [inputs.x!, inputs.indices!];
    const axis = parseAxes(attrs.axis ?? 0, x.shape)[0]!;
    const batchDims = attrs.batchDims ?? 0;
    return batchDims === 0 ? b.gather(x, indices, axis) : gatherBatched(b, x, indices, axis, batchDims);
  },
  GatherNd: (b, { params, indices }) => b.gatherND(params!, indices!),
  ScatterNd: (b, { indices, updates }, { shape }: { shape: number[] }) => b.scatterND(indices!, updates!, shape),
  TensorScatterUpdate: (b, { tensor, indices, updates }) => scatterInto(b, tensor!, indices!, updates!),
  UnsortedSegmentSum: (b, { x, segmentIds }, { numSegments }: { numSegments: number }) =>
    b.segmentSum(x!, segmentIds!, numSegments),
  OneHot: (b, { indices }, attrs: { depth: number; onValue: number; offValue: number; dtype?: DType }) =>
    b.oneHot(indices!, attrs.depth, attrs.onValue, attrs.offValue, attrs.dtype ?? "int32"),
  MirrorPad: (b, { x }, attrs: MirrorAttrs) => mirrorPad(b, x!, attrs),
};
