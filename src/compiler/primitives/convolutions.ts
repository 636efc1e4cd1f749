/** Convolutions and their gradients: [n,h,w,c] with filters [kh,kw,c/groups,out]. */
import { type Shape, sameShape, sizeOf } from "../../core/shape.ts";
import { type ConvAttrs, convInfo, type Four } from "../../engine/window-info.ts";
import { type Attrs, type Node, textOf } from "../ir/node.ts";
import type { Lowering } from "../onnx/emit.ts";
import type { Constructors, Decomposition, Family, TraceKernels, TypeRule } from "./primitive.ts";
import type { Products } from "./products.ts";
import { mismatch } from "./types.ts";
import {
  CHANNELS_FIRST,
  CHANNELS_LAST,
  cropImage,
  outputSize,
  padImage,
  padsOf,
  places,
  tap,
  total,
  untap,
  type WindowOptions,
  windowAttrs,
  windowOptions,
  windowsOf,
} from "./windows.ts";

export interface Conv2dOptions extends WindowOptions {
  readonly groups?: number;
}

export interface Convolutions extends Products {
  /** x [n,h,w,c], filter [kh,kw,c/groups,out] → [n,h',w',out]. A depthwise product has groups = c and filter [kh,kw,1,c·m]. */
  conv2d(x: Node, filter: Node, options: Conv2dOptions): Node;
  conv2dInputGrad(dy: Node, filter: Node, inputShape: Shape, options: Conv2dOptions): Node;
  conv2dFilterGrad(x: Node, dy: Node, filterShape: Shape, options: Conv2dOptions): Node;
}

/** The shape of the product of an image and a filter. */
function productShape(op: string, image: Shape, filter: Shape, attrs: Attrs): Shape {
  const groups = attrs.groups ?? 1;
  if (image.length !== 4 || filter.length !== 4 || filter[2]! * groups !== image[3] || filter[3]! % groups !== 0)
    mismatch(op, `${textOf(image)} and filter ${textOf(filter)}`, "[n,h,w,c] and [kh,kw,c/groups,out]");
  return [image[0]!, ...outputSize(image, filter, attrs), filter[3]!];
}

/** The shape of a gradient is an attribute; it must be consistent with the product. */
const gradientType =
  (operands: (inputs: readonly Node[], shape: Shape) => { image: Shape; filter: Shape; dy: Shape }): TypeRule =>
  (inputs, attrs, op) => {
    const { image, filter, dy } = operands(inputs, attrs.shape!);
    const shape = productShape(op, image, filter, attrs);
    if (!sameShape(dy, shape)) mismatch(op, `gradient ${textOf(dy)}`, textOf(shape));
    return { shape: attrs.shape!, dtype: inputs[0]!.dtype };
  };

const lowerConv: Lowering = (e, node, [x, w]) => {
  const { strides = [], dilations = [], groups = 1 } = node.attrs;
  const attributes = { strides, dilations, pads: padsOf(node), group: groups };
  const image = e.op("Transpose", [x!], { perm: CHANNELS_FIRST });
  const filter = e.op("Transpose", [w!], { perm: [3, 2, 0, 1] });
  return e.op("Transpose", [e.op("Conv", [image, filter], attributes)], { perm: CHANNELS_LAST });
};

const lowerInputGrad: Lowering = (e, node, [dy, w]) => {
  const { strides = [], dilations = [], groups = 1, paddings = [] } = node.attrs;
  const [y, filter] = node.inputs as readonly [Node, Node];
  // Rows that no window reached have no gradient: they are made up at the end.
  const output_padding = [0, 1].map((i) => {
    const reach = (y.shape[i + 1]! - 1) * strides[i]! + dilations[i]! * (filter.shape[i]! - 1) + 1;
    return node.shape[i + 1]! - (reach - paddings[i]![0] - paddings[i]![1]);
  });
  const attributes = { strides, dilations, pads: padsOf(node), group: groups, output_padding };
  const image = e.op("Transpose", [dy!], { perm: CHANNELS_FIRST });
  const kernel = e.op("Transpose", [w!], { perm: [3, 2, 0, 1] });
  return e.op("Transpose", [e.op("ConvTranspose", [image, kernel], attributes)], { perm: CHANNELS_LAST });
};

