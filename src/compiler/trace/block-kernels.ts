/** Kernels of tfjs that move blocks of an image between space, depth and batch: each is several primitives. */
import * as tf from "@tensorflow/tfjs-core";
import { sizeOf } from "../../core/shape.ts";
import type { Node } from "../ir/node.ts";
import type { Builder } from "../primitives/builder.ts";
import type { TraceKernels } from "../primitives/primitive.ts";

interface BlockAttrs {
  readonly blockShape: number[];
  readonly crops: number[][];
  readonly paddings: [number, number][];
}

function batchToSpace(b: Builder, x: Node, { blockShape, crops }: BlockAttrs): Node {
  const [shape, block] = [[...x.shape], sizeOf(blockShape)];
  const reshaped = tf.backend_util.getReshaped(shape, blockShape, block);
  const permuted = b.transpose(b.reshape(x, reshaped), tf.backend_util.getPermuted(reshaped.length, blockShape.length));
  const flat = tf.backend_util.getReshapedPermuted(shape, blockShape, block);
  const begin = tf.backend_util.getSliceBeginCoords(crops, blockShape.length);
  const size = tf.backend_util.getSliceSize(flat, crops, blockShape.length);
  const rest = flat.slice(begin.length);
  return b.slice(b.reshape(permuted, flat), [...begin, ...rest.map(() => 0)], [...size, ...rest]);
}

function spaceToBatch(b: Builder, x: Node, { blockShape, paddings }: BlockAttrs): Node {
  const block = sizeOf(blockShape);
  const none: readonly [number, number] = [0, 0];
  const padded = b.pad(
    x,
    x.shape.map((_, i) => (i === 0 ? none : (paddings[i - 1] ?? none))),
  );
  const shape = [...padded.shape];
  const reshaped = tf.backend_util.getReshaped(shape, blockShape, block, false);
  const permuted = b.transpose(
    b.reshape(padded, reshaped),
    tf.backend_util.getPermuted(reshaped.length, blockShape.length, false),
  );
  return b.reshape(permuted, tf.backend_util.getReshapedPermuted(shape, blockShape, block, false));
}

function depthToSpace(b: Builder, x: Node, s: number, dataFormat: string): Node {
  const first = dataFormat === "NCHW";
  const image = first ? b.transpose(x, [0, 2, 3, 1]) : x;
  const [n, h, w, c] = image.shape as [number, number, number, number];
  const depth = c / (s * s);
  const split = b.transpose(b.reshape(image, [n, h, w, s, s, depth]), [0, 1, 3, 2, 4, 5]);
  const out = b.reshape(split, [n, h * s, w * s, depth]);
  return first ? b.transpose(out, [0, 3, 1, 2]) : out;
}

export const BLOCK_KERNELS: TraceKernels<Builder> = {
  DepthToSpace: (b, { x }, attrs: { blockSize: number; dataFormat: string }) =>
    depthToSpace(b, x!, attrs.blockSize, attrs.dataFormat),
  BatchToSpaceND: (b, { x }, attrs: BlockAttrs) => batchToSpace(b, x!, attrs),
  SpaceToBatchND: (b, { x }, attrs: BlockAttrs) => spaceToBatch(b, x!, attrs),
};
