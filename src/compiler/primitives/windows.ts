/** What convolutions and pools share: windows over an image [n,h,w,c], their attributes, and the image at each place of a window. */
import type * as tf from "@tensorflow/tfjs-core";
import type { Shape } from "../../core/shape.ts";
import type { Attrs, Node } from "../ir/node.ts";
import type { Products } from "./products.ts";

export type Pair = readonly [number, number];

export interface WindowOptions {
  readonly strides?: Pair;
  readonly dilations?: Pair;
  /** Zeros before and after the rows, before and after the columns. */
  readonly paddings?: readonly [Pair, Pair];
}

export const windowAttrs = ({ strides = [1, 1], dilations = [1, 1], paddings }: WindowOptions): Attrs => ({
  strides,
  dilations,
  paddings: paddings ?? [
    [0, 0],
    [0, 0],
  ],
});

/** Height and width of the result: one place for each window. */
export function outputSize(image: Shape, window: Shape, { strides = [], dilations = [], paddings = [] }: Attrs): Pair {
  const along = (i: 0 | 1) => {
    const [before, after] = paddings[i]!;
    const reach = dilations[i]! * (window[i]! - 1) + 1;
    return Math.floor((image[i + 1]! + before + after - reach) / strides[i]!) + 1;
  };
  return [along(0), along(1)];
}

/** How a window moves over an image. */
export interface Windows {
  readonly image: Shape;
  readonly window: Shape;
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly paddings: readonly Pair[];
  /** Height and width of the result. */
  readonly out: Pair;
}

export function windowsOf(image: Shape, window: Shape, attrs: Attrs): Windows {
  const { strides = [], dilations = [], paddings = [] } = attrs;
  return { image, window, strides, dilations, paddings, out: outputSize(image, window, attrs) };
}

/** The places of a window, row by row. */
export const places = ({ window }: Windows): readonly Pair[] =>
  Array.from({ length: window[0]! * window[1]! }, (_, k) => [Math.floor(k / window[1]!), k % window[1]!] as const);

/** The image with its paddings, which are zeros. */
export const padImage = (b: Products, x: Node, { paddings }: Windows): Node =>
  b.pad(x, [[0, 0], paddings[0]!, paddings[1]!, [0, 0]], 0);

/** The image without its paddings. */
export const cropImage = (b: Products, x: Node, { image, paddings }: Windows): Node =>
  b.slice(x, [0, paddings[0]![0], paddings[1]![0], 0], image);

/** What every output sees at one place of its window: [n, h', w', c]. */
export function tap(b: Products, padded: Node, { image, strides, dilations, out }: Windows, place: Pair): Node {
  const begin = [0, place[0] * dilations[0]!, place[1] * dilations[1]!, 0];
  return b.stridedSlice(padded, begin, [image[0]!, ...out, image[3]!], [1, ...strides, 1]);
}

/** The adjoint of {@link tap}: values [n, h', w', c] put where they were seen, zeros elsewhere, on the padded image. */
export function untap(b: Products, dy: Node, w: Windows, place: Pair): Node {
  const [n, c] = [w.image[0]!, w.image[3]!];
  const [h, v] = w.out;
  const [sh, sv] = w.strides as Pair;
  const spaced = b.pad(b.reshape(dy, [n, h, 1, v, 1, c]), [
    [0, 0],
    [0, 0],
    [0, sh - 1],
    [0, 0],
    [0, sv - 1],
    [0, 0],
  ]);
  const reach = [(h - 1) * sh + 1, (v - 1) * sv + 1];
  const grid = b.slice(b.reshape(spaced, [n, h * sh, v * sv, c]), [0, 0, 0, 0], [n, ...reach, c]);
  const margin = (i: 0 | 1) => {
    const before = place[i] * w.dilations[i]!;
    return [before, w.image[i + 1]! + w.paddings[i]![0] + w.paddings[i]![1] - before - reach[i]!] as const;
  };
  return b.pad(grid, [[0, 0], margin(0), margin(1), [0, 0]]);
}

export const total = (b: Products, terms: readonly Node[]): Node =>
  terms.reduce((sum, term) => b.binary("add", sum, term));

/** ONNX has channels first, the graph has them last: the way there and back. */
export const [CHANNELS_FIRST, CHANNELS_LAST] = [
  [0, 3, 1, 2],
  [0, 2, 3, 1],
] as const;

/** Paddings as ONNX wants them. */
export const padsOf = (node: Node): readonly number[] => {
  const [rows, columns] = node.attrs.paddings!;
  return [rows![0], columns![0], rows![1], columns![1]];
};

/** What tfjs works out of its attributes, as options. */
export const windowOptions = ({
  strideHeight,
  strideWidth,
  padInfo: { top, bottom, left, right },
}: tf.backend_util.Conv2DInfo): Required<Pick<WindowOptions, "strides" | "paddings">> => ({
  strides: [strideHeight, strideWidth],
  paddings: [
    [top, bottom],
    [left, right],
  ],
});
