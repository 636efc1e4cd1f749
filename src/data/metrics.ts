/** How far class shares are from each other and from balance. */
import { fail } from "../core/errors.ts";

/**
 * Counts divided by their sum.
 *
 * @throws `argument` when a count is negative or not finite, or all are zero.
 */
export function shares(counts: ArrayLike<number>): number[] {
  const values = Array.from(counts);
  const total = values.reduce((a, b) => a + b, 0);
  if (!(total > 0 && Number.isFinite(total) && values.every((c) => c >= 0)))
    fail("argument", `shares: expected counts of zero or more with a positive sum, got [${values.join(", ")}]`);
  return values.map((c) => c / total);
}

/**
 * Total variation ½ Σ |pᵢ − qᵢ| of two distributions over the same classes, in [0, 1].
 *
 * @throws `shape` when they differ in length.
 */
export function totalVariation(p: ArrayLike<number>, q: ArrayLike<number>): number {
  if (p.length !== q.length) fail("shape", `totalVariation: ${p.length} classes against ${q.length}`);
  return Array.from(p).reduce((sum, pi, i) => sum + Math.abs(pi - (q[i] as number)), 0) / 2;
}

/**
 * Fairness discrepancy ‖p̂ − 1/k‖₂ over a fixed list of k classes (Choi et al. 2020): zero at balance. A class that never occurs
 * must stand in the list as a zero, or its absence would look like balance.
 */
export function fairnessDiscrepancy(p: ArrayLike<number>): number {
  const k = p.length;
  return Math.sqrt(Array.from(p).reduce((sum, pi) => sum + (pi - 1 / k) ** 2, 0));
}
