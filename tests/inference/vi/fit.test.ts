/** Fits by variational methods: where they end, how they stop and resume, and what they refuse. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import { type NdArray, ndarray } from "../../../src/core/array.ts";
import type { TiltedError } from "../../../src/core/errors.ts";
import { rootKey } from "../../../src/core/key.ts";
import { normal as draws } from "../../../src/core/random/draws.ts";
import { bernoulli, exponential, logNormal, normal } from "../../../src/dist/index.ts";
import { factor, model, observe, param, sample } from "../../../src/effects/effects.ts";
import { plate } from "../../../src/effects/plate.ts";
import { useEngine } from "../../../src/engine/engine.ts";
import { infer, type Progress } from "../../../src/inference/method/infer.ts";
import { adam, sgd } from "../../../src/inference/optim/optimizers.ts";
import { cosineDecay } from "../../../src/inference/optim/schedules.ts";
import type { TrainState } from "../../../src/inference/train/train-types.ts";
import { elbo } from "../../../src/inference/vi/elbo.ts";
import { iwae } from "../../../src/inference/vi/iwae.ts";
import { expectMean } from "../../support/statistics.ts";

beforeAll(() => useEngine("wasm"));

/** μ ~ N(0, 1), xᵢ ~ N(μ, 1): posterior N(Σx/(n + 1), 1/(n + 1)). */
const N = 24;
const values = draws(rootKey("conjugate"), N).map((e) => e + 1.5);
const x = ndarray(values, [N]);
const conjugate = (subsample = N) =>
  model(function* (data: NdArray) {
    const mu = yield* sample("mu", normal(0, 1));
    yield* plate("data", N, { subsample }, function* ({ gather }) {
      yield* observe("x", normal(mu, 1), gather(data));
    });
  });
const gaussian = model(function* (_data: NdArray) {
  const loc = yield* param("loc", 0);
  const s = yield* param("logScale", 0);
  yield* sample("mu", normal(loc, tf.exp(s)));
});
const total = values.reduce((a, b) => a + b, 0);
const POSTERIOR = { loc: total / (N + 1), scale: 1 / Math.sqrt(N + 1) };
/** log N(x; 0, I + 11ᵀ). */
const EVIDENCE =
  -0.5 * (N * Math.log(2 * Math.PI) + Math.log(N + 1) + values.reduce((a, b) => a + b * b, 0) - total ** 2 / (N + 1));

