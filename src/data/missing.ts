/**
 * Missingness mechanisms. Each gives a mask s, `[n, features]`, 1 where an entry was observed. Whether an entry is missing depends on
 * nothing (MCAR), on other entries that are always observed (MAR), or on the entry itself (MNAR).
 */
import { type NdArray, ndarray } from "../core/array.ts";
import { checkWhole } from "../core/check.ts";
import { fail } from "../core/errors.ts";
import type { Key } from "../core/key.ts";
import { normalCdf } from "../core/numeric/normal-cdf.ts";
import { uniform } from "../core/random/draws.ts";
import { showShape } from "../core/shape.ts";

const shapeOf = (x: NdArray): [n: number, d: number] => {
  if (x.shape.length !== 2) fail("shape", `expected data of shape [n, features], got ${showShape(x.shape)}`);
  return x.shape as unknown as [number, number];
};

/** A mask from a rule about every entry. */
function maskOf(x: NdArray, observed: (value: number, row: number, column: number, at: number) => boolean): NdArray {
  const [n, d] = shapeOf(x);
  const mask = new Float32Array(n * d);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++) mask[i * d + j] = observed(x.data[i * d + j] as number, i, j, i * d + j) ? 1 : 0;
  return ndarray(mask, [n, d]);
}

/** A mask from the probability that an entry is missing. */
function drawMask(x: NdArray, key: Key, missing: (value: number, row: number, column: number) => number): NdArray {
  const u = uniform(key, x.data.length);
  return maskOf(x, (value, i, j, at) => (u[at] as number) >= missing(value, i, j));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

function share(name: string, rate: number): number {
  return rate >= 0 && rate <= 1 ? rate : fail("argument", `${name}: the rate must lie in [0, 1], got ${rate}`);
}

/** Missing completely at random: P(s_ij = 0) = rate. */
export const mcar = (x: NdArray, rate: number, key: Key): NdArray => {
  const r = share("mcar", rate);
  return drawMask(x, key, () => r);
};

/** Missing at random: P(s_ij = 0) = σ(shift + slope·x_i,by) for j ≠ by; the column `by` is always observed. */
export const mar = (
  x: NdArray,
  { by = 0, slope = 1, shift = 0 }: { readonly by?: number; readonly slope?: number; readonly shift?: number },
  key: Key,
): NdArray => {
  const [, d] = shapeOf(x);
  return drawMask(x, key, (_, i, j) => (j === by ? 0 : sigmoid(shift + slope * (x.data[i * d + by] as number))));
};

/** Which columns a mechanism touches. Default: all. */
export interface Columns {
  readonly columns?: readonly number[];
}

const isAffected = ({ columns }: Columns) => {
  const chosen = columns === undefined ? undefined : new Set(columns);
  return (j: number): boolean => chosen?.has(j) ?? true;
};

/** The first half of the columns, rounded down: what the published tables of not-MIWAE hide in. */
export const firstHalf = (features: number): readonly number[] =>
  Array.from({ length: Math.floor(features / 2) }, (_, j) => j);

/** Deterministic self-masking: s_ij = 0 iff x_ij > mean of column j. */
export function aboveMean(x: NdArray, options: Columns = {}): NdArray {
  const [n, d] = shapeOf(x);
  const touched = isAffected(options);
  const means = Float64Array.from({ length: d }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += x.data[i * d + j] as number;
    return sum / n;
  });
  return maskOf(x, (value, _, j) => !(touched(j) && value > (means[j] as number)));
}

/** s_ij = 0 iff x_ij > threshold. */
export const byThreshold = (x: NdArray, threshold: number, options: Columns = {}): NdArray => {
  const touched = isAffected(options);
  return maskOf(x, (value, _, j) => !(touched(j) && value > threshold));
};

/** Options of random self-masking. */
export interface SelfMasking extends Columns {
  /** How fast the probability rises with the value. Default 1. */
  readonly slope?: number;
  /** The value at which it is a half. Default 0. */
  readonly centre?: number;
}

/** P(s_ij = 0 | x_ij) = σ(slope·(x_ij − centre)). */
export const selfMaskLogistic = (x: NdArray, options: SelfMasking, key: Key): NdArray => {
  const { slope = 1, centre = 0 } = options;
  const touched = isAffected(options);
  return drawMask(x, key, (value, _, j) => (touched(j) ? sigmoid(slope * (value - centre)) : 0));
};

