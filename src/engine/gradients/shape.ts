/** Gradients of operations that move elements without changing them: each is the adjoint map. */
import * as tf from "@tensorflow/tfjs-core";
import { stridedRegion } from "../kernels/take.ts";
import { axesOf, gradient, kernel } from "./define.ts";
import { adjointTake, range } from "./take.ts";

type Pads = [number, number][];

/** Zeros around `x`; a scalar has no sides to pad. */
const padTo = (x: tf.Tensor, paddings: Pads): tf.Tensor => (x.rank === 0 ? x : tf.pad(x, paddings));

const sizeAt = (x: tf.Tensor, axis: number): number => x.shape[axis] as number;

/** Output index i of a mirrored axis shows this input index. */
function mirrored(i: number, size: number, symmetric: boolean): number {
  const edge = symmetric ? 1 : 0;
  if (i < 0) return -i - edge;
  return i >= size ? 2 * size - 2 + edge - i : i;
}

export const SHAPE: readonly tf.GradConfig[] = [
  gradient("Reshape", ["x"], (dy, { x }) => ({ x: () => tf.reshape(dy, x.shape) })),
  gradient("ExpandDims", ["input"], (dy, { input }) => ({ input: () => tf.reshape(dy, input.shape) })),
  gradient<never, { perm: number[] }>("Transpose", [], (dy, _, { perm }) => ({
    x: () => tf.transpose(dy, tf.backend_util.getUndoAxesPermutation(perm)),
  })),
  gradient<"x", { reps: number[] }>("Tile", ["x"], (dy, { x }, { reps }) => ({
    x: () => {
      // Only the repeated axes are split: the engine's kernels end at rank six.
      const split = x.shape.flatMap((size, i) => (reps[i] === 1 ? [size] : [reps[i] as number, size]));
      const axes = x.shape.flatMap((_, i) => (reps[i] === 1 ? [] : [i + range(i).filter((j) => reps[j] !== 1).length]));
      return tf.reshape(axes.length > 0 ? tf.sum(tf.reshape(dy, split), axes) : dy, x.shape);
    },
  })),
  gradient<"x", object>("BroadcastTo", ["x"], (dy, { x }) => ({
    x: () => {
      const axes = tf.broadcast_util.getReductionAxes(x.shape, dy.shape);
      return tf.reshape(tf.sum(dy, axes), x.shape);
    },
  })),
  {
    kernelName: "Concat",
    saveAllInputs: true,
    gradFunc: (dy, saved, attrs) => {
      const axis = axesOf(attrs.axis as number, (saved[0] as tf.Tensor).shape)[0] as number;
      let at = 0;
      const starts = saved.map((x) => (at += sizeAt(x, axis)) - sizeAt(x, axis));
      const part = (i: number) => {
        const x = saved[i] as tf.Tensor;
        return tf.slice(
          dy as tf.Tensor,
          x.shape.map((_, d) => (d === axis ? (starts[i] as number) : 0)),
          x.shape,
        );
      };
      return Object.fromEntries(saved.map((_, i) => [i, () => part(i)]));
    },
  },
  {
    kernelName: "Pack",
    saveAllInputs: true,
    gradFunc: (dy, saved, attrs) => {
      const all = tf.unstack(dy as tf.Tensor, attrs.axis as number);
      return Object.fromEntries(saved.map((_, i) => [i, () => all[i] as tf.Tensor]));
    },
  },
  {
    kernelName: "Unpack",
    gradFunc: (dy, _, attrs) => ({
      value: () => tf.stack(Array.isArray(dy) ? (dy as tf.Tensor[]) : [dy], attrs.axis as number),
    }),
  },
  {
    kernelName: "SplitV",
    gradFunc: (dy, _, attrs) => ({
      x: () => (Array.isArray(dy) ? tf.concat(dy as tf.Tensor[], attrs.axis as number) : tf.clone(dy)),
    }),
  },
  gradient<"x", { begin: number | number[]; size: number | number[] }>("Slice", ["x"], (dy, { x }, attrs) => ({
    x: () => {
      const [begin, size] = tf.slice_util.parseSliceParams(x, attrs.begin, attrs.size) as [number[], number[]];
      return padTo(
        dy,
        x.shape.map((full, i) => [begin[i] as number, full - (begin[i] as number) - (size[i] as number)]),
      );
    },
  })),
  gradient<"x", Parameters<typeof stridedRegion>[1]>("StridedSlice", ["x"], (dy, { x }, attrs) => ({
    x: () => {
      const { begin, strides, counts } = stridedRegion(x.shape, attrs);
      let dx = tf.reshape(dy, counts);
      x.shape.forEach((size, axis) => {
        const taken = range(counts[axis] as number).map((i) => (begin[axis] as number) + i * (strides[axis] as number));
        dx = adjointTake(dx, taken, size, axis);
      });
      return dx;
    },
  })),
  gradient<"x", { paddings: Pads }>("PadV2", ["x"], (dy, { x }, { paddings }) => ({
    x: () =>
      tf.slice(
        dy,
        paddings.map(([before]) => before),
        x.shape,
      ),
  })),
  // tfjs forgets the mirrored elements.
  gradient<"x", { paddings: Pads; mode: "reflect" | "symmetric" }>("MirrorPad", ["x"], (dy, { x }, attrs) => ({
    x: () => {
      let dx = dy;
      x.shape.forEach((size, axis) => {
        const [before] = attrs.paddings[axis] as [number, number];
        const shown = range(sizeAt(dx, axis)).map((i) => mirrored(i - before, size, attrs.mode === "symmetric"));
        dx = adjointTake(dx, shown, size, axis);
      });
      return dx;
    },
  })),
  gradient<never, { dims: number | number[] }>("Reverse", [], (dy, _, { dims }) => ({
    x: () => tf.reverse(dy, axesOf(dims, dy.shape)),
  })),
  gradient("FlipLeftRight", [], (dy) => ({ image: () => tf.reverse(dy, 2) })),
  gradient<"x", { blockSize: number; dataFormat: string }>(
    "DepthToSpace",
    ["x"],
    (dy, { x }, { blockSize: s, dataFormat }) => ({
      x: () => {
        const channelsFirst = dataFormat === "NCHW";
        const image = channelsFirst ? tf.transpose(dy, [0, 2, 3, 1]) : dy;
        const [b, h, w, c] = image.shape as [number, number, number, number];
        const blocks = tf.transpose(tf.reshape(image, [b, h / s, s, w / s, s, c]), [0, 1, 3, 2, 4, 5]);
        const deep = tf.reshape(blocks, [b, h / s, w / s, s * s * c]);
        return tf.reshape(channelsFirst ? tf.transpose(deep, [0, 3, 1, 2]) : deep, x.shape);
      },
    }),
  ),
  gradient<never, { blockShape: number[]; crops: number[][] }>("BatchToSpaceND", [], (dy, _, attrs) => ({
    x: () => tf.spaceToBatchND(dy, attrs.blockShape, attrs.crops),
  })),
  gradient<never, { blockShape: number[]; paddings: number[][] }>("SpaceToBatchND", [], (dy, _, attrs) => ({
    x: () => tf.batchToSpaceND(dy, attrs.blockShape, attrs.paddings),
  })),
  gradient("Diag", ["x"], (dy, { x }) => ({
    x: () => {
      const square = tf.reshape(dy, [x.size, x.size]);
      return tf.reshape(tf.sum(tf.mul(square, tf.eye(x.size)), 1), x.shape);
    },
  })),
  ...resizes(),
];

/** Resizing is linear in the image: its gradient is a kernel, and the gradient of that kernel is resizing again. */
function resizes(): tf.GradConfig[] {
  const names = ["ResizeBilinear", "ResizeNearestNeighbor"];
  return names.flatMap((name) => [
    gradient("" + name, ["images"], (dy, { images }, attrs) => ({
      images: () => kernel(`${name}Grad`, { dy, images }, attrs),
    })),
    gradient(`${name}Grad`, ["images"], (ddx, { images }, attrs) => ({
      dy: () => kernel(name, { images: ddx }, attrs),
      images: () => tf.zeros(images.shape),
    })),
  ]);
}
