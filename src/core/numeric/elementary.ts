/**
 * Logarithm, exponential and factorial from + − × ÷ and bits alone. The language leaves `Math.log` and its kin to the
 * machine, and a sampler that compares their values would then draw other numbers elsewhere.
 */

const double = new Float64Array(1);
const words = new Int32Array(double.buffer);
/** Which of the two words holds sign and exponent. */
const HIGH = (() => {
  double[0] = 1;
  return words[1] === 0 ? 0 : 1;
})();

/** High word of √½, the lower end of the mantissas. */
const HALF_ROOT = 0x3fe6a09e;
const EXPONENT_ONE = 0x3ff00000;
const MANTISSA_BITS = 20;
/** Lifts a subnormal number among the normal ones. */
const LIFT = 54;
const TWO_TO_LIFT = 18014398509481984;
const SMALLEST_NORMAL = 2.2250738585072014e-308;

/** ln 2 in two parts; products of the first with an exponent are exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** Natural logarithm of a positive number; of zero −∞. Error below two roundings. */
export function log(x: number): number {
  if (!(x > 0) || x === Number.POSITIVE_INFINITY) return x === 0 ? Number.NEGATIVE_INFINITY : x > 0 ? x : Number.NaN;
  const small = x < SMALLEST_NORMAL;
  double[0] = small ? x * TWO_TO_LIFT : x;
  const high = words[HIGH] as number;
  const exponent = (high - HALF_ROOT) >> MANTISSA_BITS;
  words[HIGH] = high - (exponent << MANTISSA_BITS);
  const f = (double[0] as number) - 1;
  const e = small ? exponent - LIFT : exponent;
  // log(1 + f) = 2 artanh(s), s = f/(2 + f), |s| < .172.
  const s = f / (2 + f);
  const z = s * s;
  let series = 1 / 23;
  series = series * z + 1 / 21;
  series = series * z + 1 / 19;
  series = series * z + 1 / 17;
  series = series * z + 1 / 15;
  series = series * z + 1 / 13;
  series = series * z + 1 / 11;
  series = series * z + 1 / 9;
  series = series * z + 1 / 7;
  series = series * z + 1 / 5;
  series = series * z + 1 / 3;
  return e * LN2_HIGH + (2 * s + (2 * s * z * series + e * LN2_LOW));
}

const { LOG2E: LOG2_E } = Math;
const OVERFLOW = 709.782712893384;
const UNDERFLOW = -745.1332191019412;
/** Exponents are split in two, so that neither part leaves the range. */
const power = (k: number): number => {
  words[HIGH] = EXPONENT_ONE + (k << MANTISSA_BITS);
  words[1 - HIGH] = 0;
  return double[0] as number;
};

/** Exponential. Error below two roundings. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > OVERFLOW) return Number.POSITIVE_INFINITY;
  if (x < UNDERFLOW) return 0;
  const k = Math.floor(x * LOG2_E + 0.5);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  // Taylor: |r| < .347, and .347¹⁵/15! is below a rounding.
  let series = 1 / 14;
  for (let n = 13; n >= 1; n--) series = (1 + r * series) / n;
  const half = k >> 1;
  return (1 + r * series) * power(half) * power(k - half);
}

/** ½ log 2π. */
export const HALF_LOG_2PI = 0.9189385332046727;
const EXACT_BELOW = 10;

/** log k! − (½ log 2π + (k + ½) log(k + 1) − (k + 1)): Stirling's series, and the difference itself where it is short. */
export function stirlingTail(k: number): number {
  const x = k + 1;
  if (k < EXACT_BELOW) {
    let factorial = 1;
    for (let i = 2; i <= k; i++) factorial *= i;
    return log(factorial) - (HALF_LOG_2PI + (k + 0.5) * log(x) - x);
  }
  const z = 1 / (x * x);
  return (1 / 12 - z * (1 / 360 - z / 1260)) / x;
}

/** log k!, for whole k ≥ 0. */
export const logFactorial = (k: number): number => HALF_LOG_2PI + (k + 0.5) * log(k + 1) - (k + 1) + stirlingTail(k);
