/** Guides whose samplers look at learnt parameters: `auto` runs them op by op and says why, `compiled` is an error that names the site. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { beta, categorical, dirichlet, gamma, normal, positive } from "../../../src/dist/index.ts";
import { elbo, infer, model, observe, param, sample, useEngine } from "../../../src/index.ts";
import { adam } from "../../../src/inference/optim/index.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

const learnt = (name: string, shape: number[]) => param(name, tf.ones(shape), { constraint: positive });

const PAIRS = {
  gamma: [
    model(function* () {
      yield* observe("x", normal(yield* sample("z", gamma(2, 1)), 1), 1.5);
    }),
    model(function* () {
      yield* sample("z", gamma(yield* learnt("a", []), yield* learnt("b", [])));
    }),
  ],
  beta: [
    model(function* () {
      yield* observe("x", normal(yield* sample("z", beta(2, 1)), 1), 0.4);
    }),
    model(function* () {
      yield* sample("z", beta(yield* learnt("a", []), yield* learnt("b", [])));
    }),
  ],
  dirichlet: [
    model(function* () {
      yield* observe("x", normal(tf.sum(tf.square(yield* sample("z", dirichlet(tf.ones([3])))), -1), 1), 0.4);
    }),
    model(function* () {
      yield* sample("z", dirichlet(yield* learnt("a", [3])));
    }),
  ],
  categorical: [
    model(function* () {
      const z = yield* sample("z", categorical({ logits: tf.zeros([3]) }));
      yield* observe("x", normal(tf.cast(z, "float32"), 1), 0.4);
    }),
    model(function* () {
      yield* sample("z", categorical({ logits: yield* param("a", tf.zeros([3])) }));
    }),
  ],
} as const;

it.each(Object.entries(PAIRS))("%s", async (_, [target, guide]) => {
  const method = elbo(guide as (typeof PAIRS.gamma)[1], { steps: 120, optimizer: adam(0.02), boundDraws: 2 });
  const before = tf.memory().numTensors;
  const { engine } = await infer(target as (typeof PAIRS.gamma)[0], method, { seed: 1 });
  expect(engine).toMatchObject({ name: "wasm", compiled: { used: false } });
  expect(engine.compiled).toMatchObject({ reason: expect.stringMatching(/site "z".*op by op/s) });
  const error = await infer(target as (typeof PAIRS.gamma)[0], method, { seed: 1, engine: "compiled" }).catch(
    (e: unknown) => e,
  );
  expect(error).toMatchObject({ code: "trace", message: expect.stringMatching(/site "z"/) });
  // The backend that was active is active again.
  expect(tf.getBackend()).toBe("wasm");
  expect(tf.memory().numTensors).toBe(before);
});
