/** Kernels of one's own on the driver: what they may do on every engine, and what is said of those that are none. */
import * as tf from "@tensorflow/tfjs-core";
import { ensureEngine, factor, infer, langevin, mcmc, model, ndarray, sample } from "tilted";
import { normal } from "tilted/dist";
import { type Kernel, type KernelState, mala, metropolis, ula } from "tilted/inference";
import { beforeAll, describe, expect, it } from "vitest";

beforeAll(() => ensureEngine());

const plane = model(function* () {
  return yield* sample("z", normal(tf.zeros([2]), 1).event(1));
});
const options = { chains: 6, steps: 160, warmup: 40, stepSize: 0.2 } as const;
const engines = ["wasm", "auto", "compiled"] as const;

interface Walk extends KernelState {
  readonly logp: tf.Tensor;
}
type Step = Kernel<Walk, { readonly xi: "normal"; readonly accept: "uniform" }>["step"];
const walk = (step: Step): Kernel<Walk, { readonly xi: "normal"; readonly accept: "uniform" }> => ({
  name: "walk",
  noise: { xi: "normal", accept: "uniform" },
  init: (x, target) => ({ x, logp: target.logp(x) }),
  step,
});
const metropolisWalk: Step = ({ x, logp, eta }, { xi, accept }, target) => {
  const y = tf.add(x, tf.mul(tf.sqrt(tf.mul(2, eta)), xi));
  const to = target.logp(y);
  const { accepted, info } = metropolis(tf.sub(to, logp), accept);
  return [{ x: tf.where(tf.expandDims(accepted, 1), y, x), logp: tf.where(accepted, to, logp), eta }, info];
};

describe("a kernel of one's own", () => {
  it.each(engines)("may take the logarithm of a uniform (%s)", async (engine) => {
    const jittered: Kernel<Walk, { readonly xi: "normal"; readonly accept: "uniform"; readonly u: "uniform" }> = {
      ...walk(metropolisWalk),
      noise: { xi: "normal", accept: "uniform", u: "uniform" },
      step: (state, { xi, accept, u }, target) =>
        metropolisWalk(state, { xi: tf.mul(xi, tf.expandDims(tf.neg(tf.log(u)), 1)), accept }, target),
    };
    const run = await infer(plane, mcmc(jittered, options), { seed: 1, engine });
    expect(run.nonFinite).toBe(0);
    expect(run.acceptance).toBeGreaterThan(0.3);
  });

  it.each(engines)("adapts its step size and goes on from a checkpoint as one long run (%s)", async (engine) => {
    const run = (more: object) =>
      infer(plane, mcmc(walk(metropolisWalk), { ...options, targetAcceptance: 0.5, ...more }), { seed: 1, engine });
    const long = await run({ steps: 240 });
    const first = await run({ steps: 130 });
    const second = await run({ steps: 110, warmup: 0, from: first.checkpoint });
    const of = ({ sites }: typeof long, c: number, n: number) => [...sites.z.data.slice(c * 2 * n, (c + 1) * 2 * n)];
    for (let c = 0; c < options.chains; c++)
      expect([...of(first, c, 130), ...of(second, c, 110)]).toEqual(of(long, c, 240));
    expect(Math.abs(long.acceptance - 0.5)).toBeLessThan(0.15);
  });

  it("that takes every proposal is said to be unadjusted, and has no acceptance to adapt to", async () => {
    const { warnings } = await infer(plane, mcmc(ula(), options), { seed: 1 });
    expect(warnings.join("\n")).toMatch(/unadjusted/);
    for (const engine of engines)
      await expect(
        infer(plane, mcmc(ula(), { ...options, targetAcceptance: 0.5 }), { seed: 1, engine }),
      ).rejects.toMatchObject({ code: "argument", message: expect.stringMatching(/leave out targetAcceptance/) });
  });
});

