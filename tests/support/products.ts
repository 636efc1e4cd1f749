/** Products of matrices of any form, checked against double precision. */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect } from "vitest";
import { threefry2x32 } from "../../src/core/key.ts";
import { scope } from "../../src/core/scope.ts";

export interface Case {
  readonly batchA: readonly number[];
  readonly batchB: readonly number[];
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly seed: number;
}

/** Noise in (−1, 1). */
export const numbers = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => threefry2x32({ hi: 0, lo: seed }, 0, i)[0] / 2 ** 31 - 1);

const size = (shape: readonly number[]) => shape.reduce((p, d) => p * d, 1);

/** Σ_k a_ik b_kj in double precision, batches broadcast. */
function reference(a: Float32Array, b: Float32Array, c: Case, batch: readonly number[]): Float64Array {
  const { m, k, n, transposeA, transposeB } = c;
  const out = new Float64Array(size(batch) * m * n);
  const place = (own: readonly number[], flat: number) => {
    let [rest, at, stride] = [flat, 0, 1];
    for (let axis = batch.length - 1, i = own.length - 1; axis >= 0; axis--, i--) {
      const index = rest % (batch[axis] as number);
      rest = Math.floor(rest / (batch[axis] as number));
      if (i < 0) continue;
      if (own[i] !== 1) at += index * stride;
      stride *= own[i] as number;
    }
    return at;
  };
  for (let s = 0; s < size(batch); s++) {
    const [fromA, fromB] = [place(c.batchA, s) * m * k, place(c.batchB, s) * k * n];
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let l = 0; l < k; l++) {
          const left = a[fromA + (transposeA ? l * m + i : i * k + l)] as number;
          sum += left * (b[fromB + (transposeB ? j * k + l : l * n + j)] as number);
        }
        out[(s * m + i) * n + j] = sum;
      }
  }
  return out;
}

export function checkProduct(c: Case): void {
  const { m, k, n, transposeA, transposeB, seed } = c;
  const shapeA = [...c.batchA, ...(transposeA ? [k, m] : [m, k])];
  const shapeB = [...c.batchB, ...(transposeB ? [n, k] : [k, n])];
  const [a, b] = [numbers(size(shapeA), seed), numbers(size(shapeB), seed + 1)];
  const batch = tf.broadcast_util.assertAndGetBroadcastShape([...c.batchA], [...c.batchB]);
  const before = [tf.memory().numTensors, tf.engine().backend.numDataIds()];
  const found = scope(() => {
    const product = tf.matMul(tf.tensor(a, shapeA), tf.tensor(b, shapeB), transposeA, transposeB);
    expect(product.shape).toEqual([...batch, m, n]);
    return product.dataSync();
  });
  expect([tf.memory().numTensors, tf.engine().backend.numDataIds()]).toEqual(before);
  const truth = reference(a, b, c, batch);
  // Rounding of a sum of k terms below one in size.
  const tolerance = 2 ** -23 * (k + 4);
  found.forEach((value, i) => {
    if (!(Math.abs(value - (truth[i] as number)) <= tolerance)) {
      expect.fail(`${JSON.stringify(c)}: element ${i} is ${value}, should be ${truth[i]}`);
    }
  });
}

const side = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 70 }));
const batches = fc.constantFrom<readonly [readonly number[], readonly number[]]>(
  [[], []],
  [[1], []],
  [[3], []],
  [[], [3]],
  [[3], [3]],
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [3]],
  [
    [2, 1],
    [1, 3],
  ],
);

/** Random products of small matrices. */
export function checkProducts(numRuns: number): void {
  const cases = fc.record({
    batches,
    m: side,
    k: side,
    n: side,
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
    seed: fc.nat(1000),
  });
  fc.assert(
    fc.property(cases, ({ batches: [batchA, batchB], ...rest }) => checkProduct({ batchA, batchB, ...rest })),
    { numRuns, seed: 1 },
  );
}