/** The product of x and dy with batch and channels exchanged, strides and dilations exchanged. */
const lowerFilterGrad: Lowering = (e, node, [x, dy]) => {
  const { strides = [], dilations = [], groups = 1 } = node.attrs;
  const [n, h, w] = node.inputs[0]!.shape as Four;
  const [kh, kw, perGroup] = node.shape as Four;
  const grouped = e.op("Reshape", [x!, e.ints([n, h, w, groups, perGroup])]);
  const image = e.op("Transpose", [grouped], { perm: [4, 3, 0, 1, 2] });
  const flatImage = e.op("Reshape", [image, e.ints([perGroup, groups * n, h, w])]);
  const kernel = e.op("Transpose", [dy!], { perm: [3, 0, 1, 2] });
  const attributes = { strides: dilations, dilations: strides, pads: padsOf(node), group: groups };
  const product = e.op("Conv", [flatImage, kernel], attributes);
  const cut = e.op("Slice", [product, e.ints([0, 0]), e.ints([kh, kw]), e.ints([2, 3])]);
  return e.op("Transpose", [cut], { perm: [2, 3, 0, 1] });
};

/** [n, h', w', channels] as [groups, pixels, channels/groups]. */
function byGroup(b: Products, x: Node, groups: number): Node {
  const [n, h, w, c] = x.shape as Four;
  return b.transpose(b.reshape(x, [n * h * w, groups, c / groups]), [1, 0, 2]);
}

/** The filter at one place, [groups, c/groups, out/groups]. */
function filterAt(b: Products, filter: Node, place: readonly number[], groups: number): Node {
  const [, , c, out] = filter.shape as Four;
  const one = b.slice(filter, [...place, 0, 0], [1, 1, c, out]);
  return b.transpose(b.reshape(one, [c, groups, out / groups]), [1, 0, 2]);
}

const ungroup = (b: Products, x: Node, shape: Shape) => b.reshape(b.transpose(x, [1, 0, 2]), shape);

/** ONNX Runtime convolves in single precision only: in doubles, one product of matrices for each place of the window. */
const convByPlaces: Decomposition<Products> = (b, operands, attrs) => {
  const [x, filter] = operands as readonly [Node, Node];
  const w = windowsOf(x.shape, filter.shape, attrs);
  const groups = attrs.groups ?? 1;
  const padded = padImage(b, x, w);
  const terms = places(w).map((place) =>
    b.matmul(byGroup(b, tap(b, padded, w, place), groups), filterAt(b, filter, place, groups)),
  );
  return ungroup(b, total(b, terms), [x.shape[0]!, ...w.out, filter.shape[3]!]);
};

const inputGradByPlaces: Decomposition<Products> = (b, operands, attrs) => {
  const [dy, filter] = operands as readonly [Node, Node];
  const w = windowsOf(attrs.shape!, filter.shape, attrs);
  const groups = attrs.groups ?? 1;
  const pixels = byGroup(b, dy, groups);
  const seen = [w.image[0]!, ...w.out, w.image[3]!];
  const terms = places(w).map((place) => {
    const back = b.matmul(pixels, filterAt(b, filter, place, groups), { transposeB: true });
    return untap(b, ungroup(b, back, seen), w, place);
  });
  return cropImage(b, total(b, terms), w);
};

const filterGradByPlaces: Decomposition<Products> = (b, operands, attrs) => {
  const [x, dy] = operands as readonly [Node, Node];
  const shape = attrs.shape!;
  const w = windowsOf(x.shape, shape, attrs);
  const groups = attrs.groups ?? 1;
  const padded = padImage(b, x, w);
  const pixels = byGroup(b, dy, groups);
  const terms = places(w).map((place) => {
    const seen = byGroup(b, tap(b, padded, w, place), groups);
    return ungroup(b, b.matmul(seen, pixels, { transposeA: true }), [1, shape[2]!, shape[3]!]);
  });
  return b.reshape(b.concat(terms, 0), shape);
};

