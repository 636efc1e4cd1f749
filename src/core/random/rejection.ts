/**
 * Draws by acceptance and rejection: gamma, Poisson, binomial. Element i depends on (key, offset + i) and its own parameters
 * only: the first proposals are drawn in bulk, and an element that is rejected goes on in a stream of its own.
 */
import { fail } from "../errors.ts";
import { fold, type Key } from "../key.ts";
import { exp, log, logFactorial, stirlingTail } from "../numeric/elementary.ts";
import { exponential, normal, uniform } from "./draws.ts";
import { type ElementStreams, elementStreams } from "./streams.ts";

/** Parameters of a bulk draw: one for each element, or one for all. */
type Parameters = ArrayLike<number>;

/** The parameter of element i, by a function that has checked their number. */
function parameterOf(what: string, name: string, values: Parameters, n: number, valid: (x: number) => boolean) {
  if (values.length !== n && values.length !== 1)
    fail("argument", `${what}: expected 1 or ${n} values of ${name}, got ${values.length}`);
  for (let i = 0; i < values.length; i++) {
    if (!valid(values[i] as number)) fail("argument", `${what}: ${name}[${i}] is ${values[i]}`);
  }
  const step = values.length === 1 ? 0 : 1;
  return (i: number) => values[i * step] as number;
}

const positive = (x: number) => x > 0 && x < Number.POSITIVE_INFINITY;
const notNegative = (x: number) => x >= 0 && x < Number.POSITIVE_INFINITY;

/** Marsaglia & Tsang's (2000) squeeze: accepts most proposals without a logarithm. */
const SQUEEZE = 0.0331;

/** v of Marsaglia & Tsang's proposal x, if it is accepted with u, else 0. */
function accepted(d: number, c: number, x: number, u: number): number {
  const root = 1 + c * x;
  if (root <= 0) return 0;
  const v = root * root * root;
  const square = x * x;
  if (u < 1 - SQUEEZE * square * square) return v;
  return log(u) < 0.5 * square + d - d * v + d * log(v) ? v : 0;
}

/**
 * Gamma draws g = d·v of shape max(α, α + 1 if α < 1), and the exponential e that brings a small shape back: the draw of
 * shape α is g·exp(−e/α) (Marsaglia & Tsang 2000).
 */
function gammaParts(
  what: string,
  key: Key,
  alpha: Parameters,
  n: number,
  offset: number,
  put: (i: number, g: number, boost: number) => void,
): void {
  const shape = parameterOf(what, "concentration", alpha, n, positive);
  const proposals = normal(fold(key, "proposal"), n, offset);
  const thresholds = uniform(fold(key, "threshold"), n, offset);
  let small = false;
  for (let i = 0; i < alpha.length; i++) small ||= (alpha[i] as number) < 1;
  const boosts = small ? exponential(fold(key, "boost"), n, offset) : undefined;
  const more = elementStreams(fold(key, "more"));
  for (let i = 0; i < n; i++) {
    const a = shape(i);
    const d = (a < 1 ? a + 1 : a) - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    let v = accepted(d, c, proposals[i] as number, thresholds[i] as number);
    if (v === 0) {
      more.seek(offset + i);
      do v = accepted(d, c, more.normal(), more.uniform());
      while (v === 0);
    }
    put(i, d * v, a < 1 ? (boosts?.[i] as number) / a : 0);
  }
}

/**
 * Standard gamma draws (rate 1) of concentration α > 0.
 *
 * @param alpha one for each element, or one for all.
 * @remarks For α below .1 draws may underflow to zero: {@link logGammaDraws} does not.
 * @throws `argument` for a concentration that is not positive and finite.
 */
export function gamma(key: Key, alpha: Parameters, n: number, offset = 0): Float32Array {
  const out = new Float32Array(n);
  gammaParts("gamma", key, alpha, n, offset, (i, g, boost) => {
    out[i] = boost === 0 ? g : g * exp(-boost);
  });
  return out;
}

/** Logarithms of the draws of {@link gamma}. */
export function logGammaDraws(key: Key, alpha: Parameters, n: number, offset = 0): Float32Array {
  const out = new Float32Array(n);
  gammaParts("logGammaDraws", key, alpha, n, offset, (i, g, boost) => {
    out[i] = log(g) - boost;
  });
  return out;
}

/** Means up to which the CDF is inverted by summing term by term. */
const INVERSION_BELOW = 10;
/** Uniform with 53 bits, as sums in double precision are compared with it. */
const uniform53 = (source: ElementStreams): number =>
  (Math.floor(source.uniform() * 2 ** 21) + source.uniform()) * 2 ** -21;