describe("a conjugate normal", () => {
  it.each([
    [
      "elbo, path only",
      elbo(gaussian, { estimator: "stl", optimizer: adam(cosineDecay({ from: 0.1, steps: 200 })), steps: 200 }),
    ],
    ["elbo", elbo(gaussian, { particles: 16, optimizer: adam(cosineDecay({ from: 0.1, steps: 200 })), steps: 200 })],
    [
      "iwae, DReG",
      iwae(gaussian, 4, { estimator: "dreg", optimizer: adam(cosineDecay({ from: 0.1, steps: 1000 })), steps: 1000 }),
    ],
  ])("%s finds the posterior, where the bound is the evidence", async (_, method) => {
    const before = tf.memory().numTensors;
    const fit = await infer(conjugate(), method, { args: [x], seed: 3 });
    expect(tf.memory().numTensors).toBe(before);
    expectTypeOf<keyof typeof fit.constrained>().toEqualTypeOf<"loc" | "logScale">();
    const loc = fit.params.loc.data[0] as number;
    const scale = Math.exp(fit.params.logScale.data[0] as number);
    // KL between two normals: the gap that is left, far below a posterior standard deviation.
    const gap =
      (scale ** 2 + (loc - POSTERIOR.loc) ** 2) / (2 * POSTERIOR.scale ** 2) - 0.5 - Math.log(scale / POSTERIOR.scale);
    expect(gap).toBeLessThan(2e-3);
    expect(Math.abs(fit.bound.value - EVIDENCE)).toBeLessThan(2e-3 + 6 * fit.bound.standardError);
    expect(fit).toMatchObject({ rows: 1, stopped: "finished" });
  });

  it("minibatches find it too", async () => {
    const method = elbo(gaussian, { optimizer: adam(cosineDecay({ from: 0.07, steps: 280 })), epochs: 70 });
    const fit = await infer(conjugate(6), method, { args: [x], seed: 3 });
    expect(fit).toMatchObject({ steps: 280, epochs: 70 });
    expect(Math.abs((fit.params.loc.data[0] as number) - POSTERIOR.loc)).toBeLessThan(POSTERIOR.scale / 4);
    expect(Math.abs((fit.params.logScale.data[0] as number) - Math.log(POSTERIOR.scale))).toBeLessThan(0.15);
    // The bound is over all rows all the same.
    expect(fit.bound.value).toBeLessThan(EVIDENCE + 6 * fit.bound.standardError);
    expect(fit.bound.value).toBeGreaterThan(EVIDENCE - 0.2);
  });

  it("minibatches give the whole bound on average, also with a latent outside the plate", async () => {
    // At q = N(0, 1), the prior: E log p(x | μ) = −½ Σ (log 2π + x² + 1).
    const exact = -0.5 * values.reduce((s, v) => s + Math.log(2 * Math.PI) + v * v + 1, 0);
    const fit = await infer(conjugate(6), elbo(gaussian, { optimizer: sgd(0), epochs: 40, particles: 100 }), {
      args: [x],
      seed: 5,
    });
    expectMean(fit.history.train, -exact, { what: "minibatched ELBO", detects: 5 });
  });

  it("learns parameters of the model as well, through their constraints", async () => {
    // x ~ N(0, τ²), τ a parameter, no latent: maximum likelihood, τ̂² = mean x².
    const scaleOnly = model(function* (data: NdArray) {
      const tau = yield* param("tau", 0.5, { constraint: logNormal(0, 1).support });
      yield* plate("data", N, function* () {
        yield* observe("x", normal(0, tau), data);
      });
    });
    const nothing = model(function* (_data: NdArray) {});
    const method = elbo(nothing, { optimizer: adam(cosineDecay({ from: 0.1, steps: 300 })), steps: 300 });
    const fit = await infer(scaleOnly, method, { args: [x], seed: 3 });
    const mle = Math.sqrt(values.reduce((a, b) => a + b * b, 0) / N);
    expect(fit.constrained.tau.data[0]).toBeCloseTo(mle, 3);
    expect(fit.bound.standardError).toBeLessThan(1e-6);
    expect(fit.history.train.at(-1)).toBeCloseTo(-fit.bound.value / N, 4);
  });

  it("discrete latents, one particle, running baseline", async () => {
    const coin = model(function* () {
      const z = yield* sample("z", bernoulli({ probs: 0.5 }));
      yield* observe("y", normal(tf.mul(3, z), 1), 2.5);
    });
    const guide = model(function* () {
      yield* sample("z", bernoulli({ logits: yield* param("logit", 0) }));
    });
    const method = elbo(guide, { optimizer: adam(cosineDecay({ from: 0.15, steps: 280 })), steps: 280 });
    const fit = await infer(coin, method, { seed: 3 });
    // Posterior log-odds: log N(2.5; 3, 1)/N(2.5; 0, 1) = 3.
    expect(Math.abs((fit.params.logit.data[0] as number) - 3)).toBeLessThan(0.6);
    const [sum = 0, weight = 1] = fit.state.carry.baseline?.data ?? [];
    expect(Math.abs(sum / weight - fit.bound.value)).toBeLessThan(0.5);
  });
});

