/**
 * Every op of the table: its value against an independent one, its gradient against differences of the value, and the
 * gradient of its gradient against differences of the gradient. With plain tfjs about half of the rows fail.
 */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { beforeAll, describe, expect, it } from "vitest";
import { withSuppressedLogs } from "../../src/engine/suppress-logs.ts";
import { startTestedEngine } from "../support/engine.ts";
import { OP_TABLE } from "./op-table.ts";
import type { OpCase } from "./table/case.ts";

/** Deterministic numbers in (0, 1), spread evenly (Weyl's sequence), so that no two elements tie. */
const spread = (i: number): number => (0.5 + (i + 1) * 0.6180339887498949) % 1;

function inputsOf({ shapes, domain: [low, high] }: OpCase): Float32Array[] {
  let i = 0;
  return shapes.map((shape) =>
    Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => low + (high - low) * spread(i++)),
  );
}

/** Central differences with one step of Richardson's extrapolation: error O(h⁴) against rounding of 1e−7 / h. */
const STEP = 0.03;
function slope(f: (t: number) => number): number {
  const half = (f(STEP) - f(-STEP)) / (2 * STEP);
  const whole = (f(2 * STEP) - f(-2 * STEP)) / (4 * STEP);
  return (4 * half - whole) / 3;
}

/** Some dozen units in the last place of float32: the products of the table have up to sixty terms. */
const VALUE_TOLERANCE = 8e-6;
/** Relative to the scale of the terms: fourth-order differences in float32 are good to about 1e−4. */
const TOLERANCE = 2e-3;
const agree = (found: number, wanted: number, scale: number, what: string) =>
  expect(Math.abs(found - wanted) / Math.max(1, scale), `${what}: ${found}, differences say ${wanted}`).toBeLessThan(
    TOLERANCE,
  );

/** A loss with curvature in every output, so that the second derivative of a linear op is not zero: Σ w (y + y² / 2). */
function loss({ run }: OpCase, inputs: tf.Tensor[]): tf.Tensor {
  const y = run(...inputs);
  const w = tf.tensor(
    Float32Array.from({ length: y.size }, (_, i) => 0.5 + spread(3 * i)),
    y.shape,
  );
  return tf.sum(tf.mul(w, tf.add(y, tf.mul(0.5, tf.square(y)))));
}

const tensors = (row: OpCase, data: readonly Float32Array[]) =>
  data.map((values, i) => tf.tensor(values, [...(row.shapes[i] as number[])]));
const direction = (data: readonly Float32Array[], seed: number): Float32Array[] =>
  data.map((values, k) => values.map((_, i) => 2 * spread(7 * i + 31 * k + seed) - 1));
const moved = (data: readonly Float32Array[], along: readonly Float32Array[], t: number) =>
  data.map((values, k) => values.map((x, i) => x + t * (along[k]?.[i] as number)));
const dot = (a: readonly Float32Array[], b: readonly Float32Array[]) =>
  a.reduce((total, x, k) => total + x.reduce((sum, v, i) => sum + v * (b[k]?.[i] as number), 0), 0);

const value = (row: OpCase, data: readonly Float32Array[]): number =>
  tf.tidy(() => loss(row, tensors(row, data)).dataSync()[0] as number);
const gradient = (row: OpCase, data: readonly Float32Array[]): Float32Array[] =>
  tf.tidy(() =>
    tf
      .grads((...x: tf.Tensor[]) => loss(row, x))(tensors(row, data))
      .map((g) => g.dataSync() as Float32Array),
  );
/** The gradient of (gradient · u). */
const second = (row: OpCase, data: readonly Float32Array[], u: readonly Float32Array[]): Float32Array[] =>
  tf.tidy(() => {
    const along = (...x: tf.Tensor[]) => {
      const g = tf.grads((...y: tf.Tensor[]) => loss(row, y))(x);
      return tf.addN(g.map((d, k) => tf.sum(tf.mul(d, tf.tensor(u[k] as Float32Array, d.shape)))));
    };
    return tf
      .grads(along)(tensors(row, data))
      .map((g) => g.dataSync() as Float32Array);
  });

const reference = new Map<string, readonly number[]>();

beforeAll(async () => {
  // tfjs's own kernels on its reference engine, which accumulate in double precision, are the independent values.
  await withSuppressedLogs(() => tf.setBackend("cpu"));
  await withSuppressedLogs(async () => {
    for (const row of OP_TABLE) {
      if (row.truth !== undefined) continue;
      const run = row.reference ?? row.run;
      reference.set(
        row.name,
        tf.tidy(() => [...run(...tensors(row, inputsOf(row))).dataSync()]),
      );
    }
  });
  await startTestedEngine();
});

describe("ops", () => {
  it.each(OP_TABLE.map((row) => [row.name, row] as const))("%s", (_, row) => {
    const before = tf.memory().numTensors;
    const data = inputsOf(row);
    const found = tf.tidy(() => [...row.run(...tensors(row, data)).dataSync()]);
    const { truth } = row;
    const wanted = truth
      ? [...(data[0] as Float32Array)].map((_, i) => truth(...data.map((x) => x[i] as number)))
      : reference.get(row.name);
    expect(wanted, "a reference value").toBeDefined();
    expect(found.length).toBe(wanted?.length);
    found.forEach((y, i) => {
      const y0 = wanted?.[i] as number;
      expect(Math.abs(y - y0) / Math.max(1, Math.abs(y0)), `value ${i}: ${y} for ${y0}`).toBeLessThan(VALUE_TOLERANCE);
    });

    const g = gradient(row, data);
    if (row.flat) {
      expect(g.every((d) => d.every((x) => x === 0))).toBe(true);
    } else {
      for (const seed of [1, 2]) {
        const v = direction(data, seed);
        agree(
          dot(g, v),
          slope((t) => value(row, moved(data, v, t))),
          Math.sqrt(dot(g, g)),
          "gradient",
        );
        const u = direction(data, seed + 5);
        const h = second(row, data, u);
        agree(
          dot(h, v),
          slope((t) => dot(gradient(row, moved(data, v, t)), u)),
          Math.sqrt(dot(h, h)),
          "gradient of the gradient",
        );
      }
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});
