/** The same products where our loops cannot reach the engine's memory: through tfjs's own routine. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { scope } from "../../src/core/scope.ts";
import { useEngine } from "../../src/engine/engine.ts";
import type { NativeBackend } from "../../src/engine/wasm/memory.ts";
import { checkProduct, checkProducts, numbers } from "../support/products.ts";

beforeAll(async () => {
  await useEngine("wasm");
  const { wasm } = tf.backend() as unknown as NativeBackend;
  Reflect.set(wasm, "asm", { ...wasm.asm, memory: undefined });
});

it("agrees with double precision for all transposes, batches and sizes", () => {
  checkProducts(100);
  for (const transposeA of [false, true])
    for (const transposeB of [false, true])
      checkProduct({ batchA: [], batchB: [], m: 70, k: 300, n: 90, transposeA, transposeB, seed: 3 });
});

it("multiplies by weights that were used before with another shape", () => {
  scope(() => {
    const weights = tf.tensor(numbers(24, 5), [6, 4]);
    tf.matMul(tf.ones([1, 6]), weights).dataSync();
    const found = tf.matMul(tf.ones([1, 8]), tf.reshape(weights, [8, 3])).dataSync();
    const values = numbers(24, 5);
    found.forEach((value, j) => {
      const sum = [...Array(8).keys()].reduce((s, i) => s + (values[i * 3 + j] as number), 0);
      expect(value).toBeCloseTo(sum, 5);
    });
  });
});
