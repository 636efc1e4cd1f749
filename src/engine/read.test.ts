/** Values out of the engine, and the search for those that are no log-probability. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { scope } from "../core/scope.ts";
import { ensureEngine } from "./engine.ts";
import { firstNanOrInfinity } from "./read.ts";

beforeAll(async () => {
  await ensureEngine();
});

const find = (values: Float32Array) => scope(() => firstNanOrInfinity(tf.tensor1d(values)));

describe("firstUnbounded", () => {
  it.each([1, 7, 8, 9, 1000, 4099])("finds NaN and +∞ at every place of %i values", (n) => {
    const values = new Float32Array(n).fill(Number.NEGATIVE_INFINITY);
    expect(find(values)).toBeUndefined();
    for (let i = 0; i < n; i += n > 20 ? 37 : 1) {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
        values[i] = bad;
        expect(find(values)).toBe(bad);
        values[i] = -1;
      }
    }
    values[n - 1] = Number.NaN;
    expect(find(values)).toBeNaN();
  });

  it("gives the first, and takes other types and scalars", () => {
    const values = new Float32Array(64);
    values.set([Number.POSITIVE_INFINITY, Number.NaN], 20);
    expect(find(values)).toBe(Number.POSITIVE_INFINITY);
    expect(find(new Float32Array(0))).toBeUndefined();
    expect(scope(() => firstNanOrInfinity(tf.scalar(Number.NaN)))).toBeNaN();
    expect(scope(() => firstNanOrInfinity(tf.tensor1d([1, 2], "int32")))).toBeUndefined();
  });
});
