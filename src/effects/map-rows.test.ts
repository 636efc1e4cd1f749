/** A program over many rows is the program over all of them at once. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { ndarray } from "../core/array.ts";
import { useEngine } from "../engine/engine.ts";
import { param } from "./effects.ts";
import { mapRows } from "./map-rows.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

const n = 1300;
const x = ndarray(
  Float32Array.from({ length: 2 * n }, (_, i) => i),
  [n, 2],
);
const params = { scale: ndarray(Float32Array.of(0.5)) };

describe("mapRows", () => {
  it("joins what it is given, a tensor or a record, and leaves no tensor behind", () => {
    const before = tf.memory().numTensors;
    const halves = mapRows(x, params, function* (rows) {
      return tf.mul(rows, yield* param("scale", 1));
    });
    expect(halves.shape).toEqual([n, 2]);
    expect(Array.from(halves.data)).toEqual(Array.from(x.data, (v) => v / 2));
    const both = mapRows(x, {}, function* (rows) {
      return { sum: tf.sum(rows, 1), wide: tf.concat([rows, rows], 1) };
    });
    expect([both.sum.shape, both.wide.shape]).toEqual([[n], [n, 4]]);
    expect(both.sum.data[n - 1]).toBe(4 * n - 3);
    expect(both.wide.data[4 * 700 + 2]).toBe(1400);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("refuses an array without rows", () => {
    expect(() => mapRows(ndarray(new Float32Array(0), [0, 2]), {}, () => param("a", 1))).toThrow(/no rows/);
  });
});
