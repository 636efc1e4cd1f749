/** log Z of a tilt as a sandwich: each side is valid in expectation for any number of draws. */
import { fail } from "../../core/errors.ts";
import { logAddExp, logMeanExp, logSumExp } from "../../core/numeric/log-sum-exp.ts";
import type { Bound, Sandwich } from "./bound.ts";

/** Batches for the standard errors. */
const BATCHES = 32;
/** Fewest weights for {@link logZ}. */
export const FEWEST_FOR_BOUNDS = 2 * BATCHES;

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
  if (n < FEWEST_FOR_BOUNDS) fail("argument", `logZ: at least ${FEWEST_FOR_BOUNDS} weights are needed, got ${n}`);
  const half = Math.floor(n / 2);
  const first = logMeanExp(logWeights, { to: half });
  const second = logMeanExp(logWeights, { from: half });
  const tangent = (b: number, logMean: number) => b - 1 + Math.exp(logMean - b);
  const upper = (tangent(first, second) + tangent(second, first)) / 2;
  const value = logMeanExp(logWeights);
  // Relative standard error of the mean weight, which is that of its log; batch means keep it reliable under heavy tails.
  const size = Math.floor(n / BATCHES);
  const means = Array.from({ length: BATCHES }, (_, i) =>
    Math.exp(logMeanExp(logWeights, { from: i * size, to: (i + 1) * size }) - value),
  );
  const average = means.reduce((s, x) => s + x, 0) / BATCHES;
  const variance = means.reduce((s, x) => s + (x - average) ** 2, 0) / (BATCHES - 1);
  const standardError = Math.sqrt(variance / BATCHES);
  const bound = (v: number, side: Bound["side"]): Bound<Of> => ({ value: v, standardError, side, of });
  return { lower: bound(value, "lower"), upper: bound(Math.max(upper, value), "upper") };
}

/**
 * Bounds log Z from draws of both: log-weights log w = −E(x) of x ~ p, and those of x* ~ p_E, draws of the tilted model itself.
 *
 * - lower: log mean w over base draws, as {@link logZ};
 * - upper: log((w(x*) + Σ w)/K), K − 1 base draws and one draw of the tilted model, averaged over all x* (Grosse, Ghahramani & Adams 2015).
 *
 * Where base draws miss the mass of the tilted model, the upper side of {@link logZ} does not show it; this one does. It is valid only if x* are
 * draws of p_E: for a chain, once it has converged. Each x* counts as one draw, so the standard error of draws from few chains is
 * too small.
 *
 * @throws `argument` with fewer than 64 base draws, or no draw of the tilted model.
 */
export function logZWithDraws<Of extends string = "log Z">(
  logWeights: ArrayLike<number>,
  target: ArrayLike<number>,
  of: Of = "log Z" as Of,
): Sandwich<Of> {
  const { lower } = logZ(logWeights, of);
  if (target.length === 0) fail("argument", "logZWithDraws: no draw of the tilted model was given");
  const groups = Math.min(BATCHES, target.length);
  const size = Math.floor(logWeights.length / groups);
  const bounds = Array.from({ length: groups }, (_, g) => {
    const rest = logSumExp(logWeights, { from: g * size, to: (g + 1) * size });
    let [sum, count] = [0, 0];
    for (let j = g; j < target.length; j += groups) {
      sum += logAddExp(target[j] as number, rest) - Math.log(size + 1);
      count++;
    }
    return sum / count;
  });
  const value = bounds.reduce((s, b) => s + b, 0) / groups;
  const variance = bounds.reduce((s, b) => s + (b - value) ** 2, 0) / Math.max(1, groups - 1);
  const standardError = groups > 1 ? Math.sqrt(variance / groups) : Number.POSITIVE_INFINITY;
  return { lower, upper: { value, standardError, side: "upper", of } };
}