describe("running", () => {
  const options = { optimizer: adam(0.05), epochs: 8, boundDraws: 5 } as const;
  const run = (more: object = {}, seed = 3) =>
    infer(conjugate(6), elbo(gaussian, { ...options, ...more }), { args: [x], seed });
  const numbers = (fit: Awaited<ReturnType<typeof run>>) => ({
    params: [...fit.params.loc.data, ...fit.params.logScale.data],
    history: fit.history,
    bound: fit.bound,
  });

  it("is a function of its seed", async () => {
    expect(numbers(await run())).toEqual(numbers(await run()));
    expect(numbers(await run())).not.toEqual(numbers(await run({}, 4)));
  });

  it("resumes from the state of an epoch, bit for bit, shuffles included", async () => {
    const states: TrainState[] = [];
    const whole = await run({ onEpoch: (info: { state(): TrainState }) => void states.push(info.state()) });
    expect(numbers(await run({ from: states[2] }))).toEqual(numbers(whole));
  });

  it("stops early on held-out arguments, and restores the best", async () => {
    const held = ndarray(
      values.map((v) => v - 1.2),
      [N],
    );
    const fit = await run({ epochs: 200, validation: { args: [held] }, patience: 5, optimizer: adam(0.02) });
    expect(fit.stopped).toBe("early");
    expect(fit.epochs).toBe(fit.bestEpoch + 1 + 5);
    expect(Math.min(...fit.history.validation)).toBe(fit.history.validation[fit.bestEpoch]);
    expect(fit.params.loc.data[0]).not.toBe(fit.state.params.loc?.data[0]);
  });

  it("aborts, and leaves nothing behind", async () => {
    const before = tf.memory().numTensors;
    const controller = new AbortController();
    const onProgress = ({ step }: Progress) => {
      if (step === 3) controller.abort("enough");
    };
    const aborted = infer(conjugate(), elbo(gaussian), { args: [x], seed: 1, signal: controller.signal, onProgress });
    await expect(aborted).rejects.toMatchObject({ code: "aborted" });
    // Also between the chunks of the final estimate, where rows are their own data: 24 of them, one at a time.
    const rows = model(function* () {
      yield* plate("data", N, { subsample: 1 }, function* () {
        yield* sample("z", normal(0, 1));
      });
    });
    const later = new AbortController();
    let ticks = 0;
    const onTick = () => {
      if (++ticks === 3) later.abort();
    };
    const estimate = infer(rows, elbo(rows, { steps: 0 }), { seed: 1, signal: later.signal, onProgress: onTick });
    await expect(estimate).rejects.toMatchObject({ code: "aborted" });
    expect(tf.memory().numTensors).toBe(before);
  });

  it("keeps frozen parameters, and goes on from given ones", async () => {
    const frozen = await run({ freeze: ["logScale"] });
    expect(frozen.params.logScale.data[0]).toBe(0);
    expect(frozen.params.loc.data[0]).not.toBe(0);
    const from = { loc: ndarray(Float32Array.of(2), []) };
    const still = await infer(conjugate(), elbo(gaussian, { steps: 0 }), { args: [x], seed: 1, params: from });
    expect(still.params.loc.data[0]).toBe(2);
    expect(still).toMatchObject({ steps: 0, epochs: 0, bestEpoch: -1 });
  });

  it("reports progress", async () => {
    const seen: Progress[] = [];
    await infer(conjugate(), elbo(gaussian, { steps: 3 }), {
      args: [x],
      seed: 1,
      onProgress: (p) => void seen.push(p),
    });
    expect(seen.map((p) => p.step)).toEqual([1, 2, 3]);
    expect(seen[0]).toMatchObject({ method: "elbo", total: 3, metrics: { loss: expect.any(Number) } });
  });
});

