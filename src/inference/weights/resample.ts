/** Resampling: from weighted draws to unweighted ones. Every scheme is unbiased: draw i is expected m·wᵢ times. */
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { permutation } from "../../core/random/discrete.ts";
import { uniform } from "../../core/random/draws.ts";

/**
 * - `multinomial`: independent draws.
 * - `stratified`: one in each of m equal strata of the cumulative weight: never noisier than multinomial.
 * - `systematic`: one offset for all strata, so that draw i comes ⌊m·wᵢ⌋ or ⌈m·wᵢ⌉ times. Its noise depends on the order of the
 *   draws: for draws in random order it is about that of `stratified`; for draws that are sorted, and a smooth function of them, its
 *   variance falls as m⁻² where that of `stratified` falls as m⁻³, and an order in step with m can make it noisier than multinomial.
 * - `residual`: ⌊m·wᵢ⌋ copies for certain, the rest multinomially: never noisier than multinomial.
 *
 * Douc, Cappé & Moulines 2005.
 */
export type ResamplingScheme = "multinomial" | "systematic" | "stratified" | "residual";

/**
 * Rows of a resample, in random order.
 *
 * @param weights - Weights that sum to 1.
 * @param m - Number of draws.
 * @throws `argument` when a weight is negative or they do not sum to 1.
 */
export function resampleRows(weights: Float64Array, m: number, scheme: ResamplingScheme, key: Key): Int32Array {
  checkWhole("resample", "the number of draws", m, 0);
  let total = 0;
  for (const w of weights) {
    if (!(w >= 0)) fail("argument", `resample: weights must be non-negative, got ${w}`);
    total += w;
  }
  if (Math.abs(total - 1) > SLACK) fail("argument", `resample: weights must sum to 1, got ${total}`);
  const rows = new Int32Array(m);
  let filled = 0;
  let rest = weights;
  if (scheme === "residual") {
    const left = new Float64Array(weights.length);
    for (let i = 0; i < weights.length; i++) {
      const expected = m * (weights[i] as number);
      // A rounding error below a whole number must not cost a certain copy.
      const copies = Math.min(m - filled, Math.floor(expected + SLACK));
      rows.fill(i, filled, filled + copies);
      filled += copies;
      left[i] = Math.max(0, expected - copies);
    }
    rest = left;
  }
  const points = pointsOf(m - filled, scheme, key);
  let sum = 0;
  for (const w of rest) sum += w;
  let cumulative = 0;
  let i = -1;
  for (const point of points) {
    while (i < rest.length - 1 && cumulative <= point * sum) cumulative += rest[++i] as number;
    // A product that rounds up to the whole sum runs to the end, where weights may be 0; such a row is never drawn.
    let row = i;
    while ((rest[row] as number) === 0 && row > 0) row--;
    rows[filled++] = row;
  }
  const order = permutation(fold(key, "order"), m);
  return order.map((at) => rows[at] as number);
}

/** Rounding that a sum of weights may show. */
const SLACK = 1e-9;

/** Sorted points in [0, 1). */
function pointsOf(m: number, scheme: ResamplingScheme, key: Key): Float64Array {
  const noise = (n: number) => uniform(fold(key, "points"), n);
  switch (scheme) {
    case "multinomial":
    case "residual":
      return Float64Array.from(noise(m)).sort();
    case "stratified":
      return Float64Array.from(noise(m), (u, i) => (i + u) / m);
    case "systematic": {
      const [u = 0] = noise(1);
      return Float64Array.from({ length: m }, (_, i) => (i + u) / m);
    }
    default:
      return fail(
        "argument",
        `resample: the schemes are multinomial, systematic, stratified and residual, got "${String(scheme)}"`,
      );
  }
}
