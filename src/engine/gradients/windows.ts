/** The windows of a pool as slices, and filters with gaps: pieces from which gradients of convolutions are composed. */
import * as tf from "@tensorflow/tfjs-core";
import { type PoolAttrs, poolInfo } from "../window-info.ts";

/** `x` with `gap − 1` zeros between neighbours along an axis. */
export function dilate(x: tf.Tensor, axis: number, gap: number): tf.Tensor {
  const size = x.shape[axis] as number;
  if (gap === 1 || size <= 1) return x;
  const before = x.shape.slice(0, axis);
  const after = x.shape.slice(axis + 1);
  const spaced = tf.concat(
    [tf.reshape(x, [...before, size, 1, ...after]), tf.zeros([...before, size, gap - 1, ...after])],
    axis + 1,
  );
  const long = tf.reshape(spaced, [...before, size * gap, ...after]);
  const begin = long.shape.map(() => 0);
  return tf.slice(long, begin, [...before, (size - 1) * gap + 1, ...after]);
}

/** One tensor of the output's shape for each element of the window: the inputs under it. Beyond the edge they are `outside`. */
export function poolWindows(x: tf.Tensor, outside: number, attrs: PoolAttrs): tf.Tensor[] {
  const info = poolInfo(x.shape, attrs);
  const { top, bottom, left, right } = info.padInfo;
  const padded = tf.pad(
    x,
    [
      [0, 0],
      [top, bottom + info.strideHeight],
      [left, right + info.strideWidth],
      [0, 0],
    ],
    outside,
  );
  const windows: tf.Tensor[] = [];
  for (let i = 0; i < info.filterHeight; i++) {
    for (let j = 0; j < info.filterWidth; j++) {
      const end = [
        info.batchSize,
        i + (info.outHeight - 1) * info.strideHeight + 1,
        j + (info.outWidth - 1) * info.strideWidth + 1,
        info.inChannels,
      ];
      windows.push(tf.stridedSlice(padded, [0, i, j, 0], end, [1, info.strideHeight, info.strideWidth, 1]));
    }
  }
  return windows;
}