export const CONVOLUTIONS = {
  conv2d: {
    type: ([x, w], attrs, op) => ({ shape: productShape(op, x!.shape, w!.shape, attrs), dtype: x!.dtype }),
    lower: lowerConv,
    decompose: { float64: convByPlaces },
    cost: ({ shape, inputs: [, w] }) => sizeOf(shape) * sizeOf(w!.shape.slice(0, 3)),
  },
  conv2dInputGrad: {
    type: gradientType(([dy, w], shape) => ({ image: shape, filter: w!.shape, dy: dy!.shape })),
    lower: lowerInputGrad,
    decompose: { float64: inputGradByPlaces },
    cost: ({ inputs: [dy, w] }) => sizeOf(dy!.shape) * sizeOf(w!.shape.slice(0, 3)),
  },
  conv2dFilterGrad: {
    type: gradientType(([x, dy], shape) => ({ image: x!.shape, filter: shape, dy: dy!.shape })),
    lower: lowerFilterGrad,
    decompose: { float64: filterGradByPlaces },
    cost: ({ shape, inputs: [, dy] }) => sizeOf(dy!.shape) * sizeOf(shape.slice(0, 3)),
  },
} satisfies Family<Products>;

const convAttrs = (o: Conv2dOptions): Attrs => ({ ...windowAttrs(o), groups: o.groups ?? 1 });

export const CONVOLUTION_CONSTRUCTORS: Constructors<Convolutions, Products> = {
  conv2d(x, filter, o) {
    return this.emit("conv2d", [x, filter], convAttrs(o));
  },
  conv2dInputGrad(dy, filter, shape, o) {
    return this.emit("conv2dInputGrad", [dy, filter], { ...convAttrs(o), shape: [...shape] });
  },
  conv2dFilterGrad(x, dy, shape, o) {
    return this.emit("conv2dFilterGrad", [x, dy], { ...convAttrs(o), shape: [...shape] });
  },
};

/** Attributes of a kernel: those of a convolution, and of its derivatives the shape that comes out. */
interface KernelAttrs extends ConvAttrs {
  readonly filterShape: Four;
  readonly inputShape: Four;
}

function options(image: Shape, filter: Shape, attrs: ConvAttrs, depthwise = false): Conv2dOptions {
  const info = convInfo(image, filter, attrs, depthwise);
  return {
    ...windowOptions(info),
    dilations: [info.dilationHeight, info.dilationWidth],
    ...(depthwise && { groups: image[3] as number }),
  };
}

/** The filter of a depthwise product, [h, w, c, m], as that of a product in c groups. */
const grouped = ([h, w, c, m]: Shape): Shape => [h!, w!, 1, c! * m!];

export const CONVOLUTION_KERNELS: TraceKernels<Convolutions> = {
  Conv2D: (b, { x, filter }, attrs: KernelAttrs) => b.conv2d(x!, filter!, options(x!.shape, filter!.shape, attrs)),
  Conv2DBackpropInput: (b, { dy, filter }, attrs: KernelAttrs) =>
    b.conv2dInputGrad(dy!, filter!, attrs.inputShape, options(attrs.inputShape, filter!.shape, attrs)),
  Conv2DBackpropFilter: (b, { x, dy }, attrs: KernelAttrs) =>
    b.conv2dFilterGrad(x!, dy!, attrs.filterShape, options(x!.shape, attrs.filterShape, attrs)),
  DepthwiseConv2dNative: (b, { x, filter }, attrs: KernelAttrs) =>
    b.conv2d(x!, b.reshape(filter!, grouped(filter!.shape)), options(x!.shape, filter!.shape, attrs, true)),
  DepthwiseConv2dNativeBackpropInput: (b, { dy, filter }, attrs: KernelAttrs) => {
    const { inputShape } = attrs;
    const flat = b.reshape(filter!, grouped(filter!.shape));
    return b.conv2dInputGrad(dy!, flat, inputShape, options(inputShape, filter!.shape, attrs, true));
  },
  DepthwiseConv2dNativeBackpropFilter: (b, { x, dy }, attrs: KernelAttrs) => {
    const { filterShape } = attrs;
    const d = b.conv2dFilterGrad(x!, dy!, grouped(filterShape), options(x!.shape, filterShape, attrs, true));
    return b.reshape(d, filterShape);
  },
};