describe("what does not fit is refused by name", () => {
  const simple = model(function* () {
    yield* sample("a", normal(0, 1));
    yield* plate("rows", 3, function* () {
      yield* sample("b", normal(tf.zeros([2]), 1).event(1));
    });
  });
  const guideOf = (spec: {
    a?: boolean;
    b?: boolean;
    extra?: boolean;
    size?: number;
    event?: number;
    outside?: boolean;
  }) =>
    model(function* () {
      const { a = true, b = true, extra = false, size = 3, event = 2, outside = false } = spec;
      const shift = yield* param("shift", 0);
      if (a) yield* sample("a" as string, normal(shift, 1));
      if (extra) yield* sample("c" as string, normal(0, 1));
      const row = normal(tf.zeros([event]), 1).event(1);
      if (b && outside) yield* sample("b" as string, row);
      else if (b) yield* plate("rows", size, () => sample("b" as string, row));
    });
  const failure = async (run: Promise<unknown>): Promise<TiltedError> => {
    const before = tf.memory().numTensors;
    const error = await run.then(
      () => expect.unreachable("should have thrown"),
      (e: unknown) => e as TiltedError,
    );
    expect(tf.memory().numTensors).toBe(before);
    return error;
  };
  const fitting = (guide: ReturnType<typeof guideOf>) => failure(infer(simple, elbo(guide, { steps: 1 }), { seed: 1 }));

  it.each([
    [{ b: false }, "missing-site", "b", 'misses the latent site "b"; it has "a"'],
    [{ extra: true }, "extra-site", "c", 'no latent site "c"'],
    [{ size: 4 }, "plate", "rows", "4"],
    [{ outside: true }, "plate", "b", '"rows" (3) in the model and in no plate in the guide'],
    [{ event: 5 }, "shape", "b", "[2] in the model and [5] in the guide"],
  ] as const)("%o", async (spec, code, site, message) => {
    const error = await fitting(guideOf(spec));
    expect(error).toMatchObject({ code, site });
    expect(error.message).toContain(message);
  });

  it("a guide that misspells a site does not compile", () => {
    const wrong = model(function* (_data: NdArray) {
      yield* sample("nu", normal(0, 1));
    });
    // @ts-expect-error "the guide misses the latent site 'mu'"
    void (() => infer(conjugate(), elbo(wrong), { args: [x], seed: 1 }));
  });

  it("supports, factors, data in a guide, and nothing to fit", async () => {
    const positive = model(function* () {
      yield* sample("a", exponential(1));
    });
    const loose = model(function* () {
      yield* sample("a", normal(yield* param("m", -8), 1));
    });
    const error = await failure(infer(positive, elbo(loose, { steps: 1 }), { seed: 1 }));
    expect(error).toMatchObject({ code: "support", site: "a" });
    // A guide on the right support works.
    const tight = model(function* () {
      yield* sample("a", logNormal(yield* param("m", 0), 1));
    });
    await infer(positive, elbo(tight, { steps: 1 }), { seed: 1 });

    const one = model(function* () {
      yield* sample("a", normal(0, 1));
    });
    const observing = model(function* () {
      yield* sample("a", normal(0, 1));
      yield* observe("y", normal(0, 1), 1);
    });
    expect(await failure(infer(one, elbo(observing), { seed: 1 }))).toMatchObject({ code: "unsupported", site: "y" });
    const factored = model(function* () {
      yield* sample("a", normal(0, 1));
      yield* factor("f", 1);
    });
    expect(await failure(infer(one, elbo(factored), { seed: 1 }))).toMatchObject({ code: "argument", site: "f" });
    expect((await failure(infer(one, elbo(one), { seed: 1 }))).message).toContain("no parameters to fit");
    const freeze = elbo(loose, { steps: 1, freeze: ["nope"] });
    expect((await failure(infer(one, freeze, { seed: 1 }))).message).toContain('no parameter "nope"');
  });

  it("what would bound nothing, or has no gradient", async () => {
    expect(await failure(infer(conjugate(6), iwae(gaussian, 5), { args: [x], seed: 1 }))).toMatchObject({
      code: "plate",
      site: "data",
    });
    const coin = model(function* () {
      yield* sample("z", bernoulli({ logits: yield* param("l", 0) }));
    });
    const dreg = iwae(coin, 3, { estimator: "dreg" });
    expect(await failure(infer(coin, dreg, { seed: 1 }))).toMatchObject({ code: "not-differentiable", site: "z" });
    expect(() => elbo(coin, { estimator: "stl", kl: "analytic" })).toThrow(/sampled/);
    expect(() => elbo(coin, { particles: 0 })).toThrow(/particles/);
    expect(() => iwae(coin, 1.5)).toThrow(/k must be/);
    expect((await failure(infer(coin, elbo(coin, { steps: 1, epochs: 1 }), { seed: 1 }))).message).toContain(
      "not both",
    );
  });

  it("a draw that the model makes impossible later names the site", async () => {
    // Inside the support at first; a large step takes the guide out of it.
    const unit = model(function* () {
      const a = yield* sample("a", normal(0, 1));
      yield* factor("fence", tf.where(tf.greater(a, 0.5), tf.scalar(Number.NEGATIVE_INFINITY), tf.mul(10, a)));
    });
    const guide = model(function* () {
      yield* sample("a", normal(yield* param("m", -20), 0.1));
    });
    const run = infer(unit, elbo(guide, { optimizer: sgd(5), steps: 20 }), { seed: 1 });
    expect(await failure(run)).toMatchObject({ code: "non-finite", site: "fence" });
  });
});
