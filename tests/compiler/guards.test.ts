/** Conditions inside a compiled step: checked in every run, whatever their size. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { compileStep } from "../../src/compiler/step.ts";
import { checkAll } from "../../src/core/tracing.ts";
import { useEngine } from "../../src/index.ts";

beforeAll(() => useEngine("wasm"));

const input = (...shape: number[]) => ({ shape, dtype: "float32" as const });

describe("holds, in a compiled step", () => {
  // More than SMALL_GUARD are joined within the run.
  it.each([1, 3, 5000])("sees the one element of %i that fails", async (n) => {
    const step = await compileStep({
      what: "test",
      inputs: { x: input(n) },
      body: ({ x }) => {
        checkAll(tf.greater(x as tf.Tensor, 0));
        return { y: tf.sum(x as tf.Tensor) };
      },
    });
    const good = new Float32Array(n).fill(1);
    expect((await step.run({ x: good }))?.y?.[0]).toBe(n);
    expect(await step.run({ x: good.with(n - 1, -1) })).toBeUndefined();
    expect(await step.run({ x: good.with(0, Number.NaN) })).toBeUndefined();
    step.dispose();
  });

  it("minds every one of several, of one shape and of others", async () => {
    const step = await compileStep({
      what: "test",
      inputs: { x: input(2), y: input(2), z: input(2, 2) },
      body: ({ x, y, z }) => {
        for (const value of [x, y, z]) checkAll(tf.greater(value as tf.Tensor, 0));
        return { sum: tf.add(tf.sum(x as tf.Tensor), tf.sum(z as tf.Tensor)) };
      },
    });
    const good = { x: Float32Array.of(1, 1), y: Float32Array.of(1, 1), z: Float32Array.of(1, 1, 1, 1) };
    expect((await step.run(good))?.sum?.[0]).toBe(6);
    for (const name of ["x", "y", "z"] as const)
      expect(await step.run({ ...good, [name]: good[name].with(1, 0) }), name).toBeUndefined();
    step.dispose();
  });

  it("minds every step of a repeated one", async () => {
    const step = await compileStep({
      what: "test",
      inputs: { z: input(2), by: input(2) },
      body: ({ z, by }) => {
        checkAll(tf.less(z as tf.Tensor, 10));
        return { next: tf.add(z as tf.Tensor, by as tf.Tensor) };
      },
      scan: { length: 3, carry: { z: "next" }, slices: ["by"] },
    });
    const run = (...by: number[]) => step.run({ z: Float32Array.of(0, 0), by: Float32Array.from(by) });
    expect((await run(1, 2, 3, 4, 5, 6))?.next).toEqual(Float32Array.of(9, 12));
    expect(await run(1, 20, 3, 4, 5, -16)).toBeUndefined();
    step.dispose();
  });
});
