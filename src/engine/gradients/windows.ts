/** The windows of a pool as slices, and filters with gaps: pieces from which gradients of convolutions are composed. */
import * as tf from "@tensorflow/tfjs-core";

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

/** The pad of tfjs's attributes. */
export type Pad = "valid" | "same" | number | [number, number][];

/**
 * A numeric pad spelt out: tfjs computes the width of the output from the *height* of the filter when it is a number. The functions of
 * tfjs take explicit pads, which their types do not say.
 */
export const explicitPad = (pad: Pad): "same" | "valid" => {
  const spelt: Pad =
    typeof pad === "number"
      ? [
          [0, 0],
          [pad, pad],
          [pad, pad],
          [0, 0],
        ]
      : pad;
  return spelt as "same";
};

interface PoolAttrs {
  filterSize: number | [number, number];
  strides: number | [number, number];
  pad: Pad;
  dimRoundingMode?: "floor" | "round" | "ceil";
}

/** One tensor of the output's shape for each element of the window: the inputs under it. Beyond the edge they are `outside`. */
export function poolWindows(x: tf.Tensor, outside: number, attrs: PoolAttrs): tf.Tensor[] {
  const info = tf.backend_util.computePool2DInfo(
    x.shape as [number, number, number, number],
    attrs.filterSize,
    attrs.strides,
    1,
    explicitPad(attrs.pad),
    attrs.dimRoundingMode,
  );
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
