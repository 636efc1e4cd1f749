/**
 * Dense linear algebra that tfjs lacks: Cholesky factors and triangular systems, batched, differentiable to any order.
 *
 * Values are computed in float64 on the host (matrices of log-densities are small); derivatives are ops of the inputs, in the
 * forms of Murray (2016), "Differentiation of the Cholesky decomposition", built from the same two functions.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";
import { choleskyInto, solveTriangularInto } from "../core/numeric/linalg.ts";
import { broadcastShapes, type Shape, showShape, sizeOf } from "../core/shape.ts";
import { isConcrete } from "../core/tracing.ts";
import { choleskyInOps, triangularSolveInOps } from "./linalg-ops.ts";
import { float } from "./smooth.ts";

/** The order of a batch of square matrices. */
function orderOf(a: tf.Tensor, name: string): number {
  const [rows, columns] = a.shape.slice(-2);
  if (a.rank < 2 || rows !== columns)
    fail("shape", `${name}: expected square matrices [..., d, d], found shape ${showShape(a.shape)}`);
  return rows as number;
}

/** The lower triangle of ones, with `diagonal` on the diagonal. */
function lowerMask(d: number, diagonal: number): tf.Tensor {
  const mask = new Float32Array(d * d);
  for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) mask[i * d + j] = i === j ? diagonal : 1;
  return tf.tensor2d(mask, [d, d]);
}

const transposed = (a: tf.Tensor): tf.Tensor => {
  const axes = a.shape.map((_, i) => i);
  const n = axes.length;
  [axes[n - 2], axes[n - 1]] = [n - 1, n - 2];
  return tf.transpose(a, axes);
};

/** Where in the batch matrix number `m` is, for messages. */
const place = (batch: Shape, m: number): string =>
  sizeOf(batch) === 1 ? "" : ` (number ${m} of batch ${showShape(batch)})`;

function factorise(a: tf.Tensor, name: string): tf.Tensor {
  const d = orderOf(a, name);
  if (!isConcrete(a)) return choleskyInOps(a);
  const data = a.dataSync();
  const out = new Float32Array(data.length);
  const workspace = new Float64Array(d * d);
  for (let m = 0; m * d * d < data.length; m++) {
    const bad = choleskyInto(out, data, m * d * d, d, workspace);
    if (bad === undefined) continue;
    const where = place(a.shape.slice(0, -2), m);
    if (!Number.isFinite(bad.pivot))
      fail(
        "non-finite",
        `${name}: the matrix${where} has non-finite entries (column ${bad.column}); check what it is computed from`,
      );
    fail(
      "parameter",
      `${name}: the matrix${where} is not positive definite: pivot ${bad.column} is ${bad.pivot.toPrecision(3)}. Add a small multiple of the identity, or give a Cholesky factor`,
    );
  }
  return tf.tensor(out, a.shape, "float32");
}

/**
 * The lower Cholesky factors L of symmetric positive definite A = LLᵀ, shape `[..., d, d]`; the lower triangle of A is read.
 *
 * @param name - What the matrix is called in errors.
 * @throws `parameter` when a matrix is not positive definite, `non-finite` when it has NaN or infinite entries.
 */
export function cholesky(a: tf.Tensor, name = "cholesky"): tf.Tensor {
  const d = orderOf(a, name);
  return tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [x, save] = inputs as [tf.Tensor, tf.GradSaveFunc];
    // A throw after `save` would leave the saved copy behind: tfjs frees it with the tape, where this is not yet.
    const value = factorise(x, name);
    save([x]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, [x]: tf.Tensor[]) => {
        // Ā = sym(L⁻ᵀ Φ(LᵀL̄) L⁻¹), Φ the lower triangle with half the diagonal.
        const l = cholesky(x as tf.Tensor, name);
        const phi = tf.mul(tf.matMul(l, tf.mul(dy, lowerMask(d, 1)), true, false), lowerMask(d, 0.5));
        const left = triangularSolve(l, phi, { transpose: true });
        const both = transposed(triangularSolve(l, transposed(left), { transpose: true }));
        return tf.mul(tf.add(both, transposed(both)), 0.5);
      },
    };
  })(float(a));
}

