/** Rows of ops that move elements: by shape and by index. */
import * as tf from "@tensorflow/tfjs-core";
import * as ops from "../../../src/engine/ops.ts";
import { ANY, int, type OpCase, type Structural, structural, type T4, X } from "./case.ts";

const ROWS: readonly Structural[] = [
  ["reshape", [X], (x) => tf.reshape(x, [2, 6])],
  ["expandDims and squeeze", [X], (x) => tf.squeeze(tf.expandDims(x, 1), [1])],
  ["transpose", [[2, 3, 4]], (x) => tf.transpose(x, [2, 0, 1])],
  ["transpose of rank 6", [[2, 1, 2, 2, 1, 3]], (x) => tf.transpose(x, [5, 3, 1, 0, 2, 4])],
  ["tile", [[2, 3]], (x) => tf.tile(x, [2, 3])],
  ["tile of rank 5", [[1, 2, 1, 2, 1]], (x) => tf.tile(x, [2, 1, 3, 2, 1])],
  ["broadcastTo", [[2, 1, 3]], (x) => tf.broadcastTo(x, [2, 2, 4, 3])],
  [
    "concat",
    [
      [2, 3],
      [2, 2],
    ],
    (a, b) => tf.concat([a, b], 1),
  ],
  [
    "concat with nothing",
    [
      [2, 3],
      [2, 2],
    ],
    (a, b) => tf.concat([a, tf.zeros([2, 0]), b], -1),
  ],
  [
    "stack",
    [
      [2, 3],
      [2, 3],
    ],
    (a, b) => tf.stack([a, b], 1),
  ],
  ["unstack", [X], (x) => tf.mul(tf.unstack(x, 1)[1] as tf.Tensor, tf.unstack(x, 1)[3] as tf.Tensor)],
  ["split", [[2, 6]], (x) => tf.split(x, [1, 2, 3], 1)[1] as tf.Tensor],
  ["slice", [[2, 3, 4]], (x) => tf.slice(x, [0, 1, 1], [2, 2, -1])],
  ["stridedSlice", [[5, 6]], (x) => tf.stridedSlice(x, [0, 1], [5, 6], [2, 3])],
  [
    "stridedSlice backwards",
    [[5, 6, 2]],
    (x) => tf.stridedSlice(x, [4, 1, 1], [0, 6, 2], [-2, 2, 1], 0, 0, 0, 0, 4),
    ANY,
    (x) => tf.squeeze(tf.slice(tf.gather(tf.gather(x, int(4, 2)), int(1, 3, 5), 1), [0, 0, 1], [-1, -1, 1]), [2]),
  ],
  [
    "pad",
    [[2, 3]],
    (x) =>
      tf.pad(
        x,
        [
          [1, 0],
          [2, 1],
        ],
        0.5,
      ),
  ],
  [
    "mirrorPad, reflect",
    [[3, 4]],
    (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 2],
          [2, 1],
        ],
        "reflect",
      ),
  ],
  [
    "mirrorPad, symmetric",
    [[3, 4]],
    (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 2],
          [2, 1],
        ],
        "symmetric",
      ),
  ],
  ["reverse", [[2, 3, 4]], (x) => tf.reverse(x, [0, 2])],
  ["flipLeftRight", [[1, 2, 3, 2]], (x) => tf.image.flipLeftRight(x as T4)],
  ["depthToSpace", [[1, 2, 3, 8]], (x) => tf.depthToSpace(x as T4, 2)],
  [
    "spaceToBatchND",
    [[1, 4, 4, 1]],
    (x) =>
      tf.spaceToBatchND(
        x,
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
  ],
  [
    "batchToSpaceND",
    [[4, 2, 2, 1]],
    (x) =>
      tf.batchToSpaceND(
        x,
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
  ],
  ["diag", [[3]], (x) => tf.diag(x)],
  ["bandPart", [[4, 4]], (x) => tf.linalg.bandPart(x, 1, 0)],
  ["resizeBilinear", [[1, 3, 4, 2]], (x) => tf.image.resizeBilinear(x as T4, [5, 7])],
  ["resizeNearestNeighbor", [[1, 3, 4, 2]], (x) => tf.image.resizeNearestNeighbor(x as T4, [5, 7])],
  ["gather", [[4, 3]], (x) => tf.gather(x, int(2, 0, 2, 3))],
  [
    "gather along an axis",
    [[2, 4, 3]],
    (x) =>
      tf.gather(
        x,
        tf.tensor2d(
          [
            [2, 0],
            [2, 3],
          ],
          [2, 2],
          "int32",
        ),
        1,
      ),
  ],
  ["gather along a negative axis", [[2, 4, 3]], (x) => tf.gather(x, int(2, 0, 2), -1)],
  [
    "gather with a batch",
    [[3, 4, 2]],
    (x) =>
      tf.gather(
        x,
        tf.tensor2d(
          [
            [2, 0],
            [1, 1],
            [3, 3],
          ],
          [3, 2],
          "int32",
        ),
        1,
        1,
      ),
  ],
  ["ops.gather", [[4, 3]], (x) => ops.gather(x, [1, 1, 0], 1)],
  [
    "gatherND",
    [[3, 4]],
    (x) =>
      tf.gatherND(
        x,
        tf.tensor2d(
          [
            [2, 0],
            [1, 1],
            [2, 0],
          ],
          [3, 2],
          "int32",
        ),
      ),
  ],
  ["scatterND", [[3, 4]], (x) => tf.scatterND(tf.tensor2d([[2], [1], [2]], [3, 1], "int32"), x, [5, 4])],
  [
    "tensorScatterUpdate",
    [
      [5, 4],
      [2, 4],
    ],
    (x, u) => tf.tensorScatterUpdate(x, tf.tensor2d([[2], [1]], [2, 1], "int32"), u),
  ],
  ["unsortedSegmentSum", [[4, 3]], (x) => tf.unsortedSegmentSum(x, int(1, 0, 1, 2), 4)],
  ["topk", [[3, 5]], (x) => tf.topk(x, 2).values],
  ["oneHot product", [[3, 4]], (x) => tf.sum(tf.mul(x, tf.oneHot(tf.argMax(x, 1), 4)), 1)],
  [
    "booleanless where with broadcasting",
    [
      [3, 1],
      [1, 4],
    ],
    (a, b) => tf.where(tf.greater(a, b), a, b),
  ],
];

export const SHAPES: readonly OpCase[] = ROWS.map(structural);
