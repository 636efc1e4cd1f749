/** Without ONNX Runtime: `auto` runs op by op and says so, `compiled` is an error that says what to install. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { normal } from "../../src/dist/index.ts";
import { elbo, infer, langevin, model, param, sample, snis, tilt, useEngine } from "../../src/index.ts";

vi.mock("../../src/compiler/runtime/session.ts", async () => {
  const { fail } = await import("../../src/core/errors.ts");
  return {
    createProgram: async () => fail("engine", "The compiled engine needs ONNX Runtime: install onnxruntime-node"),
  };
});

beforeAll(async () => {
  await useEngine("wasm");
});

const wide = 256;
const target = pipe(
  model(function* () {
    yield* sample("z", normal(tf.zeros([2]), 1).event(1));
  }),
  tilt("z", (z) => {
    const h = tf.tanh(tf.matMul(tf.reshape(z, [-1, 2]), tf.fill([2, wide], 0.1)));
    return tf.reshape(tf.sum(tf.tanh(tf.matMul(h, tf.fill([wide, wide], 0.01))), 1), z.shape.slice(0, -1));
  }),
);
const guide = model(function* () {
  yield* sample("z", normal(yield* param("loc", tf.zeros([2])), 1).event(1));
});

const METHODS = {
  elbo: elbo(guide, { steps: 100, boundDraws: 2 }),
  langevin: langevin({ chains: 4, steps: 100, warmup: 0 }),
  snis: snis(40_000),
} as const;

describe.each(Object.entries(METHODS))("%s", (_, method) => {
  it("runs op by op under auto, which says what to install", async () => {
    const before = tf.memory().numTensors;
    const found = (await infer(target, method as typeof METHODS.snis, { seed: 1 })) as { engine: unknown };
    expect(found.engine).toMatchObject({ compiled: { used: false, reason: expect.stringMatching(/install/) } });
    expect(tf.memory().numTensors).toBe(before);
  });

  it("is an error under compiled", async () => {
    const error = await infer(target, method as typeof METHODS.snis, { seed: 1, engine: "compiled" }).catch(
      (e: unknown) => e,
    );
    expect(error).toMatchObject({ code: "engine", message: expect.stringMatching(/install/) });
  });
});
