/**
 * Diagnostics of Markov chains: rank-normalised split R-hat, bulk and tail effective sample size, Monte Carlo standard error
 * (Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021). One scalar at a time: `draws[chain][step]`.
 */
import { argsort } from "../numeric/argsort.ts";
import { autocovariances } from "../numeric/autocovariance.ts";

/** Draws of one scalar, by chain; all chains equally long. */
export type Chains = readonly Float64Array[];

/** Above this, chains have not mixed. */
export const MIXED_RHAT = 1.01;

/** Each chain cut into halves, so that a drift within a chain shows; an odd middle draw is dropped. */
export function splitChains(chains: Chains): Float64Array[] {
  const length = chains[0]?.length ?? 0;
  const half = Math.floor(length / 2);
  return chains.flatMap((chain) => [chain.subarray(0, half), chain.subarray(length - half)]);
}

/** All draws of equally long chains, one chain after the other. */
function pool(chains: Chains): Float64Array {
  const length = chains[0]?.length ?? 0;
  const all = new Float64Array(chains.length * length);
  chains.forEach((chain, c) => {
    all.set(chain, c * length);
  });
  return all;
}

/** One array split into chains of the same length as the given ones. */
function splitLike(all: Float64Array, chains: Chains): Float64Array[] {
  const length = chains[0]?.length ?? 0;
  return chains.map((_, c) => all.subarray(c * length, (c + 1) * length));
}

/** Draws with their argsort. */
interface Ordered {
  readonly chains: Chains;
  readonly all: Float64Array;
  readonly order: Uint32Array;
}

function ordered(chains: Chains): Ordered {
  const all = pool(chains);
  return { chains, all, order: argsort(all) };
}

/** Ranks over all chains (ties share their mean rank), mapped to normal scores by z = Φ⁻¹((r − 3/8)/(S + 1/4)). */
export const rankNormalize = (chains: Chains): Float64Array[] => normalScores(ordered(chains));

const scoreOf = (rank: number, count: number): number => normalQuantile((rank - 3 / 8) / (count + 1 / 4));

/** Scores of the ranks 1 … count. The last ones are cached: all scalars of a run have as many draws. */
let lastScores = new Float64Array(0);
function scoresOf(count: number): Float64Array {
  if (lastScores.length !== count) lastScores = Float64Array.from({ length: count }, (_, i) => scoreOf(i + 1, count));
  return lastScores;
}

function normalScores({ chains, all, order }: Ordered): Float64Array[] {
  const scores = new Float64Array(all.length);
  const ofRank = scoresOf(all.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && all[order[to] as number] === all[order[from] as number]) to++;
    const score = to === from + 1 ? (ofRank[from] as number) : scoreOf((from + 1 + to) / 2, all.length);
    for (let i = from; i < to; i++) scores[order[i] as number] = score;
    from = to;
  }
  return splitLike(scores, chains);
}

const mean = (x: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] as number;
  return sum / x.length;
};

/** Sample variance, with n − 1. */
const variance = (x: Float64Array): number => {
  const m = mean(x);
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += ((x[i] as number) - m) ** 2;
  return sum / (x.length - 1);
};

const subtract = (x: Float64Array, m: number): Float64Array => {
  const out = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) out[i] = (x[i] as number) - m;
  return out;
};

/** √(((n − 1)/n·W + B/n)/W) of unsplit chains. Constant chains give NaN, or ∞ where they differ. */
function basicRhat(chains: Chains): number {
  const n = chains[0]?.length ?? 0;
  if (n < 2 || chains.length < 2) return Number.NaN;
  const means = Float64Array.from(chains, mean);
  const within = mean(Float64Array.from(chains, variance));
  const between = variance(means);
  return Math.sqrt((n - 1) / n + between / within);
}

function quantile({ all, order }: Ordered, p: number): number {
  const sorted = (i: number) => all[order[Math.min(i, all.length - 1)] as number] as number;
  const at = p * (all.length - 1);
  const low = Math.floor(at);
  return sorted(low) + (at - low) * (sorted(low + 1) - sorted(low));
}

/** The larger of the rank-normalised split R-hat and that of the folded draws |x − median|: it detects differences in location and in scale. */
export function rhat(chains: Chains): number {
  const halves = ordered(splitChains(chains));
  return rhatOf(halves, normalScores(halves));
}

function rhatOf(halves: Ordered, scores: Chains): number {
  return Math.max(basicRhat(scores), basicRhat(normalScores(folded(halves, quantile(halves, 0.5)))));
}

