/** Kernels over axes: reductions, scans, normalisations, products of matrices. */
import * as tf from "@tensorflow/tfjs-core";
import type { Builder } from "../ir/graph.ts";
import type { Node, ReduceOp } from "../ir/node.ts";
import type { TraceKernel } from "./kernel.ts";

interface ReduceAttrs {
  readonly axis?: number | number[];
  readonly reductionIndices?: number | number[];
  readonly keepDims?: boolean;
}

const axesOf = (axis: number | number[] | undefined, shape: readonly number[]): number[] =>
  tf.util.parseAxisParam(axis as number[], [...shape]);

const reduction =
  (op: ReduceOp): TraceKernel =>
  (b, { x }, attrs: ReduceAttrs) => {
    const axes = axesOf(attrs.axis ?? attrs.reductionIndices, (x as Node).shape);
    if (axes.length > 0) return b.reduce(op, x as Node, axes, attrs.keepDims);
    return op === "mean" ? b.cast(x as Node, "float32") : (x as Node);
  };

/** logits − max, for exponentials that cannot overflow. */
const shifted = (b: Builder, logits: Node, axes: readonly number[]): Node =>
  b.binary("sub", logits, b.reduce("max", logits, axes, true));

interface ScanAttrs {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

/** Running products, one slice after the other. */
function cumprod(b: Builder, x: Node, { axis, exclusive, reverse }: ScanAttrs): Node {
  const [at] = axesOf(axis, x.shape) as [number];
  const part = x.shape.map((size, i) => (i === at ? 1 : size));
  const count = x.shape[at] as number;
  const slices = Array.from({ length: count }, (_, k) =>
    b.slice(
      x,
      x.shape.map((_, i) => (i === at ? k : 0)),
      part,
    ),
  );
  if (reverse) slices.reverse();
  let total: Node = b.constant(1, part, x.dtype);
  const out = slices.map((slice) => {
    const next = b.binary("mul", total, slice);
    const shown = exclusive ? total : next;
    total = next;
    return shown;
  });
  if (reverse) out.reverse();
  return count === 0 ? x : b.concat(out, at);
}

interface MatMulAttrs {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

export const REDUCTIONS: { readonly [kernelName: string]: TraceKernel } = {
  Sum: reduction("sum"),
  Mean: reduction("mean"),
  Prod: reduction("prod"),
  Max: reduction("max"),
  Min: reduction("min"),
  All: reduction("all"),
  Any: reduction("any"),
  ArgMax: (b, { x }, { axis }: { axis: number }) => b.argMax(x as Node, axesOf(axis, (x as Node).shape)[0] as number),
  ArgMin: (b, { x }, { axis }: { axis: number }) => b.argMin(x as Node, axesOf(axis, (x as Node).shape)[0] as number),
  Cumsum: (b, { x }, { axis, exclusive, reverse }: ScanAttrs) =>
    b.cumsum(x as Node, { axis: axesOf(axis, (x as Node).shape)[0] as number, exclusive, reverse }),
  Cumprod: (b, { x }, attrs: ScanAttrs) => cumprod(b, x as Node, attrs),
  BatchMatMul: (b, inputs, { transposeA = false, transposeB = false }: MatMulAttrs) =>
    b.matmul(inputs.a as Node, inputs.b as Node, { transposeA, transposeB }),
  Softmax: (b, inputs, { dim }: { dim: number }) => {
    const logits = inputs.logits as Node;
    const axes = axesOf(dim, logits.shape);
    const weights = b.unary("exp", shifted(b, logits, axes));
    return b.binary("div", weights, b.reduce("sum", weights, axes, true));
  },
  LogSoftmax: (b, inputs, { axis }: { axis: number }) => {
    const logits = inputs.logits as Node;
    const axes = axesOf(axis, logits.shape);
    const centred = shifted(b, logits, axes);
    return b.binary("sub", centred, b.unary("log", b.reduce("sum", b.unary("exp", centred), axes, true)));
  },
  FusedBatchNorm: (b, { x, mean, variance, offset, scale }, { varianceEpsilon }: { varianceEpsilon: number }) => {
    const spread = b.unary("rsqrt", b.binary("add", variance as Node, b.constant(varianceEpsilon)));
    const centred = b.binary("mul", b.binary("sub", x as Node, mean as Node), spread);
    const scaled = scale === undefined ? centred : b.binary("mul", centred, scale);
    return offset === undefined ? scaled : b.binary("add", scaled, offset);
  },
};
