import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { hostTensor } from "../core/tracing.ts";
import { normal } from "../dist/index.ts";
import { ensureEngine } from "../engine/engine.ts";
import { endThreads, sessionsInThreads } from "./runtime/shard-thread.ts";
import { compileShards, type ShardOptions } from "./shards.ts";
import { compileStep, type StepSpec, type Values } from "./step.ts";

beforeAll(() => ensureEngine());

/** Rows of one shard and steps of one call. */
const [rows, length] = [3, 4];
/** Large enough to be an input of its own. */
const wide = Float32Array.from({ length: 1 << 20 }, (_, i) => Math.sin(i) / 1024);

/** A walk with a drift, and the scale of a density, which must be positive. */
const spec: StepSpec = {
  what: "a walk",
  inputs: {
    x: { shape: [rows, 2], dtype: "float32" },
    noise: { shape: [rows, 2], dtype: "float32" },
    scale: { shape: [rows], dtype: "float32" },
  },
  body(given) {
    const [x, noise, scale] = [given.x, given.noise, given.scale] as [tf.Tensor, tf.Tensor, tf.Tensor];
    const fixed = tf.tensor2d(wide, [1024, 1024]);
    const drift = tf.slice(
      tf.matMul(
        tf.pad(x as tf.Tensor2D, [
          [0, 0],
          [0, 1022],
        ]),
        fixed,
      ),
      [0, 0],
      [rows, 2],
    );
    const next = tf.add(tf.add(x, drift), noise);
    return { x: next, path: next, density: normal(0, scale).logProb(tf.sum(next, 1)) };
  },
  scan: { length, carry: { x: "x" }, slices: ["noise"] },
};

const values = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(k * i + k));
/** Inputs of shard `j` in turn `t`. */
const inputsOf = (j: number, t = 0): Values => ({
  x: values(rows * 2, 1 + j + t),
  noise: values(rows * 2 * length, 7 * j + t + 0.5),
  scale: new Float32Array(rows).fill(1 + j),
});
const fillWith =
  (inputs: (j: number) => Values) =>
  (j: number, into: Values): void => {
    for (const [name, array] of Object.entries(inputs(j))) into[name]?.set(array);
  };

/** Turns of the event loop until a condition holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function shardsFor(count: number, options?: ShardOptions) {
  const shards = await compileShards(spec, count, options);
  onTestFinished(() => shards.dispose());
  return shards;
}

/** Copies: outputs hold until the next run only. */
const kept = (all: readonly Values[] | undefined) =>
  all?.map((out) => Object.fromEntries(Object.entries(out).map(([name, array]) => [name, Array.from(array)])));

describe("shards", () => {
  it("are the step with the inputs of each, again and again", async () => {
    const shards = await shardsFor(3);
    const step = await compileStep({ ...spec, threads: 1 });
    onTestFinished(() => step.dispose());
    expect(shards.count).toBe(3);
    for (const t of [0, 1, 2]) {
      const wanted = [0, 1, 2].map((j) => step.run(inputsOf(j, t)) as Values);
      expect(kept(shards.run(fillWith((j) => inputsOf(j, t))))).toEqual(kept(wanted));
    }
  });

  it.each([0, 1, 2])("count no run in which a check fails in shard %i", async (bad) => {
    const shards = await shardsFor(3);
    const inputs = (j: number) => (j === bad ? { ...inputsOf(j), scale: Float32Array.of(1, 1, -1) } : inputsOf(j));
    expect(shards.run(fillWith(inputs))).toBeUndefined();
    expect(shards.run(fillWith(inputsOf))).toHaveLength(3);
  });

  it("keep inputs that are not written anew", async () => {
    const shards = await shardsFor(2);
    const first = kept(shards.run(fillWith(inputsOf)));
    expect(kept(shards.run(() => undefined))).toEqual(first);
  });

  it("go on in the calling thread, with the same bits, when their thread ended", async () => {
    const shards = await shardsFor(3);
    const before = kept(shards.run(fillWith(inputsOf)));
    await endThreads();
    expect(kept(shards.run(fillWith(inputsOf)))).toEqual(before);
    const again = await shardsFor(3);
    expect(kept(again.run(fillWith(inputsOf)))).toEqual(before);
  });

  it("also when nothing is known of that end: they wait so long and no longer", async () => {
    const shards = await shardsFor(2, { timeout: 100 });
    const before = kept(shards.run(fillWith(inputsOf)));
    // The news of it cannot arrive before this function waits for something.
    const ended = endThreads();
    expect(kept(shards.run(fillWith(inputsOf)))).toEqual(before);
    await ended;
  });

  it("leave no session behind: neither after dispose nor when the step cannot be compiled", async () => {
    const shards = await compileShards(spec, 2);
    const others = await compileShards(spec, 2);
    expect(sessionsInThreads()).toBe(2);
    shards.dispose();
    await until(() => sessionsInThreads() === 1);
    others.dispose();
    await until(() => sessionsInThreads() === 0);
    expect(() => others.run(() => undefined)).toThrow(
      expect.objectContaining({ code: "engine", message: expect.stringContaining("disposed") }),
    );
    const { scan: _, ...single } = spec;
    const made: StepSpec = {
      ...single,
      body: (given) => ({
        y: tf.add(
          given.x as tf.Tensor,
          hostTensor(() => values(2, 1), [2]),
        ),
      }),
    };
    await expect(compileShards(made, 2)).rejects.toMatchObject({ code: "unsupported" });
    expect(sessionsInThreads()).toBe(0);
  });
});
