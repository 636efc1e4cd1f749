/** Functions of single doubles that JavaScript's `Math` lacks: what primitives mean, element by element. */
import type { DType } from "../ir/node.ts";

/** erf by its power series near zero and by the continued fraction of erfc beyond, to about 1e-15. */
export function erf(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  const a = Math.abs(x);
  const seriesEnd = 2.5;
  if (a > 6) return Math.sign(x);
  if (a < seriesEnd) {
    let [term, sum] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let tail = 0;
  for (let n = 80; n > 0; n--) tail = n / 2 / (a + tail);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + tail)));
}

/** To the nearest integer, halves to the even one. */
export function round(x: number): number {
  const below = Math.floor(x);
  const gap = x - below;
  return gap < 0.5 || (gap === 0.5 && below % 2 === 0) ? below : below + 1;
}

/** The remainder with the sign of the divisor. */
export const floorMod = (a: number, b: number) => {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
};

export const SELU_ALPHA = 1.6732632423543772;
export const SELU_SCALE = 1.0507009873554805;

/** A number as `dtype` holds it, save that float32 stays a double. */
export const castScalar = (x: number, dtype: DType): number =>
  dtype === "float32" ? x : dtype === "bool" ? Number(x !== 0) : Math.trunc(x) | 0;
