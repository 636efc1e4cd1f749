/** Goodness of fit: whether draws follow a distribution, with a stated false-alarm rate. */
import { expect } from "vitest";
import { ALPHA, criticalZ } from "./statistics.ts";

/** Largest distance between the distribution function of draws and `cdf` (Kolmogorov & Smirnov). */
export function distance(draws: ArrayLike<number>, cdf: (x: number) => number): number {
  const sorted = Float64Array.from(draws).sort();
  const n = sorted.length;
  let largest = 0;
  for (let i = 0; i < n; i++) {
    const f = cdf(sorted[i] as number);
    largest = Math.max(largest, Math.abs(f - i / n), Math.abs((i + 1) / n - f));
  }
  return largest;
}

/** Draws of a continuous distribution: P(√n·D > d) ≤ 2 exp(−2d²) (Massart 1990). */
export function expectFollows(draws: ArrayLike<number>, cdf: (x: number) => number, what = "draws"): void {
  const limit = Math.sqrt(Math.log(2 / ALPHA) / 2 / draws.length);
  const found = distance(draws, cdf);
  if (process.env.TILTED_STATISTICS !== undefined) console.info(`${what}: distance ${found}, limit ${limit}`);
  expect(found, `${what}: distance from the distribution function, of ${draws.length} draws`).toBeLessThan(limit);
}

/** Cells rarer than this many expected draws are put together. */
const FEWEST = 20;

/** Counts of cells against their probabilities, by Pearson's χ² (Wilson & Hilferty's quantile). */
export function expectCounts(counts: ArrayLike<number>, probabilities: ArrayLike<number>, what = "counts"): void {
  let n = 0;
  for (let i = 0; i < counts.length; i++) n += counts[i] as number;
  let [statistic, cells, seen, due] = [0, 0, 0, 0];
  const close = () => {
    statistic += (seen - due) ** 2 / due;
    cells++;
    [seen, due] = [0, 0];
  };
  for (let i = 0; i < counts.length; i++) {
    seen += counts[i] as number;
    due += n * (probabilities[i] as number);
    if (due >= FEWEST) close();
  }
  // What is left of the tail joins no cell unless it is one of its own.
  if (due >= 1) close();
  const degrees = cells - 1;
  const z = criticalZ(2 * ALPHA);
  const limit = degrees * (1 - 2 / (9 * degrees) + z * Math.sqrt(2 / (9 * degrees))) ** 3;
  if (process.env.TILTED_STATISTICS !== undefined) console.info(`${what}: χ² ${statistic}, limit ${limit}`);
  expect(statistic, `${what}: χ² of ${degrees} degrees`).toBeLessThan(limit);
}

/** How often each of 0 … cells − 1 was drawn. */
export function tally(draws: ArrayLike<number>, cells: number): Float64Array {
  const counts = new Float64Array(cells);
  for (let i = 0; i < draws.length; i++) counts[draws[i] as number] = (counts[draws[i] as number] as number) + 1;
  return counts;
}