describe("what is no kernel", () => {
  const spoiled: readonly (readonly [string, Step, RegExp])[] = [
    [
      "x transposed",
      (...at) => [{ ...metropolisWalk(...at)[0], x: tf.transpose(at[0].x) }, metropolisWalk(...at)[1]],
      /"x" of shape \[2, 6\], and was given \[6, 2\]/,
    ],
    [
      "an entry more",
      (...at) => [{ ...metropolisWalk(...at)[0], more: at[0].x } as Walk, metropolisWalk(...at)[1]],
      /gives the entries .*"more"/,
    ],
    [
      "an entry less",
      (...at) => [{ x: at[0].x, eta: at[0].eta } as unknown as Walk, metropolisWalk(...at)[1]],
      /gives the entries "x", "eta", and was given/,
    ],
    ["no info", (...at) => [metropolisWalk(...at)[0], {} as never], /info.finite must be a tensor of shape \[6\]/],
  ];
  describe.each(spoiled)("a step with %s", (_, step, message) => {
    it.each(engines)("is named (%s)", async (engine) => {
      const before = tf.memory().numTensors;
      await expect(infer(plane, mcmc(walk(step), options), { seed: 1, engine })).rejects.toMatchObject({
        code: "shape",
        message: expect.stringMatching(message),
      });
      expect(tf.memory().numTensors).toBe(before);
    });
  });

  it("without a step, or with noise of no kind", () => {
    expect(() => mcmc({ name: "walk" } as never)).toThrow(/must be a kernel/);
    expect(() => mcmc({ ...walk(metropolisWalk), noise: { xi: "cauchy" } } as never)).toThrow(
      /"cauchy"; the kinds are/,
    );
  });
});

describe("a start that is none", () => {
  const nowhere = model(function* () {
    const x = yield* sample("x", normal(0, 1));
    yield* factor("wall", tf.fill(x.shape, Number.NEGATIVE_INFINITY));
  });
  const singular = model(function* () {
    const x = yield* sample("x", normal(0, 1));
    yield* factor("root", tf.sqrt(tf.abs(x)));
  });

  it("is said so: no draw of the prior has a density, or the gradient is not finite", async () => {
    await expect(infer(nowhere, langevin({ chains: 4, steps: 5 }), { seed: 1 })).rejects.toMatchObject({
      code: "non-finite",
      message: expect.stringMatching(/none of 64 draws of the prior is possible/),
    });
    const init = { x: ndarray(new Float32Array(2)) };
    await expect(infer(singular, langevin({ chains: 2, steps: 5, init }), { seed: 1 })).rejects.toMatchObject({
      code: "non-finite",
      message: expect.stringMatching(/chain 0 starts where its grad is/),
    });
  });
});

describe("a checkpoint", () => {
  it("without an entry of the kernel's state, or with one of another shape, is damaged", async () => {
    const { checkpoint } = await infer(plane, mcmc(mala(), options), { seed: 1 });
    const { x, logp } = checkpoint.state as Record<"x" | "logp", (typeof checkpoint.state)[string]>;
    for (const state of [{ x }, { ...checkpoint.state, logp: { ...logp, shape: [2, 3] } }])
      await expect(
        infer(plane, mcmc(mala(), { ...options, from: { ...checkpoint, state } }), { seed: 1 }),
      ).rejects.toMatchObject({ code: "argument", message: expect.stringMatching(/damaged/) });
    await expect(
      infer(plane, mcmc(walk(metropolisWalk), { ...options, from: checkpoint }), { seed: 1 }),
    ).rejects.toMatchObject({
      code: "argument",
      message: expect.stringMatching(/of the kernel mala, this run of walk/),
    });
  });
});

describe("warm-up", () => {
  it("is compiled where the start is far off too: calls of many steps after the burn-in", async () => {
    const y = ndarray(Float32Array.from({ length: 20 }, () => 40));
    const far = model(function* () {
      const mu = yield* sample("mu", normal(tf.zeros([20]), 1).event(1));
      yield* factor("data", tf.mul(-50, tf.sum(tf.square(tf.sub(mu, y.tensor())), -1)));
    });
    const seen: number[] = [];
    await infer(far, langevin({ chains: 16, steps: 400, warmup: 300 }), {
      seed: 1,
      engine: "compiled",
      onProgress: ({ step }) => seen.push(step),
    });
    // 150 steps of burn-in, 150 that adapt.
    expect(seen.filter((step) => step > 150 && step <= 300).length).toBeLessThan(10);
  });

  it("has the same draws on one thread and on several", async () => {
    const run = (threads: number) =>
      infer(plane, langevin({ chains: 8, steps: 300, warmup: 60 }), { seed: 1, engine: "compiled", threads });
    const [one, two] = [await run(1), await run(2)];
    expect(two.sites.z.data).toEqual(one.sites.z.data);
    expect(two.stepSize).toBe(one.stepSize);
  });
});
