/** Latents on paper: themselves in two dimensions, their first two principal axes in more. */
import type { NdArray } from "tilted";

/** Power iterations for a principal axis; ample for the well-separated leading ones. */
const ITERATIONS = 200;

/** A projection to the plane, `[n, d]` to flat `[n, 2]`, by the principal axes of `reference` (the identity for d = 2). */
export function planeOf(reference: NdArray): (z: NdArray) => Float32Array {
  const [n, d] = reference.shape as [number, number];
  if (d === 2) return (z) => z.data as Float32Array;
  const mean = Array.from({ length: d }, (_, j) => columnMean(reference, j));
  const covariance = mean.map((_, j) =>
    mean.map((_, k) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += centred(reference, i, j, mean) * centred(reference, i, k, mean);
      return sum / n;
    }),
  );
  const first = leadingAxis(covariance, []);
  const axes = [first, leadingAxis(covariance, [first])];
  return (z) => {
    const count = z.shape[0] as number;
    return Float32Array.from({ length: 2 * count }, (_, at) => {
      const axis = axes[at % 2] as number[];
      return axis.reduce((sum, a, j) => sum + a * centred(z, Math.floor(at / 2), j, mean), 0);
    });
  };
}

const at = (z: NdArray, i: number, j: number) => z.data[i * (z.shape[1] as number) + j] as number;
const centred = (z: NdArray, i: number, j: number, mean: readonly number[]) => at(z, i, j) - (mean[j] as number);

function columnMean(z: NdArray, j: number): number {
  const n = z.shape[0] as number;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += at(z, i, j);
  return sum / n;
}

/** The unit eigenvector of the largest eigenvalue, orthogonal to the given ones. */
function leadingAxis(matrix: readonly (readonly number[])[], found: readonly (readonly number[])[]): number[] {
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((s, x, i) => s + x * (b[i] as number), 0);
  let v = matrix.map((_, i) => 1 + i / matrix.length);
  for (let k = 0; k < ITERATIONS; k++) {
    let w = matrix.map((row) => dot(row, v));
    for (const axis of found) {
      const along = dot(w, axis);
      w = w.map((x, i) => x - along * (axis[i] as number));
    }
    const size = Math.hypot(...w);
    v = w.map((x) => x / size);
  }
  return v;
}
