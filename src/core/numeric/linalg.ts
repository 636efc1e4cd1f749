/** Cholesky factors and triangular systems over plain arrays, row by row, accumulated in double precision. */

/** A pivot that is not positive and finite. */
export interface BadPivot {
  readonly column: number;
  readonly pivot: number;
}

/**
 * Writes to `out[at …]` the lower Cholesky factor L of the d × d matrix A = LLᵀ at `a[at …]`, of which the lower triangle is read.
 *
 * @param l - Workspace of d² entries; its upper triangle must be zero.
 * @returns The first pivot at fault; then `out` is unfinished.
 */
export function choleskyInto(
  out: Float32Array,
  a: ArrayLike<number>,
  at: number,
  d: number,
  l: Float64Array,
): BadPivot | undefined {
  for (let j = 0; j < d; j++) {
    for (let i = j; i < d; i++) {
      let s = a[at + i * d + j] as number;
      for (let k = 0; k < j; k++) s -= (l[i * d + k] as number) * (l[j * d + k] as number);
      if (i > j) l[i * d + j] = s / (l[j * d + j] as number);
      else if (s > 0 && s < Number.POSITIVE_INFINITY) l[j * d + j] = Math.sqrt(s);
      else return { column: j, pivot: s };
      out[at + i * d + j] = l[i * d + j] as number;
    }
  }
  return undefined;
}

/** Which triangular system: L lower or upper triangular, itself or its transpose. */
export interface TriangularSystem {
  readonly d: number;
  readonly lower: boolean;
  readonly transpose: boolean;
}

/**
 * Writes to `x` the solution of LX = B (or LᵀX = B) by substitution: L, d × d, at `l[lAt …]`; B, d × k, at `b[bAt …]`; x has d·k entries.
 */
export function solveTriangularInto(
  x: Float64Array,
  l: ArrayLike<number>,
  lAt: number,
  b: ArrayLike<number>,
  bAt: number,
  k: number,
  { d, lower, transpose }: TriangularSystem,
): void {
  const forward = lower !== transpose;
  for (let step = 0; step < d; step++) {
    const i = forward ? step : d - 1 - step;
    for (let c = 0; c < k; c++) x[i * k + c] = b[bAt + i * k + c] as number;
    for (let back = 0; back < step; back++) {
      const j = forward ? back : d - 1 - back;
      const w = l[lAt + (transpose ? j * d + i : i * d + j)] as number;
      for (let c = 0; c < k; c++) x[i * k + c] = (x[i * k + c] as number) - w * (x[j * k + c] as number);
    }
    const pivot = l[lAt + i * d + i] as number;
    for (let c = 0; c < k; c++) x[i * k + c] = (x[i * k + c] as number) / pivot;
  }
}
