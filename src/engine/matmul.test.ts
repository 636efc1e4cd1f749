/** Products of matrices against double precision, in every form that tfjs's own kernel treats apart. */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { threefry2x32 } from "../core/key.ts";
import { scope } from "../core/scope.ts";
import { useEngine } from "./engine.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

interface Case {
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
const numbers = (count: number, seed: number) =>
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

function check(c: Case): void {
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

describe("matMul", () => {
  it("agrees with double precision for all transposes, batches and sizes", () => {
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
      fc.property(cases, ({ batches: [batchA, batchB], ...rest }) => check({ batchA, batchB, ...rest })),
      { numRuns: 250, seed: 1 },
    );
  });

  it.each([
    [200, 784, 130],
    [131, 300, 517],
    [1, 1000, 1],
    [5, 1, 700],
    [700, 3, 2],
  ])("agrees with double precision for a large product (%i × %i × %i)", (m, k, n) => {
    for (const transposeA of [false, true])
      for (const transposeB of [false, true])
        check({ batchA: [], batchB: [], m, k, n, transposeA, transposeB, seed: 3 });
  });

  it("multiplies by weights that were used before with another shape", () => {
    scope(() => {
      const weights = tf.tensor(numbers(24, 5), [4, 6]);
      const row = tf.ones([1, 4]);
      tf.matMul(row, weights).dataSync();
      const other = tf.reshape(weights, [3, 8]);
      const found = tf.matMul(tf.ones([1, 3]), other).dataSync();
      const values = numbers(24, 5);
      found.forEach((value, j) => {
        const sum = [0, 1, 2].reduce((s, i) => s + (values[i * 8 + j] as number), 0);
        expect(value).toBeCloseTo(sum, 5);
      });
    });
  });

  it("sees weights that were written again in the same place", () => {
    for (const fill of [1, 2, 3]) {
      const [value] = scope(() => tf.matMul(tf.ones([1, 4]), tf.fill([4, 1], fill)).dataSync());
      expect(value).toBe(4 * fill);
    }
  });

  it("gives zeros for a sum of nothing, and nothing for no rows", () => {
    scope(() => {
      expect([...tf.matMul(tf.zeros([2, 0]), tf.zeros([0, 3])).dataSync()]).toEqual([0, 0, 0, 0, 0, 0]);
      expect(tf.matMul(tf.zeros([0, 2]), tf.zeros([2, 3])).shape).toEqual([0, 3]);
    });
  });

  it("keeps NaN and infinity where they belong", () => {
    scope(() => {
      const a = tf.tensor2d([
        [1, Number.NaN],
        [Number.POSITIVE_INFINITY, 1],
        [1, 1],
      ]);
      expect([...tf.matMul(a, tf.ones([2, 1])).dataSync()]).toEqual([Number.NaN, Number.POSITIVE_INFINITY, 2]);
    });
  });
});
