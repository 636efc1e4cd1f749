/** The elementwise primitives on single doubles: for folding constants, and as the meaning that lowering is tested against. */
import type { BinaryOp, DType, UnaryOp } from "./node.ts";

/** erf by its power series near zero and by the continued fraction of erfc beyond, to about 1e-15. */
function erf(x: number): number {
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
function round(x: number): number {
  const below = Math.floor(x);
  const gap = x - below;
  return gap < 0.5 || (gap === 0.5 && below % 2 === 0) ? below : below + 1;
}

const floorMod = (a: number, b: number) => {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
};

const seluAlpha = 1.6732632423543772;
const seluScale = 1.0507009873554805;

export const unaryFunctions: Readonly<Record<UnaryOp, (x: number) => number>> = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: Math.sign,
  exp: Math.exp,
  log: Math.log,
  log1p: Math.log1p,
  expm1: Math.expm1,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  square: (x) => x * x,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  tanh: Math.tanh,
  relu: (x) => Math.max(x, 0),
  elu: (x) => (x < 0 ? Math.expm1(x) : x),
  selu: (x) => seluScale * (x < 0 ? seluAlpha * Math.expm1(x) : x),
  erf,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  floor: Math.floor,
  ceil: Math.ceil,
  round,
  isNaN: (x) => Number(Number.isNaN(x)),
  isInf: (x) => Number(Math.abs(x) === Number.POSITIVE_INFINITY),
  isFinite: (x) => Number(Number.isFinite(x)),
  not: (x) => Number(x === 0),
};

export const binaryFunctions: Readonly<Record<BinaryOp, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  pow: (a, b) => a ** b,
  maximum: Math.max,
  minimum: Math.min,
  mod: floorMod,
  floorDiv: (a, b) => Math.floor(a / b),
  atan2: Math.atan2,
  squaredDifference: (a, b) => (a - b) * (a - b),
  less: (a, b) => Number(a < b),
  lessEqual: (a, b) => Number(a <= b),
  greater: (a, b) => Number(a > b),
  greaterEqual: (a, b) => Number(a >= b),
  equal: (a, b) => Number(a === b),
  notEqual: (a, b) => Number(a !== b),
  and: (a, b) => Number(a !== 0 && b !== 0),
  or: (a, b) => Number(a !== 0 || b !== 0),
  xor: (a, b) => Number((a !== 0) !== (b !== 0)),
};

/** A number as `dtype` holds it, save that float32 stays a double. */
export const castScalar = (x: number, dtype: DType): number =>
  dtype === "float32" ? x : dtype === "bool" ? Number(x !== 0) : Math.trunc(x) | 0;