/** P(s_ij = 0 | x_ij) = Φ(slope·(x_ij − centre)). */
export const selfMaskProbit = (x: NdArray, options: SelfMasking, key: Key): NdArray => {
  const { slope = 1, centre = 0 } = options;
  const touched = isAffected(options);
  return drawMask(x, key, (value, _, j) => (touched(j) ? normalCdf(slope * (value - centre)) : 0));
};

/** A row loses entries by its own mean m_i: P(s_ij = 0) = σ(slope·(m_i − centre)), for all its entries alike. */
export const byRow = (x: NdArray, options: SelfMasking, key: Key): NdArray => {
  const [n, d] = shapeOf(x);
  const { slope = 1, centre = 0 } = options;
  const touched = isAffected(options);
  const means = Float64Array.from({ length: n }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += x.data[i * d + j] as number;
    return sum / d;
  });
  return drawMask(x, key, (_, i, j) => (touched(j) ? sigmoid(slope * ((means[i] as number) - centre)) : 0));
};

/** Bright pixels vanish: P(s_ij = 0 | x_ij) = rate·x_ij, for x in [0, 1]. */
export const byIntensity = (x: NdArray, rate: number, key: Key): NdArray => {
  const r = share("byIntensity", rate);
  return drawMask(x, key, (value) => r * value);
};

/** Size of the images whose rows are pixels. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

function checkImage(name: string, x: NdArray, { height, width }: ImageSize): void {
  const [, d] = shapeOf(x);
  if (height * width !== d) fail("shape", `${name}: ${d} pixels are no image of ${height} × ${width}`);
}

/** A square of `side` pixels is hidden in every image, its place uniform over those that fit. */
export function box(x: NdArray, image: ImageSize, side: number, key: Key): NdArray {
  checkImage("box", x, image);
  const { height, width } = image;
  checkWhole("box", "side", side, 1, Math.min(height, width));
  const n = x.shape[0] as number;
  const u = uniform(key, 2 * n);
  return maskOf(x, (_, i, j) => {
    const top = Math.floor((u[2 * i] as number) * (height - side + 1));
    const left = Math.floor((u[2 * i + 1] as number) * (width - side + 1));
    const [r, c] = [Math.floor(j / width) - top, (j % width) - left];
    return r < 0 || c < 0 || r >= side || c >= side;
  });
}

/** One half of every image is hidden. */
export function block(x: NdArray, image: ImageSize, hidden: "top" | "bottom" | "left" | "right"): NdArray {
  checkImage("block", x, image);
  const { height, width } = image;
  const inside = {
    top: (r: number) => r < height / 2,
    bottom: (r: number) => r >= height / 2,
    left: (_: number, c: number) => c < width / 2,
    right: (_: number, c: number) => c >= width / 2,
  }[hidden];
  return maskOf(x, (_, __, j) => !inside(Math.floor(j / width), j % width));
}

/** The data with `fill` (NaN unless told) where the mask is 0. */
export const hide = (x: NdArray, mask: NdArray, fill = Number.NaN): NdArray => {
  if (`${x.shape}` !== `${mask.shape}`)
    fail("shape", `hide: data ${showShape(x.shape)} and mask ${showShape(mask.shape)} differ in shape`);
  return ndarray(
    Float32Array.from(x.data, (value, i) => (mask.data[i] === 1 ? value : fill)),
    x.shape,
  );
};

/** Standardised data, and the way back. */
export interface Standardized {
  readonly x: NdArray;
  readonly mean: Float64Array;
  readonly sd: Float64Array;
}

/** (x − mean)/sd by column, over the observed entries; sd with 1/n. A column without spread is only centred. */
export function standardize(x: NdArray, mask?: NdArray): Standardized {
  const [n, d] = shapeOf(x);
  const seen = (at: number) => mask === undefined || mask.data[at] === 1;
  const [mean, sd] = [new Float64Array(d), new Float64Array(d).fill(1)];
  for (let j = 0; j < d; j++) {
    const values: number[] = [];
    for (let i = 0; i < n; i++) if (seen(i * d + j)) values.push(x.data[i * d + j] as number);
    if (values.length === 0) continue;
    const m = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((a, b) => a + (b - m) ** 2, 0) / values.length;
    mean[j] = m;
    if (variance > 0) sd[j] = Math.sqrt(variance);
  }
  const scaled = Float32Array.from(x.data, (v, i) => (v - (mean[i % d] as number)) / (sd[i % d] as number));
  return { x: ndarray(scaled, [n, d]), mean, sd };
}
