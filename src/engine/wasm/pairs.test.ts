import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { rootKey } from "../../core/key.ts";
import { normal } from "../../core/random/draws.ts";
import { scope } from "../../core/scope.ts";
import { ensureEngine } from "../engine.ts";

beforeAll(() => ensureEngine());

describe("sums of short rows", () => {
  it.each([
    [1, 2],
    [3, 2],
    [4, 2],
    [5, 2],
    [1000, 2],
    [1003, 2],
    [1003, 3],
    [7, 5],
  ])("of %d rows of %d are those of doubles, rounded once", (rows, n) => {
    const x = normal(rootKey(rows), rows * n).map((v, i) => v * 10 ** ((i * 7) % 23));
    const found = scope(() => tf.sum(tf.tensor(x, [rows, n]), -1).dataSync());
    const wanted = Float32Array.from({ length: rows }, (_, k) =>
      x.subarray(k * n, (k + 1) * n).reduce((a, b) => a + b, 0),
    );
    if (n <= 3) expect(found).toEqual(wanted);
    const bound = 1e-6 * Math.max(...x);
    expect(found.every((v, k) => Math.abs(v - (wanted[k] as number)) <= bound)).toBe(true);
  });

  it("keep what is no number, and infinities", () => {
    const { NaN: nan, POSITIVE_INFINITY: more } = Number;
    const found = scope(() => tf.sum(tf.tensor([1, nan, more, 1, more, -more, -more, -1, 3, 4], [5, 2]), 1).dataSync());
    expect([...found]).toEqual([nan, more, nan, -more, 7]);
  });
});
