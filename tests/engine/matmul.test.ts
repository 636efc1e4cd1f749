/** Products of matrices against double precision, in every form that tfjs's own kernel treats apart. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { scope } from "../../src/core/scope.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { checkProduct, checkProducts, numbers } from "../support/products.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

describe("matMul", () => {
  it("agrees with double precision for all transposes, batches and sizes", () => {
    checkProducts(250);
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
        checkProduct({ batchA: [], batchB: [], m, k, n, transposeA, transposeB, seed: 3 });
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