/** Which system {@link triangularSolve} solves. */
export interface TriangularOptions {
  /** Whether L is lower triangular (default) or upper. The other triangle is not read. */
  readonly lower?: boolean;
  /** Solve with the transpose. */
  readonly transpose?: boolean;
}

function substitute(l: tf.Tensor, b: tf.Tensor, lower: boolean, transpose: boolean): tf.Tensor {
  const d = l.shape[l.rank - 1] as number;
  const k = b.shape[b.rank - 1] as number;
  if (!isConcrete(l) || !isConcrete(b)) return triangularSolveInOps(l, b, lower, transpose);
  const matrices = l.dataSync();
  const right = b.dataSync();
  const out = new Float32Array(right.length);
  const x = new Float64Array(d * k);
  for (let m = 0; m * d * d < matrices.length; m++) {
    solveTriangularInto(x, matrices, m * d * d, right, m * d * k, k, { d, lower, transpose });
    out.set(x, m * d * k);
  }
  return tf.tensor(out, b.shape, "float32");
}

/** Adds zeros so that the gradient sums over the broadcast axes. */
const broadcastBatch = (x: tf.Tensor, batch: Shape): tf.Tensor => {
  const shape = [...batch, ...x.shape.slice(-2)];
  return sizeOf(shape) === x.size && shape.length === x.rank ? x : tf.add(x, tf.zeros(shape));
};

/**
 * X with LX = B (or LᵀX = B), L triangular: shapes `[..., d, d]`, `[..., d, k]` → `[..., d, k]`. Batches broadcast.
 *
 * @remarks A zero on the diagonal gives infinities, as a division does.
 * @throws `shape` when the shapes do not fit.
 */
export function triangularSolve(l: tf.Tensor, b: tf.Tensor, options: TriangularOptions = {}): tf.Tensor {
  const { lower = true, transpose = false } = options;
  const d = orderOf(l, "triangularSolve");
  if (b.rank < 2 || b.shape[b.rank - 2] !== d)
    fail("shape", `triangularSolve: a right-hand side [..., ${d}, k] was expected, found ${showShape(b.shape)}`);
  const batch = broadcastShapes(l.shape.slice(0, -2), b.shape.slice(0, -2));
  return tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [p, q, save] = inputs as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const value = substitute(p, q, lower, transpose);
    save([p, q]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [p, q] = saved as [tf.Tensor, tf.Tensor];
        const x = triangularSolve(p, q, options);
        const db = triangularSolve(p, dy, { lower, transpose: !transpose });
        // LX = B: L̄ = −B̄Xᵀ; LᵀX = B: its transpose. Only the triangle that is read has a gradient.
        const dl = transpose ? tf.matMul(x, db, false, true) : tf.matMul(db, x, false, true);
        const mask = lowerMask(d, 1);
        return [tf.neg(tf.mul(dl, lower ? mask : tf.transpose(mask))), db];
      },
    };
  })(broadcastBatch(float(l), batch), broadcastBatch(float(b), batch));
}

/** The inverses of lower triangular matrices, shape `[..., d, d]`. */
export const triangularInverse = (l: tf.Tensor): tf.Tensor =>
  triangularSolve(l, tf.eye(orderOf(l, "triangularInverse")));

/** A⁻¹B from the lower Cholesky factor of A. */
export const choleskySolve = (l: tf.Tensor, b: tf.Tensor): tf.Tensor =>
  triangularSolve(l, triangularSolve(l, b), { transpose: true });

/** The diagonals of square matrices, shape `[..., d]`. */
export const diagonal = (a: tf.Tensor): tf.Tensor => tf.sum(tf.mul(a, tf.eye(orderOf(a, "diagonal"))), -1);

/** log det A = 2 Σ log Lᵢᵢ from the lower Cholesky factors L of A, shape `[...]`. */
export const logDetFromCholesky = (l: tf.Tensor): tf.Tensor => tf.mul(tf.sum(tf.log(diagonal(l)), -1), 2);
