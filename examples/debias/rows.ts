/** Rows of a matrix. */
import { type NdArray, ndarray } from "tilted";

/** The given rows of `[n, d]`. */
export function pickRows(z: NdArray, rows: readonly number[]): NdArray {
  const d = z.shape[1] as number;
  const out = new Float32Array(rows.length * d);
  rows.forEach((row, i) => {
    out.set(z.data.subarray(row * d, (row + 1) * d), i * d);
  });
  return ndarray(out, [rows.length, d]);
}

/** `n` rows spread evenly over all, in order. */
export function spreadRows(z: NdArray, n: number): NdArray {
  const count = z.shape[0] as number;
  const most = Math.min(n, count);
  return pickRows(
    z,
    Array.from({ length: most }, (_, i) => Math.floor((i * count) / most)),
  );
}
