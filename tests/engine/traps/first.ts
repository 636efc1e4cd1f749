/** First derivatives that are missing or wrong. */
import * as tf from "@tensorflow/tfjs-core";
import { at, count, d1, int, type T4, type Trap } from "./trap.ts";

export const FIRST: readonly Trap[] = [
  {
    name: "where on a comparison of x",
    run: () => d1((x) => tf.where(tf.greater(x, 0), tf.mul(x, 2), tf.mul(x, 3)), at(1, -1)),
    truth: [2, 3],
    plain: "throws",
  },
  {
    name: "maximum with broadcasting",
    run: () => d1((x) => tf.maximum(x, at(0, 5)), at(1)),
    truth: [1],
    plain: "throws",
  },
  {
    name: "divNoNan, of its divisor",
    run: () => d1((x) => tf.divNoNan(at(1, 1), x), at(0, 2)),
    truth: [0, -0.25],
    plain: "throws",
  },
  {
    name: "a quotient behind a mask",
    run: () => {
      const x = at(0, 2);
      const some = tf.greater(x, 0);
      return d1((y) => tf.where(some, tf.div(y, y), tf.zerosLike(y)), x);
    },
    truth: [0, 0],
    plain: "wrong",
  },
  {
    name: "norm at zero",
    run: () =>
      d1(
        (x) => tf.norm(x, 2, 1),
        tf.tensor2d([
          [0, 0],
          [3, 4],
        ]),
      ),
    truth: [0, 0, 0.6, 0.8],
    plain: "wrong",
  },
  {
    name: "minimum with broadcasting",
    run: () => d1((x) => tf.minimum(x, at(0, 5)), at(1)),
    truth: [1],
    plain: "throws",
  },
  {
    name: "linalg.qr, of the square of its triangle",
    run: () =>
      d1(
        (x) => tf.square((tf.linalg.qr(x as tf.Tensor2D) as [tf.Tensor2D, tf.Tensor2D])[1]),
        tf.tensor2d([
          [1, 2],
          [3, 4],
        ]),
      ),
    truth: [2, 4, 6, 8],
    plain: "throws",
  },
  {
    name: "filter of conv1d",
    run: () =>
      d1(
        (f) => tf.conv1d(count(1, 3, 1) as tf.Tensor3D, tf.reshape(f, [2, 1, 1]) as tf.Tensor3D, 1, "valid"),
        at(1, 1),
      ),
    truth: [1, 3],
    plain: "throws",
  },
  {
    name: "filter of conv2dTranspose",
    run: () =>
      d1(
        (f) => tf.conv2dTranspose(count(1, 1, 3, 1) as T4, tf.reshape(f, [1, 2, 1, 1]) as T4, [1, 1, 4, 1], 1, "valid"),
        at(1, 1),
      ),
    truth: [3, 3],
    plain: "throws",
  },
  {
    name: "squaredDifference with broadcasting",
    run: () => d1((x) => tf.squaredDifference(x, at(0, 5)), at(1)),
    truth: [-6],
    plain: "throws",
  },
  {
    name: "matMul of a batch and a matrix",
    run: () => d1((x) => tf.matMul(tf.ones([3, 1, 2]), tf.reshape(x, [2, 1])), at(1, 1)),
    truth: [3, 3],
    plain: "throws",
  },
  {
    name: "cumsum on the first axis of a square",
    run: () =>
      tf.grad((x) =>
        tf.sum(
          tf.mul(
            tf.cumsum(x, 0),
            tf.tensor2d([
              [1, 10],
              [100, 1000],
            ]),
          ),
        ),
      )(tf.ones([2, 2])),
    truth: [101, 1010, 100, 1000],
    plain: "wrong",
  },
  { name: "cumprod", run: () => d1((x) => tf.cumprod(x), at(2, 0, 5)), truth: [1, 2 + 10, 0], plain: "throws" },
  { name: "gather", run: () => d1((x) => tf.gather(x, int(2, 0, 2)), at(1, 2, 3)), truth: [1, 0, 2], plain: "throws" },
  {
    name: "gatherND",
    run: () => d1((x) => tf.gatherND(x, tf.tensor2d([[2], [2]], [2, 1], "int32")), at(1, 2, 3)),
    truth: [0, 0, 2],
    plain: "throws",
  },
  {
    name: "scatterND",
    run: () => d1((x) => tf.mul(tf.scatterND(tf.tensor2d([[2], [0]], [2, 1], "int32"), x, [3]), at(1, 2, 3)), at(1, 2)),
    truth: [3, 1],
    plain: "throws",
  },
  {
    name: "tensorScatterUpdate",
    run: () => d1((x) => tf.tensorScatterUpdate(x, tf.tensor2d([[1]], [1, 1], "int32"), at(9)), at(1, 2, 3)),
    truth: [1, 0, 1],
    plain: "throws",
  },
  {
    name: "stridedSlice",
    run: () => d1((x) => tf.stridedSlice(x, [0], [5], [2]), at(1, 2, 3, 4, 5)),
    truth: [1, 0, 1, 0, 1],
    plain: "throws",
  },
  { name: "topk", run: () => d1((x) => tf.topk(x, 2).values, at(3, 1, 2)), truth: [1, 0, 1], plain: "throws" },
  {
    name: "diag",
    run: () =>
      d1(
        (x) =>
          tf.mul(
            tf.diag(x),
            tf.tensor2d([
              [5, 6],
              [7, 8],
            ]),
          ),
        at(1, 2),
      ),
    truth: [5, 8],
    plain: "throws",
  },
  {
    name: "depthToSpace",
    run: () => d1((x) => tf.square(tf.depthToSpace(x as T4, 2)), count(1, 1, 1, 4)),
    truth: [0, 2, 4, 6],
    plain: "throws",
  },
  {
    name: "flipLeftRight",
    run: () => d1((x) => tf.mul(tf.image.flipLeftRight(x as T4), count(1, 1, 3, 1)), tf.ones([1, 1, 3, 1])),
    truth: [2, 1, 0],
    plain: "throws",
  },
  {
    name: "mirrorPad",
    run: () => d1((x) => tf.mirrorPad(x, [[2, 1]], "reflect"), at(1, 2, 3)),
    truth: [1, 3, 2],
    plain: "wrong",
  },
  {
    name: "tile of rank five",
    run: () => d1((x) => tf.tile(tf.reshape(x, [1, 1, 2, 1, 1]), [2, 1, 1, 1, 2]), at(1, 2)),
    truth: [4, 4],
    plain: "throws",
  },
  {
    name: "filter of conv2d",
    run: () =>
      d1((f) => tf.conv2d(count(1, 3, 3, 1) as T4, tf.reshape(f, [2, 2, 1, 1]) as T4, 1, "valid"), at(1, 1, 1, 1)),
    truth: [8, 12, 20, 24],
    plain: "throws",
  },
  {
    name: "input of depthwiseConv2d",
    run: () =>
      d1(
        (x) =>
          tf.depthwiseConv2d(tf.reshape(x, [1, 1, 3, 1]) as T4, tf.reshape(at(1, 10), [1, 2, 1, 1]) as T4, 1, "valid"),
        at(1, 1, 1),
      ),
    truth: [1, 11, 10],
    plain: "throws",
  },
  {
    name: "filter of depthwiseConv2d",
    run: () =>
      d1((f) => tf.depthwiseConv2d(count(1, 1, 3, 1) as T4, tf.reshape(f, [1, 2, 1, 1]) as T4, 1, "valid"), at(1, 1)),
    truth: [1, 3],
    plain: "throws",
  },
  {
    name: "input of a conv2d with dilations",
    run: () =>
      d1(
        (x) =>
          tf.conv2d(
            tf.reshape(x, [1, 1, 3, 1]) as T4,
            tf.reshape(at(1, 10), [1, 2, 1, 1]) as T4,
            1,
            "valid",
            "NHWC",
            [1, 2],
          ),
        at(1, 1, 1),
      ),
    truth: [1, 0, 10],
    plain: "throws",
  },
  {
    name: "avgPool at the edge",
    run: () => d1((x) => tf.avgPool(tf.reshape(x, [1, 1, 3, 1]) as T4, [1, 2], [1, 2], "same"), at(1, 1, 1)),
    truth: [0.5, 0.5, 1],
    plain: "wrong",
  },
  {
    name: "batchNorm without scale",
    run: () =>
      d1(
        (x) =>
          tf.mul(
            tf.batchNorm2d(tf.reshape(x, [2, 1]) as tf.Tensor2D, at(0), at(3), undefined, undefined, 1),
            count(2, 1),
          ),
        at(1, 1),
      ),
    truth: [0, 0.5],
    plain: "throws",
  },
  {
    name: "max where several are largest",
    run: () => d1((x) => tf.max(x), at(2, 2)),
    truth: [0.5, 0.5],
    plain: "wrong",
  },
  { name: "floorDiv, which is flat", run: () => d1((x) => tf.floorDiv(x, at(2)), at(3)), truth: [0], plain: "wrong" },
  {
    name: "cast to whole numbers, which is flat",
    run: () => d1((x) => tf.mul(tf.cast(tf.cast(x, "int32"), "float32"), 1), at(3.5)),
    truth: [0],
    plain: "wrong",
  },
  { name: "pow with exponent zero at zero", run: () => d1((x) => tf.pow(x, 0), at(0)), truth: [0], plain: "wrong" },
  {
    name: "division by a small number",
    run: () => d1((x) => tf.div(1e-23, x), at(1e-23)),
    truth: [-1e23],
    plain: "wrong",
  },
  {
    name: "linalg.bandPart",
    run: () => d1((x) => tf.linalg.bandPart(x, 0, 0), tf.ones([2, 2])),
    truth: [1, 0, 0, 1],
    plain: "throws",
  },
  {
    name: "einsum",
    run: () => d1((x) => tf.einsum("ij,jk->ik", tf.reshape(x, [1, 2]), count(2, 2)), at(1, 1)),
    truth: [1, 5],
    plain: "throws",
  },
];
