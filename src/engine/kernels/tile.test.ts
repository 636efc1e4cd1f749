/** Repetition of any shape, element by element. */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import { scope } from "../../core/scope.ts";
import { useEngine } from "../engine.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

const axis = fc.record({ size: fc.integer({ min: 1, max: 4 }), times: fc.integer({ min: 1, max: 4 }) });

it("repeats every axis", () => {
  fc.assert(
    fc.property(
      fc.array(axis, { minLength: 1, maxLength: 5 }),
      fc.constantFrom("float32", "int32", "bool"),
      (axes, dtype) => {
        const shape = axes.map(({ size }) => size);
        const times = axes.map(({ times }) => times);
        const count = shape.reduce((n, d) => n * d, 1);
        const values = Array.from({ length: count }, (_, i) => (dtype === "bool" ? i % 2 : i));
        const found = scope(() => {
          const y = tf.tile(tf.tensor(values, shape, dtype), times);
          expect(y.shape).toEqual(shape.map((size, i) => size * (times[i] as number)));
          expect(y.dtype).toBe(dtype);
          return [...y.dataSync()];
        });
        const outShape = shape.map((size, i) => size * (times[i] as number));
        const expected = found.map((_, flat) => {
          let [rest, at, stride] = [flat, 0, 1];
          for (let i = shape.length - 1; i >= 0; i--) {
            at += ((rest % (outShape[i] as number)) % (shape[i] as number)) * stride;
            rest = Math.floor(rest / (outShape[i] as number));
            stride *= shape[i] as number;
          }
          return values[at];
        });
        expect(found).toEqual(expected);
      },
    ),
    { numRuns: 200, seed: 1 },
  );
});

it("repeats nothing, and a scalar's broadcast", () => {
  scope(() => {
    expect(tf.tile(tf.zeros([0, 2]), [3, 2]).shape).toEqual([0, 4]);
    expect([...tf.broadcastTo(tf.scalar(3), [2, 2]).dataSync()]).toEqual([3, 3, 3, 3]);
    expect([...tf.broadcastTo(tf.tensor1d([1, 2]), [2, 2]).dataSync()]).toEqual([1, 2, 1, 2]);
  });
});
