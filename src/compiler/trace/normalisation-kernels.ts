/** Kernels of tfjs that normalise: each is several primitives. */
import type { Node } from "../ir/node.ts";
import type { Builder } from "../primitives/builder.ts";
import type { TraceKernels } from "../primitives/primitive.ts";
import { parseAxes } from "../primitives/types.ts";

/** logits − max, for exponentials that cannot overflow. */
const shifted = (b: Builder, logits: Node, axes: readonly number[]): Node =>
  b.binary("sub", logits, b.reduce("max", logits, axes, true));

export const NORMALISATION_KERNELS: TraceKernels<Builder> = {
  Softmax(b, { logits }, { dim }: { dim: number }) {
    const axes = parseAxes(dim, logits!.shape);
    const weights = b.unary("exp", shifted(b, logits!, axes));
    return b.binary("div", weights, b.reduce("sum", weights, axes, true));
  },
  LogSoftmax(b, { logits }, { axis }: { axis: number }) {
    const axes = parseAxes(axis, logits!.shape);
    const centred = shifted(b, logits!, axes);
    return b.binary("sub", centred, b.unary("log", b.reduce("sum", b.unary("exp", centred), axes, true)));
  },
  FusedBatchNorm(b, { x, mean, variance, offset, scale }, { varianceEpsilon }: { varianceEpsilon: number }) {
    const spread = b.unary("rsqrt", b.binary("add", variance!, b.constant(varianceEpsilon)));
    const centred = b.binary("mul", b.binary("sub", x!, mean!), spread);
    const scaled = scale === undefined ? centred : b.binary("mul", centred, scale);
    return offset === undefined ? scaled : b.binary("add", scaled, offset);
  },
};
