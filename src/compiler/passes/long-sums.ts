/** Long sums in two stages: ONNX Runtime adds one by one, and a million terms of 0.1 lose a thousandth that way. */

import type { Node } from "../ir/node.ts";
import type { Builder, Rewrite } from "../primitives/builder.ts";
import { countAlong, withoutAxes } from "../primitives/types.ts";

/** Terms added one by one at most, unless their number has no good divisor. */
const directTerms = 1024;

/** The divisor of n nearest to its root, from below. */
function nearRoot(n: number): number {
  for (let d = Math.floor(Math.sqrt(n)); d > 1; d--) if (n % d === 0) return d;
  return 1;
}

/** Σ over one axis of n terms, kept: rows of about √n terms each, then their sums, and apart what makes no full row. */
function splitAxis(b: Builder, x: Node, axis: number): Node {
  const n = x.shape[axis]!;
  if (n <= directTerms) return b.emit("sum", [x], { axes: [axis], keepDims: true });
  // A prime number of terms, or nearly so: full rows, and the rest.
  const root = Math.floor(Math.sqrt(n));
  const even = nearRoot(n) * directTerms >= n;
  const full = even ? n : root * Math.floor(n / root);
  const columns = even ? n / nearRoot(n) : Math.floor(n / root);
  const part = (from: number, size: number) =>
    size === n
      ? x
      : b.slice(
          x,
          x.shape.map((_, i) => (i === axis ? from : 0)),
          x.shape.with(axis, size),
        );
  const rows = b.reshape(part(0, full), x.shape.toSpliced(axis, 1, full / columns, columns));
  const inner = b.emit("sum", [rows], { axes: [axis + 1], keepDims: false });
  const outer = splitAxis(b, inner, axis);
  return full === n ? outer : b.binary("add", outer, splitAxis(b, part(full, n - full), axis));
}

/** Sums and means of more than {@link directTerms} float32 terms, axis by axis from the last. For single precision only. */
export const splitLongSums: Rewrite = (b, op, [x], attrs) => {
  if ((op !== "sum" && op !== "mean") || x!.dtype !== "float32") return undefined;
  const count = countAlong(x!.shape, attrs.axes!);
  if (count <= directTerms) return undefined;
  const long = attrs.axes!.filter((a) => x!.shape[a]! > 1);
  const axis = long[0]!;
  // One axis that is short enough is what the recursion ends with; it must be left alone.
  if (long.length === 1 && x!.shape[axis]! <= directTerms && op === "sum") return undefined;
  const total = [...attrs.axes!].reverse().reduce((sum, a) => splitAxis(b, sum, a), x!);
  const out = b.reshape(total, withoutAxes(x!.shape, attrs.axes!, attrs.keepDims));
  return op === "mean" ? b.binary("div", out, b.constant(count)) : out;
};
