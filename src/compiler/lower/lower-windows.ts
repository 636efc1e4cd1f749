/** Convolutions, their gradients and pools as ONNX nodes: ONNX has channels first, the graph has them last. */
import { fail } from "../../core/errors.ts";
import type { Node } from "../ir/node.ts";
import type { Lowering } from "./emit.ts";

/** Channels last to channels first, and back. */
const toFirst = [0, 3, 1, 2];
const toLast = [0, 2, 3, 1];

const padsOf = (node: Node) => {
  const [rows, columns] = node.attrs.paddings!;
  return [rows![0], columns![0], rows![1], columns![1]];
};

export const conv2d: Lowering = (e, node, [x, w]) => {
  const { strides = [], dilations = [], groups = 1 } = node.attrs;
  const attributes = { strides, dilations, pads: padsOf(node), group: groups };
  const image = e.op("Transpose", [x!], { perm: toFirst });
  const filter = e.op("Transpose", [w!], { perm: [3, 2, 0, 1] });
  return e.op("Transpose", [e.op("Conv", [image, filter], attributes)], { perm: toLast });
};

export const conv2dInputGrad: Lowering = (e, node, [dy, w]) => {
  const { strides = [], dilations = [], groups = 1, paddings = [] } = node.attrs;
  const [y, filter] = node.inputs as readonly [Node, Node];
  // Rows that no window reached have no gradient: they are made up at the end.
  const output_padding = [0, 1].map((i) => {
    const reach = (y.shape[i + 1]! - 1) * strides[i]! + dilations[i]! * (filter.shape[i]! - 1) + 1;
    return node.shape[i + 1]! - (reach - paddings[i]![0] - paddings[i]![1]);
  });
  const attributes = { strides, dilations, pads: padsOf(node), group: groups, output_padding };
  const image = e.op("Transpose", [dy!], { perm: toFirst });
  const kernel = e.op("Transpose", [w!], { perm: [3, 2, 0, 1] });
  return e.op("Transpose", [e.op("ConvTranspose", [image, kernel], attributes)], { perm: toLast });
};

/** The product of x and dy with batch and channels exchanged, strides and dilations exchanged. */
export const conv2dFilterGrad: Lowering = (e, node, [x, dy]) => {
  const { strides = [], dilations = [], groups = 1 } = node.attrs;
  const [n, h, w, c] = node.inputs[0]!.shape as [number, number, number, number];
  const [kh, kw, perGroup, out] = node.shape as [number, number, number, number];
  const grouped = e.op("Reshape", [x!, e.ints([n, h, w, groups, perGroup])]);
  const image = e.op("Transpose", [grouped], { perm: [4, 3, 0, 1, 2] });
  const flatImage = e.op("Reshape", [image, e.ints([perGroup, groups * n, h, w])]);
  const kernel = e.op("Transpose", [dy!], { perm: [3, 0, 1, 2] });
  const attributes = { strides: dilations, dilations: strides, pads: padsOf(node), group: groups };
  const product = e.op("Conv", [flatImage, kernel], attributes);
  const cut = e.op("Slice", [product, e.ints([0, 0]), e.ints([kh, kw]), e.ints([2, 3])]);
  if (c !== groups * perGroup || out % groups !== 0) fail("shape", "conv2dFilterGrad: channels do not divide.");
  return e.op("Transpose", [cut], { perm: [2, 3, 0, 1] });
};

export const pool =
  (op: string): Lowering =>
  (e, node, [x]) => {
    const { window = [], strides = [], dilations = [] } = node.attrs;
    const image = e.op("Transpose", [x!], { perm: toFirst });
    const pooled = e.op(op, [image], { kernel_shape: window, strides, dilations, pads: padsOf(node) });
    return e.op("Transpose", [pooled], { perm: toLast });
  };
