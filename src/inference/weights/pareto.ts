/**
 * The Pareto shape of importance weights: how heavy their tail is, hence how far a weighted mean can be trusted
 * (Vehtari, Simpson, Gelman, Yao & Gabry 2024). The fit is that of Zhang & Stephens 2009.
 */

import { tailAbove } from "../numeric/weight-loops.ts";

/** Above this, weighted means are unreliable at any practical sample size. */
export const UNRELIABLE_K = 0.7;

/** Fewest tail weights for a fit. */
const MIN_TAIL = 5;
/** Weak prior of the fit: so many observations at k = ½, which regularises small tails. */
const PRIOR_COUNT = 10;
const PRIOR_K = 0.5;

/** Factors multiplied before one logarithm is taken. */
const GROUP = 16;
const PRODUCT_LIMIT = 1e280;
const NEAR_ONE = 1e-6;

/** Σ log(1 − θx) of the exceedances `from` to before `to`, where the product of the factors is known. */
function logOf(product: number, sorted: Float64Array, theta: number, from: number, to: number): number {
  // One logarithm for many, unless the product leaves the range of doubles or digits of a term near one count.
  if (product > 1 / PRODUCT_LIMIT && product < PRODUCT_LIMIT && Math.abs(product - 1) > NEAR_ONE)
    return Math.log(product);
  let sum = 0;
  for (let i = from; i < to; i++) sum += Math.log1p(-theta * (sorted[i] as number));
  return sum;
}

/** k at a given θ: the mean of log(1 − θx). */
function meanLog(sorted: Float64Array, theta: number): number {
  const n = sorted.length;
  let sum = 0;
  let from = 0;
  // Four independent products at a time, so that no multiplication waits for the one before.
  for (; from + 4 * GROUP <= n; from += 4 * GROUP) {
    let p = 1;
    let q = 1;
    let r = 1;
    let s = 1;
    for (let i = from; i < from + GROUP; i++) {
      p *= 1 - theta * (sorted[i] as number);
      q *= 1 - theta * (sorted[i + GROUP] as number);
      r *= 1 - theta * (sorted[i + 2 * GROUP] as number);
      s *= 1 - theta * (sorted[i + 3 * GROUP] as number);
    }
    sum += logOf(p, sorted, theta, from, from + GROUP);
    sum += logOf(q, sorted, theta, from + GROUP, from + 2 * GROUP);
    sum += logOf(r, sorted, theta, from + 2 * GROUP, from + 3 * GROUP);
    sum += logOf(s, sorted, theta, from + 3 * GROUP, from + 4 * GROUP);
  }
  for (; from < n; from += GROUP) {
    const to = Math.min(n, from + GROUP);
    let product = 1;
    for (let i = from; i < to; i++) product *= 1 - theta * (sorted[i] as number);
    sum += logOf(product, sorted, theta, from, to);
  }
  return sum / n;
}

/**
 * Shape k of a generalised Pareto distribution fitted to exceedances (all positive): k̂ by Zhang & Stephens' quasi-Bayes mean.
 *
 * @param sorted - Exceedances in increasing order.
 */
export function paretoShape(sorted: Float64Array): number {
  const n = sorted.length;
  const quartile = sorted[Math.max(0, Math.floor(n / 4 + 0.5) - 1)] as number;
  const largest = sorted[n - 1] as number;
  const m = 30 + Math.floor(Math.sqrt(n));
  const thetas = new Float64Array(m);
  const likelihoods = new Float64Array(m);
  for (let j = 0; j < m; j++) {
    const theta = 1 / largest + (1 - Math.sqrt(m / (j + 0.5))) / (3 * quartile);
    const k = meanLog(sorted, theta);
    thetas[j] = theta;
    // Exponential where θ is 0: the limit of −θ/k is 1 over the mean.
    const rate = theta === 0 ? n / sorted.reduce((a, b) => a + b) : -theta / k;
    likelihoods[j] = n * (Math.log(rate) - k - 1);
  }
  let top = Number.NEGATIVE_INFINITY;
  for (const l of likelihoods) if (l > top) top = l;
  let total = 0;
  let theta = 0;
  for (let j = 0; j < m; j++) {
    const w = Math.exp((likelihoods[j] as number) - top);
    total += w;
    theta += w * (thetas[j] as number);
  }
  const k = meanLog(sorted, theta / total);
  return (n * k + PRIOR_COUNT * PRIOR_K) / (n + PRIOR_COUNT);
}

