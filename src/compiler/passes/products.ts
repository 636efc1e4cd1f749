/** Rules of products: transposes become flags, batches that are not there go, batch sums join the inner product. */

import { sizeOf } from "../../core/shape.ts";
import type { Node } from "../ir/node.ts";
import type { Builder, Rewrite } from "../primitives/builder.ts";
import { is } from "../primitives/families.ts";

const swapsLast = (x: Node): boolean => {
  const perm = x.attrs.perm!;
  const n = perm.length;
  return n >= 2 && perm[n - 1] === n - 2 && perm.every((p, i) => i >= n - 2 || p === i);
};

/** A transpose of the last two axes goes into the product. */
export const transposeIntoProduct: Rewrite = (b, op, inputs, attrs) => {
  if (op !== "matmul") return undefined;
  const flips = inputs.map((x, i) => i < 2 && is(x, "transpose") && swapsLast(x));
  if (!flips.some(Boolean)) return undefined;
  const operands = inputs.map((x, i) => (flips[i] ? x.inputs[0]! : x));
  const flipped = (flag: boolean | undefined, i: number) => (flag ?? false) !== flips[i];
  return b.emit(op, operands, { transposeA: flipped(attrs.transposeA, 0), transposeB: flipped(attrs.transposeB, 1) });
};

const matrix = (b: Builder, x: Node) => b.reshape(x, [sizeOf(x.shape.slice(0, -1)), x.shape.at(-1)!]);

/** Batches of size one go; rows of a batch that share one right operand are rows of one matrix. */
export const flattenBatch: Rewrite = (b, op, inputs, attrs) => {
  const [x, y, bias] = inputs as readonly [Node, Node, Node | undefined];
  if (op !== "matmul" || bias || (x.shape.length === 2 && y.shape.length === 2)) return undefined;
  const shared = sizeOf(y.shape.slice(0, -2)) === 1;
  const isSingle = sizeOf(x.shape.slice(0, -2)) === 1;
  if (!shared || !(isSingle || !attrs.transposeA)) return undefined;
  // Where y brings axes of one element in front, they belong to the result.
  const [m, n] = [
    attrs.transposeA ? x.shape.at(-1)! : x.shape.at(-2)!,
    attrs.transposeB ? y.shape.at(-2)! : y.shape.at(-1)!,
  ];
  const lead = Math.max(x.shape.length, y.shape.length) - 2;
  const batch = [...new Array<number>(lead - (x.shape.length - 2)).fill(1), ...x.shape.slice(0, -2)];
  const product = b.emit(op, [matrix(b, x), matrix(b, y)], attrs);
  return b.reshape(product, [...batch, m, n]);
};

/** An inner size of one: each element is one product, and broadcasting does it. */
export const outerProduct: Rewrite = (b, op, inputs, attrs) => {
  const [x, y, bias] = inputs as readonly [Node, Node, Node | undefined];
  if (op !== "matmul" || bias || x.dtype !== "float32" || x.shape.at(attrs.transposeA ? -2 : -1) !== 1)
    return undefined;
  const column = b.reshape(x, [...x.shape.slice(0, -2), sizeOf(x.shape.slice(-2)), 1]);
  const row = b.reshape(y, [...y.shape.slice(0, -2), 1, sizeOf(y.shape.slice(-2))]);
  return b.binary("mul", column, row);
};

/** Σ over the batch of xᵀy is one product with the batch in the inner size: the gradient of shared weights. */
export const batchSum: Rewrite = (b, op, [x], attrs) => {
  if (op !== "sum" || !is(x!, "matmul") || x!.inputs.length !== 2) return undefined;
  const [a, c] = x!.inputs as readonly [Node, Node];
  const rank = x!.shape.length;
  const lead = a.shape.slice(0, -2);
  const same = a.shape.length === rank && c.shape.length === rank && lead.every((n, i) => n === c.shape[i]);
  const whole = attrs.axes!.length === rank - 2 && attrs.axes!.every((axis, i) => axis === i);
  if (rank < 3 || !same || !whole || !x!.attrs.transposeA || x!.attrs.transposeB) return undefined;
  const product = b.matmul(matrix(b, a), matrix(b, c), { transposeA: true });
  return attrs.keepDims ? b.reshape(product, [...lead.map(() => 1), ...product.shape]) : product;
};

/** A batch axis of an operand that only a broadcast made is left to the product. */
export const broadcastIntoProduct: Rewrite = (b, op, inputs, attrs) => {
  if (op !== "matmul" || inputs.length !== 2 || !inputs.some((x) => is(x, "broadcast"))) return undefined;
  const sources = inputs.map((x) => {
    if (!is(x, "broadcast")) return x;
    const source = x.inputs[0]!;
    const matrixKept = source.shape.length >= 2 && source.shape.slice(-2).every((n, i) => n === x.shape.at(i - 2));
    return matrixKept ? source : x;
  });
  if (sources.every((x, i) => x === inputs[i])) return undefined;
  const before = b.emit(op, sources, attrs);
  const rank = Math.max(...inputs.map((x) => x.shape.length));
  const batch = Array.from({ length: rank - 2 }, (_, axis) =>
    Math.max(...inputs.map((x) => x.shape[axis - rank + x.shape.length] ?? 1)),
  );
  const shape = [...batch, ...before.shape.slice(-2)];
  return shape.length === before.shape.length && shape.every((n, i) => n === before.shape[i])
    ? before
    : b.broadcast(before, shape);
};
