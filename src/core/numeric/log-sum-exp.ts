/** Sums and means of exponentials in logarithms, on the host, in double precision: relative to the largest, so that none overflows. */

/** Entries `from`, `from + step`, … before `to`. */
interface Entries {
  readonly from?: number;
  readonly to?: number;
  readonly step?: number;
}

/** The largest entry m, Σ exp(x − m), and how many entries there are. A largest that is not finite is the answer itself. */
function relativeSum(x: ArrayLike<number>, { from = 0, to = x.length, step = 1 }: Entries) {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i += step) max = Math.max(max, x[i] as number);
  let [sum, count] = [0, 0];
  for (let i = from; i < to; i += step, count++) sum += Math.exp((x[i] as number) - max);
  return { max, sum, count, finite: Number.isFinite(max) };
}

/** log Σ exp(x); −∞ where every entry is −∞ and for none, +∞ where one is +∞. */
export function logSumExp(x: ArrayLike<number>, entries: Entries = {}): number {
  const { max, sum, finite } = relativeSum(x, entries);
  return finite ? max + Math.log(sum) : max;
}

/** log (1/n) Σ exp(x) over n entries; infinities as in {@link logSumExp}. */
export function logMeanExp(x: ArrayLike<number>, entries: Entries = {}): number {
  const { max, sum, count, finite } = relativeSum(x, entries);
  return finite ? max + Math.log(sum / count) : max;
}

/** log(eᵃ + eᵇ). */
export const logAddExp = (a: number, b: number): number =>
  // The difference of two equal infinities is no number.
  a === b ? a + Math.LN2 : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
