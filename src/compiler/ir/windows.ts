/** Convolutions and pools tap by tap: one slice of the padded image for each place of the window. For doubles, and for gradients of pools. */
import type { Builder, PoolOptions } from "./graph.ts";
import type { Attrs, Node, Shape } from "./node.ts";
import { sweep } from "./types.ts";

/** The sweep of a window over an image [n,h,w,c]. */
interface Windows {
  readonly image: Shape;
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly paddings: readonly (readonly [number, number])[];
  /** Height and width of the result. */
  readonly out: readonly number[];
}

function windowsOf(image: Shape, window: readonly number[], attrs: Attrs): Windows {
  const strides = attrs.strides ?? [1, 1];
  const dilations = attrs.dilations ?? [1, 1];
  const paddings = attrs.paddings ?? [[0, 0] as const, [0, 0] as const];
  const out = [0, 1].map((i) => sweep(image[i + 1]!, window[i]!, strides[i]!, dilations[i]!, paddings[i]!));
  return { image, window, strides, dilations, paddings, out };
}

const places = ({ window }: Windows) =>
  Array.from({ length: window[0]! * window[1]! }, (_, k) => [Math.floor(k / window[1]!), k % window[1]!] as const);

const framed = (b: Builder, x: Node, { paddings }: Windows, value = 0) =>
  b.pad(x, [[0, 0], paddings[0]!, paddings[1]!, [0, 0]], value);

/** What every output sees at one place of its window: [n, h', w', c]. */
function tap(b: Builder, padded: Node, { image, strides, dilations, out }: Windows, place: readonly number[]): Node {
  const begin = [0, place[0]! * dilations[0]!, place[1]! * dilations[1]!, 0];
  return b.stridedSlice(padded, begin, [image[0]!, ...out, image[3]!], [1, ...strides, 1]);
}

/** The adjoint of {@link tap}: values [n, h', w', c] put where they were seen, zeros elsewhere, on the padded image. */
function untap(b: Builder, dy: Node, w: Windows, place: readonly number[]): Node {
  const [n, c] = [w.image[0]!, w.image[3]!];
  const [h, v] = w.out as [number, number];
  const [sh, sv] = w.strides as [number, number];
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
  const margin = (i: number) => {
    const before = place[i]! * w.dilations[i]!;
    return [before, w.image[i + 1]! + w.paddings[i]![0] + w.paddings[i]![1] - before - reach[i]!] as const;
  };
  return b.pad(grid, [[0, 0], margin(0), margin(1), [0, 0]]);
}

const unframed = (b: Builder, x: Node, { image, paddings }: Windows) =>
  b.slice(x, [0, paddings[0]![0], paddings[1]![0], 0], image);

const total = (b: Builder, terms: readonly Node[]) => terms.reduce((sum, term) => b.binary("add", sum, term));

/** [n, h', w', channels] as [groups, pixels, channels/groups]. */
function byGroup(b: Builder, x: Node, groups: number): Node {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  return b.transpose(b.reshape(x, [n * h * w, groups, c / groups]), [1, 0, 2]);
}

/** The filter at one place, [groups, c/groups, out/groups]. */
function filterAt(b: Builder, filter: Node, place: readonly number[], groups: number): Node {
  const [, , c, out] = filter.shape as [number, number, number, number];
  const one = b.slice(filter, [...place, 0, 0], [1, 1, c, out]);
  return b.transpose(b.reshape(one, [c, groups, out / groups]), [1, 0, 2]);
}

const ungroup = (b: Builder, x: Node, shape: Shape) => b.reshape(b.transpose(x, [1, 0, 2]), shape);

export function conv2d(b: Builder, x: Node, filter: Node, attrs: Attrs): Node {
  const w = windowsOf(x.shape, filter.shape, attrs);
  const groups = attrs.groups ?? 1;
  const padded = framed(b, x, w);
  const term = (place: readonly number[]) =>
    b.matmul(byGroup(b, tap(b, padded, w, place), groups), filterAt(b, filter, place, groups));
  return ungroup(b, total(b, places(w).map(term)), [x.shape[0]!, ...w.out, filter.shape[3]!]);
}

export function conv2dInputGrad(b: Builder, dy: Node, filter: Node, attrs: Attrs): Node {
  const w = windowsOf(attrs.shape!, filter.shape, attrs);
  const groups = attrs.groups ?? 1;
  const pixels = byGroup(b, dy, groups);
  const seen = [w.image[0]!, ...w.out, w.image[3]!];
  const term = (place: readonly number[]) => {
    const back = b.matmul(pixels, filterAt(b, filter, place, groups), { transposeB: true });
    return untap(b, ungroup(b, back, seen), w, place);
  };
  return unframed(b, total(b, places(w).map(term)), w);
}

export function conv2dFilterGrad(b: Builder, x: Node, dy: Node, attrs: Attrs): Node {
  const shape = attrs.shape!;
  const w = windowsOf(x.shape, shape, attrs);
  const groups = attrs.groups ?? 1;
  const padded = framed(b, x, w);
  const pixels = byGroup(b, dy, groups);
  const term = (place: readonly number[]) => {
    const seen = byGroup(b, tap(b, padded, w, place), groups);
    return ungroup(b, b.matmul(seen, pixels, { transposeA: true }), [1, shape[2]!, shape[3]!]);
  };
  return b.reshape(b.concat(places(w).map(term), 0), shape);
}

/** How many places of each window lie inside the image, [1, h', w', 1]. */
function insideCounts(b: Builder, w: Windows): Node {
  const along = (i: number) =>
    Array.from({ length: w.out[i]! }, (_, o) => {
      const at = (k: number) => o * w.strides[i]! - w.paddings[i]![0] + k * w.dilations[i]!;
      return Array.from({ length: w.window[i]! }, (_, k) => at(k)).filter((p) => p >= 0 && p < w.image[i + 1]!).length;
    });
  const columns = along(1);
  const counts = along(0).flatMap((row) => columns.map((column) => row * column));
  return b.constant(Float64Array.from(counts), [1, ...w.out, 1]);
}

export function avgPool(b: Builder, x: Node, attrs: Attrs): Node {
  const w = windowsOf(x.shape, attrs.window!, attrs);
  const padded = framed(b, x, w);
  return b.binary(
    "div",
    total(
      b,
      places(w).map((p) => tap(b, padded, w, p)),
    ),
    insideCounts(b, w),
  );
}

/** The gradient of `avgPool` of an image of `inputShape`: each output shares its dy among the places it saw. */
export function avgPoolGrad(b: Builder, dy: Node, inputShape: Shape, options: PoolOptions): Node {
  const w = windowsOf(inputShape, options.window, options);
  const share = b.binary("div", dy, insideCounts(b, w));
  return unframed(
    b,
    total(
      b,
      places(w).map((p) => untap(b, share, w, p)),
    ),
    w,
  );
}

/** The gradient of y = `maxPool`(x): dy goes to the first place of the window that holds the maximum. */
export function maxPoolGrad(b: Builder, dy: Node, x: Node, y: Node, options: PoolOptions): Node {
  const w = windowsOf(x.shape, options.window, options);
  const padded = framed(b, x, w, Number.NEGATIVE_INFINITY);
  let taken: Node | undefined;
  const terms = places(w).map((place) => {
    const equal = b.binary("equal", tap(b, padded, w, place), y);
    const first: Node = taken ? b.binary("and", equal, b.unary("not", taken)) : equal;
    taken = taken ? b.binary("or", taken, equal) : equal;
    return untap(b, b.where(first, dy, b.constant(0)), w, place);
  });
  return unframed(b, total(b, terms), w);
}
