import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { rootKey } from "../../core/key.ts";
import { normal } from "../../core/random/draws.ts";
import { scope } from "../../core/scope.ts";
import { ensureEngine } from "../engine.ts";

beforeAll(() => ensureEngine());

const OPS = [
  [tf.add, (a: number, b: number) => a + b],
  [tf.sub, (a: number, b: number) => a - b],
  [tf.mul, (a: number, b: number) => a * b],
  [tf.div, (a: number, b: number) => a / b],
  [tf.squaredDifference, (a: number, b: number) => Math.fround(a - b) ** 2],
] as const;

describe("arithmetic of many short rows with one row", () => {
  // Rows put together, an odd number of rows, rows too long, leading ones, rows of two axes, a column, too few, a row inside.
  it.each<readonly [number[], number[]]>([
    [[4096, 2], [2]],
    [[4097, 2], [2]],
    [[4098, 3], [3]],
    [[1000, 100], [100]],
    [
      [2048, 4],
      [1, 4],
    ],
    [
      [64, 32, 2, 3],
      [2, 3],
    ],
    [
      [64, 32, 2, 3],
      [1, 1, 2, 3],
    ],
    [
      [4096, 2],
      [4096, 1],
    ],
    [[8, 2], [2]],
    [
      [64, 3, 64],
      [3, 1],
    ],
    [
      [64, 2, 2, 64],
      [2, 1, 64],
    ],
    [[4096, 2], [1]],
    [
      [2, 4096],
      [2, 1],
    ],
    [
      [2, 2, 2, 2, 2, 512],
      [2, 512],
    ],
  ])("%j and %j, either way round, bit for bit", (full, short) => {
    const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
    const [x, y] = [normal(rootKey(1), size(full)), normal(rootKey(2), size(short))];
    const at = (i: number): number => {
      let [rest, index, stride] = [i, 0, 1];
      for (let axis = full.length - 1; axis >= 0; axis--) {
        const d = full[axis] as number;
        const own = short[short.length - full.length + axis] ?? 1;
        if (own !== 1) index += (rest % d) * stride;
        stride *= own;
        rest = Math.floor(rest / d);
      }
      return y[index] as number;
    };
    const before = tf.memory().numDataBuffers;
    for (const [op, f] of OPS) {
      const [there, back] = scope(() => {
        const [a, b] = [tf.tensor(x, full), tf.tensor(y, short)];
        const [there, back] = [op(a, b), op(b, a)];
        expect([there.shape, back.shape]).toEqual([full, full]);
        return [there.dataSync(), back.dataSync()] as const;
      });
      expect(there).toEqual(x.map((v, i) => f(v, at(i))));
      expect(back).toEqual(x.map((v, i) => f(at(i), v)));
    }
    expect(tf.memory().numDataBuffers).toBe(before);
  });

  it("passes gradients back to the row", () => {
    const [dx, dy] = scope(() =>
      tf
        .grads((a, b) => tf.sum(tf.mul(a as tf.Tensor, b as tf.Tensor)))([tf.ones([4096, 2]), tf.tensor([2, 3])])
        .map((g) => g.dataSync()),
    ) as [Float32Array, Float32Array];
    expect([...dx.slice(0, 4)]).toEqual([2, 3, 2, 3]);
    expect([...dy]).toEqual([4096, 4096]);
  });
});
