/** Products of matrices. */

import { type Shape, sameShape, sizeOf } from "../../core/shape.ts";
import { type Node, textOf } from "../ir/node.ts";
import type { Lowering } from "../onnx/emit.ts";
import { contribDomain } from "../onnx/model.ts";
import { alike } from "./elementwise.ts";
import type { Indexing } from "./indexing.ts";
import type { Constructors, Family, TraceKernels, TypeRule } from "./primitive.ts";
import { broadcastShapes, mismatch } from "./types.ts";

interface Flags {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

export interface Products extends Indexing {
  /** The product over the last two axes, batched and broadcast over the others. */
  matmul(a: Node, b: Node, options?: Flags): Node;
}

const matmulType: TypeRule = (inputs, { transposeA, transposeB }, op) => {
  const [a, b, bias] = inputs as readonly [Node, Node, Node | undefined];
  if (a.shape.length < 2 || b.shape.length < 2)
    mismatch(op, `${textOf(a.shape)} and ${textOf(b.shape)}`, "operands of rank 2 or more");
  const flip = (s: Shape, t: boolean | undefined): readonly [number, number] =>
    t ? [s.at(-1)!, s.at(-2)!] : [s.at(-2)!, s.at(-1)!];
  const [m, k] = flip(a.shape, transposeA);
  const [k2, n] = flip(b.shape, transposeB);
  if (k !== k2)
    mismatch(
      op,
      `${textOf(a.shape)}${transposeA ? "^T" : ""} and ${textOf(b.shape)}${transposeB ? "^T" : ""}`,
      "equal inner sizes",
    );
  const shape = [...broadcastShapes(op, a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n];
  if (bias && !sameShape(broadcastShapes(op, shape, bias.shape), shape))
    mismatch(op, `bias ${textOf(bias.shape)}`, `a bias that broadcasts to ${textOf(shape)}`);
  return { shape, dtype: a.dtype };
};

const swapLast = (shape: Shape) => {
  const perm = shape.map((_, i) => i);
  return [...perm.slice(0, -2), perm.at(-1)!, perm.at(-2)!];
};

/** Rows and columns of a product from which its left operand is better transposed beforehand: ONNX Runtime does so again for every 128 columns. */
const [MANY_ROWS, MANY_COLUMNS] = [64, 200];

const lowerMatmul: Lowering = (e, node, [left, b, bias]) => {
  const [x, y] = node.inputs as readonly [Node, Node];
  const flat = x.shape.length === 2 && y.shape.length === 2;
  const large = node.shape.at(-2)! >= MANY_ROWS && node.shape.at(-1)! >= MANY_COLUMNS;
  const beforehand = flat && large && node.attrs.transposeA === true;
  const a = beforehand ? e.once(`${left} transposed`, () => e.op("Transpose", [left!], { perm: [1, 0] })) : left;
  const flags = {
    transA: Number(!beforehand && (node.attrs.transposeA ?? false)),
    transB: Number(node.attrs.transposeB ?? false),
  };
  if (flat && node.dtype === "float32") {
    // A product without bias or flags is MatMul: Gemm would want a bias.
    if (bias || flags.transA || flags.transB) return e.op("Gemm", [a!, b!, ...(bias ? [bias] : [])], flags);
    return e.op("MatMul", [a!, b!]);
  }
  let product: string;
  if ((flags.transA || flags.transB) && node.dtype === "float32")
    product = e.op("FusedMatMul", [a!, b!], flags, contribDomain);
  else {
    const flipped = (name: string, of: Node, flip: number) =>
      flip ? e.op("Transpose", [name], { perm: swapLast(of.shape) }) : name;
    product = e.op("MatMul", [flipped(a!, x, flags.transA), flipped(b!, y, flags.transB)]);
  }
  return bias ? e.op("Add", [product, bias]) : product;
};

export const PRODUCTS = {
  /** A third operand is a bias; rules put it there. */
  matmul: {
    type: matmulType,
    lower: lowerMatmul,
    cost: ({ inputs: [a], shape, attrs }) => sizeOf(shape) * a!.shape.at(attrs.transposeA ? -2 : -1)!,
  },
} satisfies Family<Indexing>;

export const PRODUCT_CONSTRUCTORS: Constructors<Products, Indexing> = {
  matmul(x, y, { transposeA = false, transposeB = false } = {}) {
    return this.emit("matmul", alike(this, x, y), { transposeA, transposeB });
  },
};

export const PRODUCT_KERNELS: TraceKernels<Products> = {
  BatchMatMul: (b, inputs, { transposeA = false, transposeB = false }: Flags) =>
    b.matmul(inputs.a!, inputs.b!, { transposeA, transposeB }),
};
