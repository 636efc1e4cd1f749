/** Where only onnxruntime-web is installed: methods compile to WebAssembly, answer as op by op, and say which runtime it was. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { normal, positive } from "../../src/dist/index.ts";
import {
  type EngineInfo,
  elbo,
  infer,
  iwae,
  langevin,
  model,
  type NdArray,
  ndarray,
  observe,
  param,
  rootKey,
  sample,
  snis,
  type TensorTree,
  train,
  useEngine,
} from "../../src/index.ts";
import { adam } from "../../src/inference/optim/index.ts";

vi.mock("../../src/compiler/runtime/session.ts", async (original) => {
  const { fail } = await import("../../src/core/errors.ts");
  const actual = await original<typeof import("../../src/compiler/runtime/session.ts")>();
  const createProgram: typeof actual.createProgram = async (graph, options) =>
    options?.runtime === "node"
      ? fail("engine", "onnxruntime-node is not installed")
      : actual.createProgram(graph, { ...options, runtime: "web" });
  return { ...actual, createProgram };
});

beforeAll(async () => {
  await useEngine("wasm");
});

const data = ndarray(Float32Array.from({ length: 20 }, (_, i) => 1 + Math.sin(3 * i)));
const target = model(function* () {
  const mu = yield* sample("mu", normal(tf.zeros([2]), 1).event(1));
  yield* observe("x", normal(tf.mul(tf.sum(tf.square(mu), -1, true), tf.ones([20])), 1).event(1), data);
});
const guide = model(function* () {
  const scale = yield* param("scale", tf.scalar(0.5), { constraint: positive });
  yield* sample("mu", normal(yield* param("loc", tf.ones([2])), scale).event(1));
});

/** Rounding, grown over the steps. */
const TOLERANCE = 1e-3;
const fitting = { steps: 12, stepsPerEpoch: 1, optimizer: adam(0.02), boundDraws: 2 };

type Compiled = EngineInfo["compiled"];
/** Each method, and what of its result is compared. */
const METHODS: {
  readonly [name: string]: (engine: "wasm" | "compiled") => Promise<{ compiled: Compiled; numbers: ArrayLike<number> }>;
} = {
  elbo: async (engine) => {
    const run = await infer(target, elbo(guide, fitting), { seed: 3, engine });
    return { compiled: run.engine.compiled, numbers: run.history.train };
  },
  iwae: async (engine) => {
    const run = await infer(target, iwae(guide, 5, fitting), { seed: 3, engine });
    return { compiled: run.engine.compiled, numbers: run.history.train };
  },
  snis: async (engine) => {
    const run = await infer(target, snis(2000), { seed: 3, engine });
    return { compiled: run.engine.compiled, numbers: [run.logEvidence.value, run.ess] };
  },
  langevin: async (engine) => {
    const run = await infer(target, langevin({ chains: 4, steps: 30, warmup: 0, stepSize: 0.01 }), { seed: 3, engine });
    return { compiled: run.engine.compiled, numbers: run.sites.mu.data as ArrayLike<number> };
  },
  train: async (engine) => {
    const params = { w: ndarray(new Float32Array(3)) };
    const loss = ({ w }: TensorTree) => tf.sum(tf.square(tf.sub(w as tf.Tensor, 2)));
    const run = await train({ params, loss, steps: 12, optimizer: adam(0.1), key: rootKey(3), engine });
    return { compiled: run.compiled, numbers: (run.params.w as NdArray).data };
  },
};

describe.each(Object.entries(METHODS))("%s on onnxruntime-web", (_, method) => {
  it("answers as op by op, and leaves nothing behind", async () => {
    const before = tf.memory().numTensors;
    const [plain, compiled] = [await method("wasm"), await method("compiled")];
    expect(compiled.compiled).toMatchObject({ used: true, runtime: "web" });
    expect(compiled.numbers.length).toBe(plain.numbers.length);
    Array.from(plain.numbers).forEach((x, i) => {
      expect(Math.abs((compiled.numbers[i] as number) - x) / Math.max(1, Math.abs(x)), `number ${i}`).toBeLessThan(
        TOLERANCE,
      );
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});