/** Inversion by sequential search: the smallest k with Σ_{j≤k} p_j > u, from p₀ and the ratios p_k/p_{k−1}. */
function invertCdf(u: number, first: number, ratio: (k: number) => number, last: number): number {
  let k = 0;
  let p = first;
  let sum = p;
  // Sums that stop growing before they reach u have met the end of double precision.
  while (u > sum && k < last && p > 0) {
    k++;
    p *= ratio(k);
    sum += p;
  }
  return k;
}

/** Constants of transformed rejection (Hörmann 1993): the fast region, in which a proposal needs no logarithm. */
const FAST = 0.07;
const NARROW = 0.013;

/** PTRS (Hörmann 1993), for rates of ten and more. */
function poissonByRejection(rate: number, source: ElementStreams): number {
  const logRate = log(rate);
  const b = 0.931 + 2.53 * Math.sqrt(rate);
  const a = -0.059 + 0.02483 * b;
  const inverseAlpha = 1.1239 + 1.1328 / (b - 3.4);
  const limit = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const u = source.uniform() - 0.5;
    const v = source.uniform();
    const us = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / us + b) * u + rate + 0.43);
    if (k < 0) continue;
    if (us >= FAST && v <= limit) return k;
    if (us < NARROW && v > us) continue;
    if (log((v * inverseAlpha) / (a / (us * us) + b)) <= k * logRate - rate - logFactorial(k)) return k;
  }
}

/**
 * Poisson draws.
 *
 * @param rate one for each element, or one for all; 0 gives 0.
 * @returns whole numbers; above 2²⁴ they are rounded to float32.
 * @throws `argument` for a rate that is negative or not finite.
 */
export function poisson(key: Key, rate: Parameters, n: number, offset = 0): Float32Array {
  const rateOf = parameterOf("poisson", "rate", rate, n, notNegative);
  const source = elementStreams(fold(key, "poisson"));
  return Float32Array.from({ length: n }, (_, i) => {
    const r = rateOf(i);
    source.seek(offset + i);
    if (r >= INVERSION_BELOW) return poissonByRejection(r, source);
    return invertCdf(uniform53(source), exp(-r), (k) => r / k, Number.POSITIVE_INFINITY);
  });
}

/** BTRS (Hörmann 1993), for p ≤ ½ and np ≥ 10. */
function binomialByRejection(n: number, p: number, source: ElementStreams): number {
  const spread = Math.sqrt(n * p * (1 - p));
  const b = 1.15 + 2.53 * spread;
  const a = -0.0873 + 0.0248 * b + 0.01 * p;
  const centre = n * p + 0.5;
  const limit = 0.92 - 4.2 / b;
  const alpha = (2.83 + 5.1 / b) * spread;
  const odds = p / (1 - p);
  const m = Math.floor((n + 1) * p);
  for (;;) {
    const u = source.uniform() - 0.5;
    const v = source.uniform();
    const us = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / us + b) * u + centre);
    if (k < 0 || k > n) continue;
    if (us >= FAST && v <= limit) return k;
    const ratio =
      (m + 0.5) * log((m + 1) / (odds * (n - m + 1))) +
      (n + 1) * log((n - m + 1) / (n - k + 1)) +
      (k + 0.5) * log((odds * (n - k + 1)) / (k + 1)) +
      stirlingTail(m) +
      stirlingTail(n - m) -
      stirlingTail(k) -
      stirlingTail(n - k);
    if (log((v * alpha) / (a / (us * us) + b)) <= ratio) return k;
  }
}

/** Below it four terms of the series of log(1 − p) are exact to double precision, and 1 − p is not. */
const RARE = 1e-4;
/** (1 − p)ⁿ. */
const probabilityOfZero = (n: number, p: number) =>
  exp(n * (p < RARE ? -p * (1 + p * (1 / 2 + p * (1 / 3 + p / 4))) : log(1 - p)));

/**
 * Binomial draws: successes among `count` trials of probability `prob`.
 *
 * @param count whole numbers ≥ 0; one for each element, or one for all.
 * @param prob in [0, 1]; one for each element, or one for all.
 * @throws `argument` for parameters outside these.
 */
export function binomial(key: Key, count: Parameters, prob: Parameters, n: number, offset = 0): Float32Array {
  const countOf = parameterOf("binomial", "count", count, n, (x) => Number.isSafeInteger(x) && x >= 0);
  const probOf = parameterOf("binomial", "prob", prob, n, (x) => x >= 0 && x <= 1);
  const source = elementStreams(fold(key, "binomial"));
  return Float32Array.from({ length: n }, (_, i) => {
    const [trials, success] = [countOf(i), probOf(i)];
    const p = Math.min(success, 1 - success);
    source.seek(offset + i);
    let k = 0;
    if (trials * p >= INVERSION_BELOW) k = binomialByRejection(trials, p, source);
    else {
      const odds = p / (1 - p);
      k = invertCdf(uniform53(source), probabilityOfZero(trials, p), (j) => (odds * (trials - j + 1)) / j, trials);
    }
    return success > 0.5 ? trials - k : k;
  });
}
