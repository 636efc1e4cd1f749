/** Importance weights: their sums, and diagnostics such as the effective sample size. Always from logarithms, in double precision. */
import type { Monoid } from "fp-ts/lib/Monoid.js";
import { beginExponentialSums, exponentialSums, largestOf, type tailAbove } from "../numeric/weight-loops.ts";

/** Sums over log-weights, relative to their maximum: enough for evidence and effective sample size. */
export interface WeightSums {
  readonly count: number;
  /** Largest log-weight; −∞ for none. */
  readonly max: number;
  /** Σ exp(log w − max). */
  readonly sum: number;
  /** Σ exp(2(log w − max)). */
  readonly squares: number;
}

/** Sums of parts merge into sums of the whole, so weights can be processed in chunks. */
export const weightSums: Monoid<WeightSums> = {
  empty: { count: 0, max: Number.NEGATIVE_INFINITY, sum: 0, squares: 0 },
  concat(a, b) {
    const max = Math.max(a.max, b.max);
    // With no weights the maximum is −∞, and there is nothing to rescale.
    const shift = (m: number) => (m === Number.NEGATIVE_INFINITY ? 0 : Math.exp(m - max));
    const [s, t] = [shift(a.max), shift(b.max)];
    return {
      count: a.count + b.count,
      max,
      sum: a.sum * s + b.sum * t,
      squares: a.squares * s * s + b.squares * t * t,
    };
  },
};

/** Sums over one batch of log-weights. */
export const sumWeights = (logWeights: ArrayLike<number>): WeightSums => beginSums(logWeights).finish();

/** The same in two steps: between them the thread pool may compute. Log-weights must not change until the second. */
export function beginSums(logWeights: ArrayLike<number>): {
  readonly finish: () => WeightSums;
  readonly tailAbove: typeof tailAbove;
} {
  const { max, finish, tailAbove: search } = beginExponentialSums(logWeights);
  return { finish: () => ({ count: logWeights.length, max, ...finish() }), tailAbove: search };
}

/** Diagnostics of a set of weights. */
export interface WeightDiagnostics {
  /** (Σw)²/Σw²: the number of unweighted draws that would estimate as well. */
  readonly ess: number;
  /** ess/n. */
  readonly essRatio: number;
  /** Share of all weight that the heaviest draw holds. */
  readonly largestWeight: number;
  /** log of the mean weight, an estimate of log Z from below in expectation. */
  readonly logMean: number;
  /** Standard error of `logMean`, by the delta method: √((n/ess − 1)/n). */
  readonly standardError: number;
}

/** Diagnostics from sums. With no positive weight, ess is 0 and the evidence −∞. */
export function diagnose({ count, max, sum, squares }: WeightSums): WeightDiagnostics {
  if (sum === 0) {
    return {
      ess: 0,
      essRatio: 0,
      largestWeight: Number.NaN,
      logMean: Number.NEGATIVE_INFINITY,
      standardError: Number.NaN,
    };
  }
  const ess = (sum * sum) / squares;
  return {
    ess,
    essRatio: ess / count,
    largestWeight: 1 / sum,
    logMean: max + Math.log(sum / count),
    standardError: Math.sqrt(Math.max(0, count / ess - 1) / count),
  };
}

/** Weights that sum to 1. */
export function normalizeWeights(logWeights: ArrayLike<number>): Float64Array {
  const weights = new Float64Array(logWeights.length);
  const { sum } = exponentialSums(logWeights, largestOf(logWeights), (part, from) => weights.set(part, from));
  const factor = 1 / sum;
  for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] as number) * factor;
  return weights;
}
