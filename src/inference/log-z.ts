/** log Z of a tilt as a sandwich: both sides are valid in expectation for any number of draws, from base draws alone. */
import { fail } from "../core/errors.ts";
import type { Bound, Sandwich } from "./bound.ts";

/** Batches from which standard errors are taken. */
const BATCHES = 32;

function logMeanExp(logWeights: ArrayLike<number>, from: number, to: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) max = Math.max(max, logWeights[i] as number);
  if (max === Number.NEGATIVE_INFINITY) return max;
  let sum = 0;
  for (let i = from; i < to; i++) sum += Math.exp((logWeights[i] as number) - max);
  return max + Math.log(sum / (to - from));
}

/**
 * Bounds log Z, Z = E_p[w], from log-weights log w = −E(x), x ~ p, independent.
 *
 * - lower: log mean w, since E log Ẑ ≤ log Z (Jensen);
 * - upper: b − 1 + e^{−b} Ẑ, which is at least log Z for every b (log t ≤ t − 1) and unbiased for that bound; b is the log mean
 *   of the *other* half of the draws, and the two halves are averaged.
 *
 * The gap is about Var(w)/(nZ²): wide means unreliable.
 *
 * @throws `argument` with fewer than 64 weights.
 */
export function logZ<Of extends string = "log Z">(logWeights: ArrayLike<number>, of: Of = "log Z" as Of): Sandwich<Of> {
  const n = logWeights.length;
  if (n < 2 * BATCHES) fail("argument", `logZ: at least ${2 * BATCHES} weights are needed, got ${n}`);
  const half = Math.floor(n / 2);
  const first = logMeanExp(logWeights, 0, half);
  const second = logMeanExp(logWeights, half, n);
  const tangent = (b: number, logMean: number) => b - 1 + Math.exp(logMean - b);
  const upper = (tangent(first, second) + tangent(second, first)) / 2;
  const value = logMeanExp(logWeights, 0, n);
  // Relative standard error of the mean weight, which is that of its log; batch means keep it honest under heavy tails.
  const size = Math.floor(n / BATCHES);
  const means = Array.from({ length: BATCHES }, (_, i) =>
    Math.exp(logMeanExp(logWeights, i * size, (i + 1) * size) - value),
  );
  const average = means.reduce((s, x) => s + x, 0) / BATCHES;
  const variance = means.reduce((s, x) => s + (x - average) ** 2, 0) / (BATCHES - 1);
  const standardError = Math.sqrt(variance / BATCHES);
  const bound = (v: number, side: Bound["side"]): Bound<Of> => ({ value: v, standardError, side, of });
  return { lower: bound(value, "lower"), upper: bound(Math.max(upper, value), "upper") };
}
