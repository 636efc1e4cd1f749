/** Reading at indices, and its adjoint: adding up at indices. Each is the other's gradient. */
import * as tf from "@tensorflow/tfjs-core";
import { axesOf, gradient, zeroGradient } from "./define.ts";

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

const product = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** The adjoint of taking the slices `taken` of an axis of length `size`: slice i of `dy` is added to slice taken[i]. */
export function adjointTake(dy: tf.Tensor, taken: readonly number[], size: number, axis: number): tf.Tensor {
  if (taken.length === size && taken.every((at, i) => at === i)) return dy;
  const order = [axis, ...range(dy.rank).filter((i) => i !== axis)];
  const sums = tf.unsortedSegmentSum(tf.transpose(dy, order), tf.tensor1d([...taken], "int32"), size);
  return tf.transpose(sums, tf.backend_util.getUndoAxesPermutation(order));
}

/**
 * d/dx of gather: x is [batch, outer, axis, inner], the indices [batch, n], dy [batch, outer, n, inner]. One segment sum over
 * all batches, each with its own range of segments.
 */
function gatherGradient(dy: tf.Tensor, x: tf.Tensor, indices: tf.Tensor, axis: number, batchDims: number): tf.Tensor {
  const batch = product(x.shape.slice(0, batchDims));
  const outer = product(x.shape.slice(batchDims, axis));
  const size = x.shape[axis] as number;
  const inner = product(x.shape.slice(axis + 1));
  const n = indices.size / batch;
  const rows = tf.reshape(tf.transpose(tf.reshape(dy, [batch, outer, n, inner]), [0, 2, 1, 3]), [
    batch * n,
    outer * inner,
  ]);
  const offsets = tf.mul(tf.range(0, batch, 1, "int32"), tf.scalar(size, "int32"));
  const segments = tf.add(tf.reshape(indices, [batch, n]), tf.reshape(offsets, [batch, 1]));
  const sums = tf.unsortedSegmentSum(
    rows,
    tf.reshape(tf.cast(segments, "int32"), [batch * n]) as tf.Tensor1D,
    batch * size,
  );
  return tf.reshape(tf.transpose(tf.reshape(sums, [batch, size, outer, inner]), [0, 2, 1, 3]), x.shape);
}

/** Slices of `dy` at the segment ids; an id below zero was dropped, so it reads zero. */
function segmentSumGradient(dy: tf.Tensor, segmentIds: tf.Tensor): tf.Tensor {
  const kept = tf.greaterEqual(segmentIds, tf.scalar(0, "int32"));
  const ids = tf.cast(tf.mul(tf.cast(kept, "int32"), segmentIds), "int32");
  const rows = tf.gather(dy, ids as tf.Tensor1D);
  const mask = tf.reshape(kept, [...kept.shape, ...Array<number>(rows.rank - kept.rank).fill(1)]);
  return tf.where(mask, rows, tf.zerosLike(rows));
}

export const TAKE: readonly tf.GradConfig[] = [
  gradient<"x" | "indices", { axis: number; batchDims: number }>("GatherV2", ["x", "indices"], (dy, s, attrs) => ({
    x: () => gatherGradient(dy, s.x, s.indices, axesOf(attrs.axis ?? 0, s.x.shape)[0] as number, attrs.batchDims ?? 0),
    indices: () => tf.zeros(s.indices.shape),
  })),
  gradient("UnsortedSegmentSum", ["segmentIds"], (dy, { segmentIds }) => ({
    x: () => segmentSumGradient(dy, segmentIds),
    segmentIds: () => tf.zeros(segmentIds.shape),
  })),
  gradient("GatherNd", ["params", "indices"], (dy, { params, indices }) => ({
    params: () => tf.scatterND(indices, dy, params.shape),
    indices: () => tf.zeros(indices.shape),
  })),
  gradient("ScatterNd", ["indices"], (dy, { indices }) => ({
    updates: () => tf.gatherND(dy, indices),
    indices: () => tf.zeros(indices.shape),
  })),
  gradient("TensorScatterUpdate", ["indices", "updates"], (dy, { indices, updates }) => ({
    tensor: () => tf.tensorScatterUpdate(dy, indices, tf.zeros(updates.shape)),
    updates: () => tf.gatherND(dy, indices),
    indices: () => tf.zeros(indices.shape),
  })),
  {
    kernelName: "TopK",
    inputsToSave: ["x"],
    outputsToSave: [false, true],
    gradFunc: (dy, saved) => ({
      x: () => {
        const [x, indices] = saved as [tf.Tensor, tf.Tensor];
        const n = x.shape[x.rank - 1] as number;
        const [dValues] = dy as unknown as [tf.Tensor];
        return tf.sum(tf.mul(tf.oneHot(tf.cast(indices, "int32"), n), tf.expandDims(dValues, -1)), -2);
      },
    }),
  },
  zeroGradient("OneHot", ["indices"]),
];