/** Distances |x − median|: they ascend away from the median on either side, so two orders are merged and nothing is sorted again. */
function folded({ chains, all, order }: Ordered, median: number): Ordered {
  const distances = new Float64Array(all.length);
  for (let i = 0; i < all.length; i++) distances[i] = Math.abs((all[i] as number) - median);
  const halves = splitLike(distances, chains);
  // NaN has no order that could be merged.
  if (!((distances[order[order.length - 1] as number] as number) >= 0)) return ordered(halves);
  let above = 0;
  while (above < order.length && (all[order[above] as number] as number) < median) above++;
  const merged = new Uint32Array(order.length);
  for (let i = 0, below = above - 1; i < merged.length; i++) {
    const [down, up] = [order[below] as number, order[above] as number];
    const left = above >= order.length || (below >= 0 && (distances[down] as number) <= (distances[up] as number));
    merged[i] = left ? down : up;
    if (left) below--;
    else above++;
  }
  return { chains: halves, all: distances, order: merged };
}

/**
 * Effective sample size of the mean, over all chains: S/τ with τ = −1 + 2Σ(ρ₂ₖ + ρ₂ₖ₊₁), pairs summed while positive and made
 * monotone (Geyer 1992), autocorrelations combined over chains.
 */
export function meanEss(chains: Chains): number {
  const m = chains.length;
  const n = chains[0]?.length ?? 0;
  if (n < 4) return Number.NaN;
  const means = chains.map(mean);
  const centred = chains.map((chain, c) => subtract(chain, means[c] as number));
  /** Mean over chains of the autocovariance at a lag, with 1/n. */
  const sums = autocovariances(centred);
  const autocovariance = (lag: number): number => sums(lag) / (m * n);
  const zero = autocovariance(0);
  const within = (zero * n) / (n - 1);
  const total = zero + (m > 1 ? variance(Float64Array.from(means)) : 0);
  if (!(total > 0)) return Number.NaN;
  const rho = (lag: number): number => 1 - (within - (autocovariance(lag) * n) / (n - 1)) / total;
  // Geyer's pairs of lags, (0, 1), (2, 3), …: positive for a reversible chain, and decreasing.
  let tau = 0;
  let previous = Number.POSITIVE_INFINITY;
  for (let lag = 0; lag + 1 < n; lag += 2) {
    const pair = (lag === 0 ? 1 : rho(lag)) + rho(lag + 1);
    if (!(pair > 0)) break;
    previous = Math.min(previous, pair);
    tau += 2 * previous;
  }
  const size = m * n;
  // Antithetic chains can do better than independent draws, but no estimate should promise more than S log₁₀ S.
  return Math.min(size / Math.max(tau - 1, 1 / Math.log10(size)), size * Math.log10(size));
}

/** Effective sample size for the centre: that of the rank-normalised split chains. */
export const bulkEss = (chains: Chains): number => meanEss(rankNormalize(splitChains(chains)));

/** Effective sample size for the tails: the lesser of those for the 5 % and 95 % quantiles. */
export const tailEss = (chains: Chains): number => tailEssOf(ordered(splitChains(chains)));

function tailEssOf(halves: Ordered): number {
  const at = (p: number) => {
    const q = quantile(halves, p);
    const within = new Float64Array(halves.all.length);
    for (let i = 0; i < within.length; i++) within[i] = (halves.all[i] as number) <= q ? 1 : 0;
    return meanEss(splitLike(within, halves.chains));
  };
  return Math.min(at(0.05), at(0.95));
}

/** Monte Carlo standard error of the mean: sd/√ess. */
export function meanMcse(chains: Chains): number {
  const halves = splitChains(chains);
  return Math.sqrt(variance(pool(halves)) / meanEss(halves));
}

/** Diagnostics of one scalar. */
export interface ScalarDiagnostics {
  readonly rhat: number;
  readonly bulkEss: number;
  readonly tailEss: number;
  readonly mcse: number;
  readonly mean: number;
}

/** All diagnostics of one scalar; its draws are sorted once. */
export function diagnoseChains(chains: Chains): ScalarDiagnostics {
  const halves = ordered(splitChains(chains));
  const scores = normalScores(halves);
  return {
    rhat: rhatOf(halves, scores),
    bulkEss: meanEss(scores),
    tailEss: tailEssOf(halves),
    mcse: meanMcse(chains),
    mean: mean(pool(chains)),
  };
}

/** Φ⁻¹(p) in double precision, relative error below 1e-9 (Acklam 2003): enough for scores of ranks. */
function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p < TAIL) {
    const q = Math.sqrt(-2 * Math.log(p));
    return polynomial(TAIL_TOP, q) / polynomial(TAIL_BOTTOM, q);
  }
  const q = p - 0.5;
  return (q * polynomial(CENTRE_TOP, q * q)) / polynomial(CENTRE_BOTTOM, q * q);
}

/** Horner's rule, highest power first. */
function polynomial(c: readonly number[], x: number): number {
  let sum = 0;
  for (const k of c) sum = sum * x + k;
  return sum;
}
const TAIL = 0.02425;
const CENTRE_TOP = [
  -3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.38357751867269e2, -3.066479806614716e1,
  2.506628277459239,
];
const CENTRE_BOTTOM = [
  -5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1, -1.328068155288572e1, 1,
];
const TAIL_TOP = [
  -7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783,
];
const TAIL_BOTTOM = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1];
