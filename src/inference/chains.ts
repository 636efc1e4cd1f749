/**
 * Diagnostics of Markov chains: rank-normalised split R-hat, bulk and tail effective sample size, Monte Carlo standard error
 * (Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021). One scalar at a time: `draws[chain][step]`.
 */

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

/** Ranks over all chains (ties share their mean rank), mapped to normal scores by z = Φ⁻¹((r − 3/8)/(S + 1/4)). */
export function rankNormalize(chains: Chains): Float64Array[] {
  const length = chains[0]?.length ?? 0;
  const all = new Float64Array(chains.length * length);
  chains.forEach((chain, c) => {
    all.set(chain, c * length);
  });
  const order = Uint32Array.from(all, (_, i) => i).sort((a, b) => (all[a] as number) - (all[b] as number));
  const scores = new Float64Array(all.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to < order.length && all[order[to] as number] === all[order[from] as number]) to++;
    const rank = (from + 1 + to) / 2;
    const score = normalQuantile((rank - 3 / 8) / (all.length + 1 / 4));
    for (let i = from; i < to; i++) scores[order[i] as number] = score;
    from = to;
  }
  return chains.map((_, c) => scores.subarray(c * length, (c + 1) * length));
}

const mean = (x: Float64Array): number => {
  let sum = 0;
  for (const v of x) sum += v;
  return sum / x.length;
};

/** Sample variance, with n − 1. */
const variance = (x: Float64Array): number => {
  const m = mean(x);
  let sum = 0;
  for (const v of x) sum += (v - m) ** 2;
  return sum / (x.length - 1);
};

/** √(((n − 1)/n·W + B/n)/W) of chains as they are. Chains that do not move give NaN, or ∞ when they stand apart. */
function basicRhat(chains: Chains): number {
  const n = chains[0]?.length ?? 0;
  if (n < 2 || chains.length < 2) return Number.NaN;
  const means = Float64Array.from(chains, mean);
  const within = mean(Float64Array.from(chains, variance));
  const between = variance(means);
  return Math.sqrt((n - 1) / n + between / within);
}

const pooledMedian = (chains: Chains): number => quantile(chains, 0.5);

function quantile(chains: Chains, p: number): number {
  const length = chains[0]?.length ?? 0;
  const all = new Float64Array(chains.length * length);
  chains.forEach((chain, c) => {
    all.set(chain, c * length);
  });
  all.sort();
  const at = p * (all.length - 1);
  const low = Math.floor(at);
  return (
    (all[low] as number) + (at - low) * ((all[Math.min(low + 1, all.length - 1)] as number) - (all[low] as number))
  );
}

/** The larger of the rank-normalised split R-hat and that of the folded draws |x − median|: location and scale both. */
export function rhat(chains: Chains): number {
  const halves = splitChains(chains);
  const median = pooledMedian(halves);
  const folded = halves.map((half) => half.map((x) => Math.abs(x - median)));
  return Math.max(basicRhat(rankNormalize(halves)), basicRhat(rankNormalize(folded)));
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
  const centred = chains.map((chain, c) => chain.map((x) => x - (means[c] as number)));
  /** Mean over chains of the autocovariance at a lag, with 1/n. */
  const autocovariance = (lag: number): number => {
    let sum = 0;
    for (const chain of centred)
      for (let t = 0; t + lag < n; t++) sum += (chain[t] as number) * (chain[t + lag] as number);
    return sum / (m * n);
  };
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
export function tailEss(chains: Chains): number {
  const halves = splitChains(chains);
  const at = (p: number) => {
    const q = quantile(halves, p);
    return meanEss(halves.map((half) => half.map((x) => (x <= q ? 1 : 0))));
  };
  return Math.min(at(0.05), at(0.95));
}

/** Monte Carlo standard error of the mean: sd/√ess. */
export function meanMcse(chains: Chains): number {
  const halves = splitChains(chains);
  const length = halves[0]?.length ?? 0;
  const all = new Float64Array(halves.length * length);
  halves.forEach((half, c) => {
    all.set(half, c * length);
  });
  return Math.sqrt(variance(all) / meanEss(halves));
}

/** Φ⁻¹(p) in double precision, relative error below 1e-9 (Acklam 2003): scores of ranks need no more. */
function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  const polynomial = (c: readonly number[], x: number) => c.reduce((sum, k) => sum * x + k, 0);
  if (p < TAIL) {
    const q = Math.sqrt(-2 * Math.log(p));
    return polynomial(TAIL_TOP, q) / polynomial(TAIL_BOTTOM, q);
  }
  const q = p - 0.5;
  return (q * polynomial(CENTRE_TOP, q * q)) / polynomial(CENTRE_BOTTOM, q * q);
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
