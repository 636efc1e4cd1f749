/**
 * Every op of the table, compiled: value, gradient and gradient of the gradient, recorded in one program, in single and in double
 * precision, against the wasm engine.
 */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { compileStep } from "../../src/compiler/step.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { OP_TABLE } from "../engine/op-table.ts";
import type { OpCase } from "../engine/table/case.ts";

/** Deterministic numbers in (0, 1), spread evenly (Weyl's sequence), so that no two elements tie. */
const spread = (i: number): number => (0.5 + (i + 1) * 0.6180339887498949) % 1;

function inputsOf({ shapes, domain: [low, high] }: OpCase): Float32Array[] {
  let i = 0;
  return shapes.map((shape) =>
    Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => low + (high - low) * spread(i++)),
  );
}

const weightsLike = (x: tf.Tensor, seed: number): tf.Tensor =>
  tf.tensor(
    Float32Array.from({ length: x.size }, (_, i) => 0.5 + spread(seed * i)),
    x.shape,
  );

/** Value, gradient of a curved loss, and gradient of (gradient · u). */
function everything({ run, flat }: OpCase, xs: tf.Tensor[]): Record<string, tf.Tensor> {
  const loss = (...x: tf.Tensor[]) => {
    const y = run(...x);
    return tf.sum(tf.mul(weightsLike(y, 3), tf.add(y, tf.mul(0.5, tf.square(y)))));
  };
  const first = tf.grads(loss)(xs);
  const along = (...x: tf.Tensor[]) =>
    tf.addN(
      tf
        .grads(loss)(x)
        .map((d, k) => tf.sum(tf.mul(d, weightsLike(d, 5 + k)))),
    );
  const second = flat ? [] : tf.grads(along)(xs);
  return {
    value: tf.cast(run(...xs), "float32"),
    ...Object.fromEntries(first.map((g, k) => [`first ${k}`, g])),
    ...Object.fromEntries(second.map((g, k) => [`second ${k}`, g])),
  };
}

/** Relative to the largest element: some dozen units in the last place, twice through. */
const TOLERANCE = 5e-5;

beforeAll(async () => {
  await useEngine("wasm");
});

describe("compiled ops", () => {
  it.each(OP_TABLE.map((row) => [row.name, row] as const))("%s", async (_, row) => {
    const data = inputsOf(row);
    const tensors = () => data.map((values, i) => tf.tensor(values, [...(row.shapes[i] as number[])]));
    const eager = tf.tidy(() =>
      Object.entries(everything(row, tensors())).map(([name, x]) => [name, [...x.dataSync()]] as const),
    );
    const before = tf.memory().numTensors;
    for (const dtype of ["float32", "float64"] as const) {
      const step = await compileStep({
        what: row.name,
        dtype,
        inputs: Object.fromEntries(row.shapes.map((shape, i) => [`x${i}`, { shape, dtype: "float32" as const }])),
        body: (inputs) => everything(row, Object.values(inputs)),
      });
      const out = await step.run(Object.fromEntries(data.map((x, i) => [`x${i}`, x])));
      for (const [name, wanted] of eager) {
        const found = [...(out?.[name] ?? [])];
        expect(found.length, name).toBe(wanted.length);
        const scale = Math.max(1, ...wanted.map(Math.abs));
        found.forEach((x, i) => {
          expect(
            Math.abs(x - (wanted[i] as number)) / scale,
            `${dtype} ${name} ${i}: ${x} for ${wanted[i]}`,
          ).toBeLessThan(TOLERANCE);
        });
      }
      step.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});
