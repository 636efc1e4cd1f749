/**
 * Weighted means, variances and standard errors of streams of draws, in one pass that stores no draw. Each row has its
 * own weights, known only up to a factor, so sums are relative to the largest weight so far.
 */

/** Layout of draws `[..., rows, size]`: `outer` stacks of `rows` rows of `size` entries. */
export interface RowLayout {
  readonly outer: number;
  readonly rows: number;
  readonly size: number;
}

/** Weights of some draws, `[draws, rows]`, relative to a reference of each row that may have changed since the last part. */
export interface PartWeights {
  readonly draws: number;
  readonly weights: Float64Array;
  /** Factor on the weights of earlier parts, for each row. */
  readonly rescale: Float64Array;
  /** Σw and Σw² of each row, this part included, relative to the same reference. */
  readonly sum: Float64Array;
  readonly squares: Float64Array;
}

/** Turns parts of a stream of log-weights `[draws, rows]` into weights relative to the largest so far. */
export function weightStream(rows: number): (logWeights: ArrayLike<number>) => PartWeights {
  const max = new Float64Array(rows).fill(Number.NEGATIVE_INFINITY);
  const sum = new Float64Array(rows);
  const squares = new Float64Array(rows);
  return (logWeights) => {
    const draws = logWeights.length / rows;
    const before = max.slice();
    for (let i = 0; i < logWeights.length; i++) {
      const r = i % rows;
      if ((logWeights[i] as number) > (max[r] as number)) max[r] = logWeights[i] as number;
    }
    // Before the first positive weight there is nothing to rescale.
    const rescale = before.map((m, r) => (m === Number.NEGATIVE_INFINITY ? 0 : Math.exp(m - (max[r] as number))));
    for (let r = 0; r < rows; r++) {
      const f = rescale[r] as number;
      sum[r] = (sum[r] as number) * f;
      squares[r] = (squares[r] as number) * f * f;
    }
    const weights = new Float64Array(logWeights.length);
    for (let i = 0; i < weights.length; i++) {
      const r = i % rows;
      if (max[r] === Number.NEGATIVE_INFINITY) continue;
      const w = Math.exp((logWeights[i] as number) - (max[r] as number));
      weights[i] = w;
      sum[r] = (sum[r] as number) + w;
      squares[r] = (squares[r] as number) + w * w;
    }
    return { draws, weights, rescale, sum, squares };
  };
}

/** Moments of one site, one number for each entry `[outer, rows, size]`; NaN where a row has no weight. */
export interface Moments {
  /** μ = Σwh/Σw. */
  readonly mean: Float64Array;
  /** Σw(h − μ)²/Σw. */
  readonly variance: Float64Array;
  /** √Σw²(h − μ)²/Σw. */
  readonly standardError: Float64Array;
}

/** Sums over the stream of one site. */
export interface MomentStream {
  /** Adds draws `[draws, outer, rows, size]` with their weights. */
  add(values: ArrayLike<number>, part: PartWeights): void;
  moments(part: Pick<PartWeights, "sum" | "squares">): Moments;
}

/** Weighted means of the entries of one part, each of the row that `rowOf` says; 0 where a row has no weight. */
function partMeans(
  values: ArrayLike<number>,
  { draws, weights }: PartWeights,
  rowOf: Int32Array,
  rows: number,
): Float64Array {
  const entries = rowOf.length;
  const total = new Float64Array(entries);
  const weight = new Float64Array(entries);
  for (let i = 0; i < draws; i++) {
    for (let e = 0; e < entries; e++) {
      const w = weights[i * rows + (rowOf[e] as number)] as number;
      if (w === 0) continue;
      total[e] = (total[e] as number) + w * (values[i * entries + e] as number);
      weight[e] = (weight[e] as number) + w;
    }
  }
  return total.map((t, e) => ((weight[e] as number) > 0 ? t / (weight[e] as number) : 0));
}

/**
 * Sums Σwd, Σwd², Σw²d, Σw²d² of deviations d from the weighted mean of the first part: deviations from a point near the mean lose
 * no digits to cancellation and need no second pass.
 */
export function momentStream({ outer, rows, size }: RowLayout): MomentStream {
  const entries = outer * rows * size;
  const rowOf = Int32Array.from({ length: entries }, (_, e) => Math.floor(e / size) % rows);
  const [first, second, firstSquared, secondSquared] = Array.from({ length: 4 }, () => new Float64Array(entries)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  let centre: Float64Array | undefined;
  return {
    add(values, part) {
      centre ??= partMeans(values, part, rowOf, rows);
      for (let e = 0; e < entries; e++) {
        const f = part.rescale[rowOf[e] as number] as number;
        if (f === 1) continue;
        first[e] = (first[e] as number) * f;
        second[e] = (second[e] as number) * f;
        firstSquared[e] = (firstSquared[e] as number) * f * f;
        secondSquared[e] = (secondSquared[e] as number) * f * f;
      }
      for (let i = 0; i < part.draws; i++) {
        for (let e = 0; e < entries; e++) {
          const w = part.weights[i * rows + (rowOf[e] as number)] as number;
          // A draw without weight may hold anything, also infinities.
          if (w === 0) continue;
          const d = (values[i * entries + e] as number) - (centre[e] as number);
          const wd = w * d;
          first[e] = (first[e] as number) + wd;
          second[e] = (second[e] as number) + wd * d;
          firstSquared[e] = (firstSquared[e] as number) + w * wd;
          secondSquared[e] = (secondSquared[e] as number) + wd * wd;
        }
      }
    },
    moments({ sum, squares }) {
      const mean = new Float64Array(entries);
      const variance = new Float64Array(entries);
      const standardError = new Float64Array(entries);
      for (let e = 0; e < entries; e++) {
        const s = sum[rowOf[e] as number] as number;
        const shift = (first[e] as number) / s;
        mean[e] = (centre?.[e] ?? 0) + shift;
        variance[e] = Math.max(0, (second[e] as number) / s - shift * shift);
        const spread =
          (secondSquared[e] as number) -
          2 * shift * (firstSquared[e] as number) +
          shift * shift * (squares[rowOf[e] as number] as number);
        standardError[e] = Math.sqrt(Math.max(0, spread)) / s;
      }
      return { mean, variance, standardError };
    },
  };
}
