/**
 * Cholesky factors and triangular systems in ops, column by column, for traced steps, in which there are no values to compute with.
 * In single precision, and with as many ops as the matrix has rows.
 */
import * as tf from "@tensorflow/tfjs-core";
import { currentTracer } from "../core/tracing.ts";

/** Part of the last two axes: `rows` × `columns` from (i, j). */
function block(a: tf.Tensor, i: number, j: number, rows: number, columns: number): tf.Tensor {
  const batch = a.shape.slice(0, -2);
  return tf.slice(a, [...batch.map(() => 0), i, j], [...batch, rows, columns]);
}

const product = (a: tf.Tensor, b: tf.Tensor, transposeB = false): tf.Tensor => tf.matMul(a, b, false, transposeB);

/** L of A = LLᵀ; that pivots are positive becomes a guard of the trace. */
export function choleskyInOps(a: tf.Tensor): tf.Tensor {
  const d = a.shape[a.rank - 1] as number;
  const batch = a.shape.slice(0, -2);
  /** Columns found so far, `[..., d, j]`. */
  let found: tf.Tensor | undefined;
  for (let j = 0; j < d; j++) {
    let column = block(a, j, j, d - j, 1);
    if (found !== undefined)
      column = tf.sub(column, product(block(found, j, 0, d - j, j), block(found, j, 0, 1, j), true));
    const pivot = block(column, 0, 0, 1, 1);
    currentTracer()?.guard(tf.greater(pivot, 0));
    const below = tf.div(column, tf.sqrt(pivot));
    const whole = j === 0 ? below : tf.concat([tf.zeros([...batch, j, 1]), below], batch.length);
    found = found === undefined ? whole : tf.concat([found, whole], batch.length + 1);
  }
  return found ?? a;
}

/** X of LX = B, or LᵀX = B. Only the triangle is read. */
export function triangularSolveInOps(l: tf.Tensor, b: tf.Tensor, lower: boolean, transpose: boolean): tf.Tensor {
  const d = l.shape[l.rank - 1] as number;
  const axis = b.rank - 2;
  const forward = lower !== transpose;
  /** Rows found so far, in their order. */
  let found: tf.Tensor | undefined;
  for (let step = 0; step < d; step++) {
    const i = forward ? step : d - 1 - step;
    let row = block(b, i, 0, 1, b.shape[axis + 1] as number);
    if (found !== undefined) {
      const from = forward ? 0 : i + 1;
      const weights = transpose ? block(l, from, i, step, 1) : block(l, i, from, 1, step);
      row = tf.sub(row, tf.matMul(weights, found, transpose, false));
    }
    row = tf.div(row, block(l, i, i, 1, 1));
    found = found === undefined ? row : tf.concat(forward ? [found, row] : [row, found], axis);
  }
  return found ?? b;
}
