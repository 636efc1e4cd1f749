/** Kernels that read and add at indices. */
import * as tf from "@tensorflow/tfjs-core";
import type { Builder } from "../ir/graph.ts";
import { type DType, type Node, sizeOf } from "../ir/node.ts";
import type { TraceKernel } from "./kernel.ts";

/** The first `batchDims` axes are those of both: their rows are made distinct, and read as if they were one axis. */
function gatherBatched(b: Builder, x: Node, indices: Node, axis: number, batchDims: number): Node {
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

export const TAKES: { readonly [kernelName: string]: TraceKernel } = {
  GatherV2: (b, inputs, attrs: { axis: number; batchDims: number }) => {
    const [x, indices] = [inputs.x as Node, inputs.indices as Node];
    const axis = tf.util.parseAxisParam(attrs.axis ?? 0, [...x.shape])[0] as number;
    const batchDims = attrs.batchDims ?? 0;
    return batchDims === 0 ? b.gather(x, indices, axis) : gatherBatched(b, x, indices, axis, batchDims);
  },
  GatherNd: (b, { params, indices }) => b.gatherND(params as Node, indices as Node),
  ScatterNd: (b, { indices, updates }, { shape }: { shape: number[] }) =>
    b.scatterND(indices as Node, updates as Node, shape),
  TensorScatterUpdate: (b, inputs) => {
    const [tensor, indices, updates] = [inputs.tensor as Node, inputs.indices as Node, inputs.updates as Node];
    const written = b.scatterND(indices, b.constant(1, updates.shape, updates.dtype), tensor.shape);
    const hit = b.cast(written, "bool");
    return b.where(hit, b.scatterND(indices, updates, tensor.shape), tensor);
  },
  UnsortedSegmentSum: (b, { x, segmentIds }, { numSegments }: { numSegments: number }) =>
    b.segmentSum(x as Node, segmentIds as Node, numSegments),
  TopK: (b, { x }, { k }: { k: number }) => {
    const { values, indices } = b.topK(x as Node, k);
    return [values, indices];
  },
  OneHot: (b, { indices }, attrs: { depth: number; onValue: number; offValue: number; dtype?: DType }) =>
    b.oneHot(indices as Node, attrs.depth, attrs.onValue, attrs.offValue, attrs.dtype ?? "int32"),
};