/** The `count` largest values, in no order, by partitions around a pivot: linear in the number of values. Reorders `values`. */
function largest(values: Float64Array, count: number): Float64Array {
  const first = values.length - count;
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = values[(low + high) >>> 1] as number;
    let [i, j] = [low, high];
    while (i <= j) {
      while ((values[i] as number) < pivot) i++;
      while ((values[j] as number) > pivot) j--;
      if (i > j) break;
      const kept = values[i] as number;
      values[i++] = values[j] as number;
      values[j--] = kept;
    }
    // Between j and i everything equals the pivot.
    if (first <= j) high = j;
    else if (first >= i) low = i;
    else break;
  }
  return values.slice(first);
}

/** Log-weights in the sample that suggests where the tail begins; the suggested tail is about this factor, and some spare sample points, too long. */
const SAMPLE = 4096;
const TAIL_FACTOR = 2;
const SAMPLE_SPARE = 16;

/**
 * Some of the values, the `count` largest among them, in no order: those above a cut that a sample suggests. Where the sample is
 * wrong, all of them.
 */
function candidates(x: ArrayLike<number>, count: number, find: typeof tailAbove): Float64Array {
  const n = x.length;
  const wanted = TAIL_FACTOR * count + Math.ceil((SAMPLE_SPARE * n) / SAMPLE);
  if (2 * wanted > n) return Float64Array.from(x);
  const sample = new Float64Array(SAMPLE);
  for (let i = 0; i < SAMPLE; i++) sample[i] = x[Math.floor((i * n) / SAMPLE)] as number;
  const cut = largest(sample, Math.ceil((SAMPLE * wanted) / n)).reduce((a, b) => (b < a ? b : a));
  if (cut === Number.NEGATIVE_INFINITY) return Float64Array.from(x);
  const found = new Float64Array(2 * wanted);
  let size = 0;
  find(x, cut, (value) => {
    if (size < found.length) found[size] = value;
    return size++ < found.length;
  });
  return size < count || size > found.length ? Float64Array.from(x) : found.subarray(0, size);
}

/**
 * Pareto k of log-weights, from the min(n/5, 3√n) largest.
 *
 * @remarks k < .5: finite variance; .5 to .7: usable; above .7: unreliable. Equal weights give −∞: they have no tail. With fewer than
 * five distinct tail weights there is no estimate: +∞.
 * @param find - Finds the log-weights that are not below a number.
 */
export function paretoK(logWeights: ArrayLike<number>, find: typeof tailAbove = tailAbove): number {
  const n = logWeights.length;
  const tail = Math.min(Math.floor(n / 5), Math.ceil(3 * Math.sqrt(n)));
  if (tail < MIN_TAIL) return Number.POSITIVE_INFINITY;
  let same = 1;
  while (same < n && logWeights[same] === logWeights[0]) same++;
  if (same === n) return Number.NEGATIVE_INFINITY;
  const top = largest(candidates(logWeights, tail + 1, find), tail + 1).sort();
  const max = top[tail] as number;
  const cut = Math.exp((top[0] as number) - max);
  const exceedances = top
    .subarray(1)
    .map((l) => Math.exp(l - max) - cut)
    .filter((x) => x > 0);
  return exceedances.length < MIN_TAIL ? Number.POSITIVE_INFINITY : paretoShape(exceedances);
}
