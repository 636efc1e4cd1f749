/** Shape and dtype of a primitive from its operands: every node passes through here, so a graph that exists has agreeing shapes. */
import { fail } from "../../core/errors.ts";
import { type Attrs, type DType, kindOf, type Node, type Op, type Shape, sameShape, sizeOf, textOf } from "./node.ts";

interface Type {
  readonly shape: Shape;
  readonly dtype: DType;
}

const mismatch = (op: string, found: string, expected: string): never =>
  fail("shape", `${op}: found ${found}; expected ${expected}.`);

/** The common shape under NumPy broadcasting. */
export function broadcastShapes(op: string, ...shapes: readonly Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    let size = 1;
    for (const s of shapes) {
      const n = s[axis - rank + s.length] ?? 1;
      if (n !== 1 && size !== 1 && n !== size)
        mismatch(op, shapes.map(textOf).join(" and "), "shapes that broadcast: equal sizes or 1, from the right");
      if (n !== 1) size = n;
    }
    return size;
  });
}

/** Size of a window sweep along one axis. */
export const sweep = (size: number, window: number, stride: number, dilation: number, pad: readonly [number, number]) =>
  Math.floor((size + pad[0] + pad[1] - (dilation * (window - 1) + 1)) / stride) + 1;

function matmul(inputs: readonly Node[], { transposeA, transposeB }: Attrs): Shape {
  const [a, b, bias] = inputs as readonly [Node, Node, Node | undefined];
  if (a.shape.length < 2 || b.shape.length < 2)
    mismatch("matmul", `${textOf(a.shape)} and ${textOf(b.shape)}`, "operands of rank 2 or more");
  const flip = (s: Shape, t: boolean | undefined): readonly [number, number] =>
    t ? [s.at(-1)!, s.at(-2)!] : [s.at(-2)!, s.at(-1)!];
  const [m, k] = flip(a.shape, transposeA);
  const [k2, n] = flip(b.shape, transposeB);
  if (k !== k2)
    mismatch(
      "matmul",
      `${textOf(a.shape)}${transposeA ? "^T" : ""} and ${textOf(b.shape)}${transposeB ? "^T" : ""}`,
      "equal inner sizes",
    );
  const shape = [...broadcastShapes("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n];
  if (bias && !sameShape(broadcastShapes("matmul", shape, bias.shape), shape))
    mismatch("matmul", `bias ${textOf(bias.shape)}`, `a bias that broadcasts to ${textOf(shape)}`);
  return shape;
}

function reduced(op: Op, x: Node, { axes = [], keepDims = false }: Attrs): Shape {
  if (axes.some((a) => !Number.isInteger(a) || a < 0 || a >= x.shape.length))
    mismatch(op, `axes ${textOf(axes)} of ${textOf(x.shape)}`, "axes within the rank");
  return x.shape.flatMap((n, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [n]));
}

function concat(inputs: readonly Node[], axis: number): Shape {
  const first = inputs[0]!.shape;
  for (const { shape } of inputs)
    if (shape.length !== first.length || shape.some((n, i) => i !== axis && n !== first[i]))
      mismatch("concat", inputs.map((x) => textOf(x.shape)).join(", "), `equal shapes beside axis ${axis}`);
  return first.map((n, i) => (i === axis ? inputs.reduce((sum, x) => sum + x.shape[axis]!, 0) : n));
}

function sliced(op: Op, x: Node, { begin = [], size = [], strides }: Attrs): Shape {
  const inside = x.shape.every((n, i) => {
    const last = begin[i]! + (size[i]! - 1) * (strides?.[i] ?? 1);
    return size[i]! >= 0 && (size[i] === 0 || (begin[i]! >= 0 && begin[i]! < n && last >= 0 && last < n));
  });
  if (begin.length !== x.shape.length || size.length !== x.shape.length || !inside)
    mismatch(op, `begin ${textOf(begin)}, size ${textOf(size)} of ${textOf(x.shape)}`, "a region inside the operand");
  return size;
}

function convolved(op: Op, inputs: readonly Node[], attrs: Attrs): Shape {
  const [x, w] = inputs as readonly [Node, Node];
  const groups = attrs.groups ?? 1;
  // The gradients are told the shape of what they differentiate; that shape must be consistent with the forward product.
  const input = op === "conv2dInputGrad" ? attrs.shape! : x.shape;
  const filter = op === "conv2dFilterGrad" ? attrs.shape! : w.shape;
  if (input.length !== 4 || filter.length !== 4 || filter[2]! * groups !== input[3] || filter[3]! % groups !== 0)
    mismatch(op, `${textOf(input)} and filter ${textOf(filter)}`, "[n,h,w,c] and [kh,kw,c/groups,out]");
  const out = [0, 1].map((i) =>
    sweep(input[i + 1]!, filter[i]!, attrs.strides![i]!, attrs.dilations![i]!, attrs.paddings![i]!),
  );
  const shape = [input[0]!, ...out, filter[3]!];
  if (op === "conv2d") return shape;
  const dy = op === "conv2dInputGrad" ? x : w;
  if (!sameShape(dy.shape, shape)) mismatch(op, `gradient ${textOf(dy.shape)}`, textOf(shape));
  return attrs.shape!;
}

/** One rule for each structural primitive. */
function structuralType(op: Op, inputs: readonly Node[], attrs: Attrs): Type {
  const x = inputs[0]!;
  const dtype = x?.dtype;
  switch (op) {
    case "input":
    case "constant":
      return { shape: attrs.shape!, dtype: attrs.dtype! };
    case "cast":
      return { shape: x.shape, dtype: attrs.dtype! };
    case "where":
      return { shape: broadcastShapes(op, ...inputs.map((i) => i.shape)), dtype: inputs[1]!.dtype };
    case "matmul":
      return { shape: matmul(inputs, attrs), dtype };
    case "argMax":
    case "argMin":
      return { shape: reduced(op, x, { axes: [attrs.axis!] }), dtype: "int32" };
    case "reshape":
      if (sizeOf(attrs.shape!) !== sizeOf(x.shape))
        mismatch(op, `${textOf(x.shape)} → ${textOf(attrs.shape!)}`, "as many elements");
      return { shape: attrs.shape!, dtype };
    case "broadcast":
      if (!sameShape(broadcastShapes(op, x.shape, attrs.shape!), attrs.shape!))
        mismatch(op, `${textOf(x.shape)} → ${textOf(attrs.shape!)}`, "a shape that the operand broadcasts to");
      return { shape: attrs.shape!, dtype };
    case "transpose": {
      const perm = attrs.perm!;
      if (perm.length !== x.shape.length || new Set(perm).size !== perm.length || perm.some((p) => !(p in x.shape)))
        mismatch(op, `permutation ${textOf(perm)} of ${textOf(x.shape)}`, "each axis once");
      return { shape: perm.map((p) => x.shape[p]!), dtype };
    }
    case "concat":
      return { shape: concat(inputs, attrs.axis!), dtype };
    case "slice":
    case "stridedSlice":
      return { shape: sliced(op, x, attrs), dtype };
    case "pad":
      if (attrs.paddings!.length !== x.shape.length || attrs.paddings!.some(([a, b]) => a < 0 || b < 0))
        mismatch(
          op,
          `paddings of ${attrs.paddings!.length} axes for ${textOf(x.shape)}`,
          "a nonnegative pair for each axis",
        );
      return { shape: x.shape.map((n, i) => n + attrs.paddings![i]![0] + attrs.paddings![i]![1]), dtype };
    case "reverse":
      reduced(op, x, attrs);
      return { shape: x.shape, dtype };
    case "cumsum":
      reduced(op, x, { axes: [attrs.axis!] });
      return { shape: x.shape, dtype };
    case "gather":
      reduced(op, x, { axes: [attrs.axis!] });
      return { shape: x.shape.toSpliced(attrs.axis!, 1, ...inputs[1]!.shape), dtype };
    case "gatherND": {
      const at = inputs[1]!.shape;
      if (at.length < 1 || at.at(-1)! > x.shape.length)
        mismatch(op, `indices ${textOf(at)} into ${textOf(x.shape)}`, "a last axis no longer than the rank");
      return { shape: [...at.slice(0, -1), ...x.shape.slice(at.at(-1)!)], dtype };
    }
    case "scatterND": {
      const [at, updates] = [x.shape, inputs[1]!];
      const expected = [...at.slice(0, -1), ...attrs.shape!.slice(at.at(-1)!)];
      if (!sameShape(updates.shape, expected))
        mismatch(op, `updates ${textOf(updates.shape)} at indices ${textOf(at)}`, textOf(expected));
      return { shape: attrs.shape!, dtype: updates.dtype };
    }
    case "segmentSum": {
      const ids = inputs[1]!.shape;
      if (!sameShape(ids, x.shape.slice(0, ids.length)))
        mismatch(op, `ids ${textOf(ids)} for ${textOf(x.shape)}`, "ids shaped as the first axes of the operand");
      return { shape: [attrs.k!, ...x.shape.slice(ids.length)], dtype };
    }
    case "topKValues":
    case "topKIndices":
      if (!(attrs.k! <= (x.shape.at(-1) ?? 0)))
        mismatch(op, `k ${attrs.k} of ${textOf(x.shape)}`, "k within the last axis");
      return { shape: [...x.shape.slice(0, -1), attrs.k!], dtype: op === "topKValues" ? dtype : "int32" };
    case "conv2d":
    case "conv2dInputGrad":
    case "conv2dFilterGrad":
      return { shape: convolved(op, inputs, attrs), dtype };
    case "avgPool":
    case "maxPool": {
      if (x.shape.length !== 4) mismatch(op, textOf(x.shape), "[n,h,w,c]");
      const out = [0, 1].map((i) =>
        sweep(x.shape[i + 1]!, attrs.window![i]!, attrs.strides![i]!, attrs.dilations![i]!, attrs.paddings![i]!),
      );
      return { shape: [x.shape[0]!, ...out, x.shape[3]!], dtype };
    }
    default:
      return fail("unsupported", `The graph has no primitive ${op}.`);
  }
}

/** The type of `op` applied to `inputs`, or an error of code `shape` that names the primitive. */
export function inferType(op: Op, inputs: readonly Node[], attrs: Attrs): Type {
  const dtype = inputs[0]?.dtype ?? "float32";
  switch (kindOf(op)) {
    case "real":
    case "keeping":
      return { shape: inputs[0]!.shape, dtype };
    case "testing":
      return { shape: inputs[0]!.shape, dtype: "bool" };
    case "arithmetic":
      return { shape: broadcastShapes(op, inputs[0]!.shape, inputs[1]!.shape), dtype };
    case "comparing":
    case "logical":
      return { shape: broadcastShapes(op, inputs[0]!.shape, inputs[1]!.shape), dtype: "bool" };
    case "reduction":
      return { shape: reduced(op, inputs[0]!, attrs), dtype };
    default:
      return structuralType(op, inputs, attrs);
  }
}
