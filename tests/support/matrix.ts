/** Small matrices in double precision, for exact answers. */
export type Matrix = readonly (readonly number[])[];
export type Vector = readonly number[];

const at = (a: Matrix, i: number, j: number): number => a[i]?.[j] ?? Number.NaN;

export const identity = (n: number, scale = 1): Matrix =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (__, j) => (i === j ? scale : 0)));
export const transpose = (a: Matrix): Matrix => (a[0] ?? []).map((_, j) => a.map((row) => row[j] ?? Number.NaN));
export const dot = (u: Vector, v: Vector): number => u.reduce((s, x, i) => s + x * (v[i] ?? Number.NaN), 0);
export const apply = (a: Matrix, v: Vector): Vector => a.map((row) => dot(row, v));
export const times = (a: Matrix, b: Matrix): Matrix => a.map((row) => transpose(b).map((column) => dot(row, column)));
export const plus = (a: Matrix, b: Matrix): Matrix => a.map((row, i) => row.map((x, j) => x + at(b, i, j)));
export const scaled = (c: number, a: Matrix): Matrix => a.map((row) => row.map((x) => c * x));
export const add = (u: Vector, v: Vector): Vector => u.map((x, i) => x + (v[i] ?? Number.NaN));
export const subtract = (u: Vector, v: Vector): Vector => u.map((x, i) => x - (v[i] ?? Number.NaN));

/** Inverse and log-determinant of a positive definite matrix, by elimination. */
function eliminate(a: Matrix): { readonly inverse: Matrix; readonly logDet: number } {
  const n = a.length;
  const rows = a.map((row, i) => [...row, ...(identity(n)[i] ?? [])]);
  let logDet = 0;
  for (let k = 0; k < n; k++) {
    const pivot = rows[k] as number[];
    const p = pivot[k] as number;
    logDet += Math.log(p);
    for (let j = 0; j < 2 * n; j++) pivot[j] = (pivot[j] as number) / p;
    rows.forEach((row, i) => {
      const factor = row[k] as number;
      if (i !== k) for (let j = 0; j < 2 * n; j++) row[j] = (row[j] as number) - factor * (pivot[j] as number);
    });
  }
  return { inverse: rows.map((row) => row.slice(n)), logDet };
}
export const inverse = (a: Matrix): Matrix => eliminate(a).inverse;
export const logDet = (a: Matrix): number => eliminate(a).logDet;
export const quadraticForm = (a: Matrix, v: Vector): number => dot(v, apply(a, v));

/** log N(x; mean, covariance). */
export const normalLogDensity = (x: Vector, mean: Vector, covariance: Matrix): number =>
  -0.5 *
  (x.length * Math.log(2 * Math.PI) + logDet(covariance) + quadraticForm(inverse(covariance), subtract(x, mean)));

/** KL(N(m₀, S₀) ‖ N(m₁, S₁)). */
export function normalKl(m0: Vector, S0: Matrix, m1: Vector, S1: Matrix): number {
  const P = inverse(S1);
  const trace = times(P, S0).reduce((s, row, i) => s + (row[i] ?? Number.NaN), 0);
  return (trace - m0.length + quadraticForm(P, subtract(m0, m1)) + logDet(S1) - logDet(S0)) / 2;
}
