/** Langevin dynamics: exact biases, what it owes its randomness, diagnostics and faults. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { beforeAll, describe, expect, it } from "vitest";
import { type NdArray, ndarray } from "../../../src/core/array.ts";
import { rootKey } from "../../../src/core/key.ts";
import { normal as draws } from "../../../src/core/random/draws.ts";
import { improper, normal, positive, real } from "../../../src/dist/index.ts";
import { model, observe, sample } from "../../../src/effects/effects.ts";
import { condition, tilt } from "../../../src/effects/handlers.ts";
import { plate } from "../../../src/effects/plate.ts";
import { useEngine } from "../../../src/engine/engine.ts";
import type { Checkpoint } from "../../../src/inference/mcmc/checkpoint.ts";
import { type LangevinOptions, langevin } from "../../../src/inference/mcmc/langevin.ts";
import { infer } from "../../../src/inference/method/infer.ts";
import { expectDiffers, expectEstimate, expectMean, meanOf } from "../../support/statistics.ts";

beforeAll(() => useEngine("wasm"));

const gaussian = (loc: number, scale: number) =>
  model(function* () {
    return yield* sample("x", normal(loc, scale));
  });
/** Draws kept by a run of so many chains that are independent of each other: the last of each. */
const last = ({ data, shape }: NdArray) => {
  const [chains = 0, kept = 0] = shape;
  return Float64Array.from({ length: chains }, (_, c) => data[(c + 1) * kept - 1] as number);
};
const start = (chains: number, spread = 1) =>
  ndarray(
    draws(rootKey("start"), chains).map((x) => spread * x),
    [chains],
  );

it("lets timers have their turn while many entries are diagnosed", async () => {
  const wide = model(function* () {
    return yield* sample("x", normal(tf.zeros([100]), 1).event(1));
  });
  let sampled = false;
  let turns = 0;
  const timer = setInterval(() => {
    if (sampled) turns++;
  }, 1);
  const { rhat } = await infer(wide, langevin({ chains: 32, steps: 500, warmup: 0, stepSize: 0.1 }), {
    seed: 1,
    onProgress({ step, total }) {
      sampled = step === total;
    },
  });
  clearInterval(timer);
  expect(rhat).toBeGreaterThan(0);
  expect(turns).toBeGreaterThan(0);
});

describe("ULA", () => {
  it.each([
    { s: 2, eta: 1, T: 1 },
    { s: 0.5, eta: 0.1, T: 1 },
    { s: 1, eta: 0.5, T: 2 },
  ])("on N(3, $s²) at η = $eta, T = $T: variance s²T/(1 − η/(2s²)), mean exact", async ({ s, eta, T }) => {
    const variance = (s * s * T) / (1 - eta / (2 * s * s));
    const steps = Math.ceil((14 * s * s) / eta);
    const options = { chains: 8000, steps: 1, warmup: steps, stepSize: eta, temperature: T, adjusted: false } as const;
    const r = await infer(gaussian(3, s), langevin(options), { seed: 1 });
    const x = last(r.sites.x);
    expectMean(x, 3, { what: "mean", detects: 0.12 * Math.sqrt(variance) });
    const squares = x.map((v) => (v - 3) ** 2);
    expectMean(squares, variance, { what: "variance", detects: 0.17 * variance });
    // The bias is seen: it is not the variance of the target.
    if (eta / (s * s) > 0.3) expectDiffers(meanOf(squares), s * s * T);
  });

  it("has the autocorrelation 1 − η/s²: ESS/n is (1 − a)/(1 + a)", async () => {
    const [chains, steps] = [20, 1500];
    for (const eta of [0.3, 1.5]) {
      const options = { chains, steps, warmup: 50, stepSize: eta, adjusted: false } as const;
      const r = await infer(gaussian(0, 1), langevin(options), { seed: 2 });
      const a = 1 - eta;
      const truth = (chains * steps * (1 - a)) / (1 + a);
      expect(Math.abs(r.bulkEss / truth - 1)).toBeLessThan(0.15);
      expect(r.rhat).toBeLessThan(1.01);
    }
  });

  it("beyond η = 2s² has nothing stationary, and the diagnostics say so", async () => {
    const options = {
      chains: 8,
      steps: 300,
      warmup: 0,
      stepSize: 2.2,
      adjusted: false,
      init: { x: start(8) },
    } as const;
    const r = await infer(gaussian(0, 1), langevin(options), { seed: 3 });
    expect(r.trusted).toBe(false);
    expect(r.warnings.join("\n")).toMatch(/R-hat|no finite density/);
  });
});

describe("MALA", () => {
  it.each([0.25, 1, 2])("at temperature T = %d settles in p^{1/T}: variance s²T exactly", async (T) => {
    const chains = 8000;
    const method = langevin({ chains, steps: 1, warmup: 60, stepSize: 0.3, temperature: T });
    const x = last((await infer(gaussian(3, 2), method, { seed: 4 })).sites.x);
    expectMean(x, 3, { what: "mean", detects: 0.24 * Math.sqrt(T) });
    expectMean(
      x.map((v) => (v - 3) ** 2),
      4 * T,
      { what: "variance", detects: 0.6 * T },
    );
  });

  it.each([0.3, 0.57, 0.9])("warm-up finds the step that accepts %d", async (targetAcceptance) => {
    const d = 8;
    const wide = model(function* () {
      yield* sample("x", normal(tf.zeros([d]), 5).event(1));
    });
    for (const stepSize of [1e-4, 50]) {
      const r = await infer(wide, langevin({ chains: 50, steps: 150, warmup: 250, stepSize, targetAcceptance }), {
        seed: 5,
      });
      expect(Math.abs(r.acceptance - targetAcceptance)).toBeLessThan(0.06);
    }
  });

  it("a constant energy changes nothing", async () => {
    const flat = pipe(
      gaussian(1, 2),
      tilt("x", (x) => tf.fill(x.shape, 4)),
    );
    const method = langevin({ chains: 10, steps: 20, warmup: 0, stepSize: 0.5 });
    const [a, b] = [await infer(flat, method, { seed: 6 }), await infer(gaussian(1, 2), method, { seed: 6 })];
    a.sites.x.data.forEach((x, i) => {
      expect(x).toBeCloseTo(b.sites.x.data[i] as number, 4);
    });
  });

  it("starts improper sites somewhere, and finds their posterior", async () => {
    // Flat mean and log-flat scale, ten data: the mean of mu is that of the data, 9s²/σ² is χ²₉, so E σ² = 9s²/7.
    const y = Float32Array.from([2, 3.5, 0, -1, 1.5, 4, -1.5, 1, 2.5, -2]);
    const m = model(function* () {
      const mu = yield* sample("mu", improper(real, []));
      const sigma = yield* sample("sigma", improper(positive, []));
      yield* plate("rows", 10, function* () {
        yield* observe("y", normal(mu, sigma), ndarray(y));
      });
      return sigma;
    });
    const scaled = pipe(
      m,
      tilt("sigma", (s) => tf.log(s)),
    );
    const r = await infer(scaled, langevin({ chains: 100, steps: 600, warmup: 300, stepSize: 0.01 }), { seed: 7 });
    const mean = y.reduce((s, v) => s + v, 0) / 10;
    const { mu } = r.diagnostics;
    const at = { value: mu.mean.data[0] as number, standardError: mu.mcse.data[0] as number };
    expectEstimate(at, mean, { what: "mu", detects: 0.2 });
    const variance = y.reduce((s, v) => s + (v - mean) ** 2, 0) / 9;
    const perChain = Float64Array.from({ length: 100 }, (_, c) => {
      let sum = 0;
      for (let t = 0; t < 600; t++) sum += (r.sites.sigma.data[c * 600 + t] as number) ** 2;
      return sum / 600;
    });
    expectMean(perChain, (9 * variance) / 7, { what: "E σ²", detects: 0.9 });
    expect(r.rhat).toBeLessThan(1.06);
  });
});

describe("a posterior far from the start", () => {
  const around = (loc: number, n: number, spread = 1) => {
    const y = draws(rootKey("far"), n).map((x) => loc + spread * x);
    const mean = y.reduce((s, v) => s + v / n, 0);
    return { y: ndarray(y), mean, squares: y.reduce((s, v) => s + (v - mean) ** 2, 0) };
  };
  const at = (d: { readonly mean: NdArray; readonly mcse: NdArray }) => ({
    value: d.mean.data[0] as number,
    standardError: d.mcse.data[0] as number,
  });

  it.each([100, 1e4, -1e4])("is reached from a flat prior: y ~ N(mu, 1) about %d", async (loc) => {
    const { y, mean } = around(loc, 20);
    const flat = model(function* () {
      const mu = yield* sample("mu", improper(real, []));
      yield* plate("rows", 20, function* () {
        yield* observe("y", normal(mu, 1), y);
      });
    });
    const r = await infer(flat, langevin({ chains: 32, steps: 300, warmup: 300 }), { seed: 20 });
    expect(r.rhat).toBeLessThan(1.02);
    expectEstimate(at(r.diagnostics.mu), mean, { what: "mu", detects: 0.04 });
  });

  it.each([100, 1e4])("is reached where the scale is unknown too, and grows first: about %d", async (loc) => {
    const n = 20;
    const { y, mean, squares } = around(loc, n);
    const flat = model(function* () {
      const mu = yield* sample("mu", improper(real, []));
      const precision = yield* sample("precision", improper(positive, []));
      yield* plate("rows", n, function* () {
        yield* observe("y", normal(mu, tf.rsqrt(precision)), y);
      });
    });
    const r = await infer(flat, langevin({ chains: 32, steps: 400, warmup: 500 }), { seed: 21 });
    expect(r.rhat).toBeLessThan(1.03);
    expectEstimate(at(r.diagnostics.mu), mean, { what: "mu", detects: 0.06 });
    // Flat in mu and in the precision: precision | y ~ Gamma((n + 1)/2, Σ(y − ȳ)²/2).
    expectEstimate(at(r.diagnostics.precision), (n + 1) / squares, { what: "precision", detects: 0.12 });
  });

  it("is reached from a wide prior", async () => {
    const { y, mean } = around(700, 50, 0.1);
    const wide = model(function* () {
      const mu = yield* sample("mu", normal(0, 1000));
      yield* plate("rows", 50, function* () {
        yield* observe("y", normal(mu, 0.1), y);
      });
    });
    const r = await infer(wide, langevin({ chains: 32, steps: 300, warmup: 300 }), { seed: 22 });
    expect(r.rhat).toBeLessThan(1.02);
    expectEstimate(at(r.diagnostics.mu), mean, { what: "mu", detects: 0.004 });
  });

  it("leaves no mode behind that counts: two equal ones keep their chains", async () => {
    // Narrow wells at ±6, with a barrier no small step crosses: the chains of a flat start share them.
    const wells = pipe(
      model(function* () {
        yield* sample("x", normal(0, 20));
      }),
      tilt("x", (x) => tf.mul(5, tf.minimum(tf.square(tf.sub(x, 6)), tf.square(tf.add(x, 6))))),
    );
    const r = await infer(wells, langevin({ chains: 200, steps: 1, warmup: 200 }), { seed: 23 });
    const share = last(r.sites.x).map((x) => (x > 0 ? 1 : 0));
    expectMean(share, 0.5, { what: "share of the right well", detects: 0.35 });
    const near = last(r.sites.x).filter((x) => Math.abs(Math.abs(x) - 6) < 2).length;
    expect(near).toBe(200);
  });

  it("is not looked for where the caller says where to start", async () => {
    const { y } = around(100, 20);
    const flat = model(function* () {
      const mu = yield* sample("mu", improper(real, []));
      yield* plate("rows", 20, function* () {
        yield* observe("y", normal(mu, 1), y);
      });
    });
    const init = { mu: ndarray(Float32Array.of(99, 101)) };
    const options = { chains: 2, steps: 5, warmup: 0, stepSize: 1e-6 } as const;
    const r = await infer(flat, langevin({ ...options, init }), { seed: 24 });
    expect(Math.abs((r.sites.mu.data[0] as number) - 99)).toBeLessThan(0.05);
    // In a warm-up too: the first ten steps of tiny size go nowhere.
    const warmed = await infer(flat, langevin({ ...options, warmup: 1, init }), { seed: 24 });
    expect(Math.abs((warmed.sites.mu.data[0] as number) - 99)).toBeLessThan(0.2);
  });
});

describe("data sites", () => {
  const m = model(function* () {
    const z = yield* sample("z", normal(0, 1));
    yield* observe("x", normal(z, 0.5), 7);
  });

  it("are sampled given the latents: with z fixed, x is a draw of its likelihood", async () => {
    const fixed = pipe(m, condition({ z: 2 }));
    const method = langevin({ chains: 4000, steps: 1, warmup: 80, stepSize: 0.1, sites: ["x"] });
    const x = last((await infer(fixed, method, { seed: 8 })).sites.x);
    // The value 7 that was given is forgotten.
    expectMean(x, 2, { what: "mean", detects: 0.09 });
    expectMean(
      x.map((v) => (v - 2) ** 2),
      0.25,
      { what: "variance", detects: 0.06 },
    );
  });

  it("are sampled under a tilt of the data: N(2, ¼) by E = −x is N(2.25, ¼)", async () => {
    const tilted = pipe(m, condition({ z: 2 }), tilt("x", tf.neg));
    const method = langevin({ chains: 4000, steps: 1, warmup: 80, stepSize: 0.1, sites: ["x"] });
    expectMean(last((await infer(tilted, method, { seed: 9 })).sites.x), 2.25, { what: "mean", detects: 0.09 });
  });

  it("keep their data when they are not sampled", async () => {
    const r = await infer(m, langevin({ chains: 4000, steps: 1, warmup: 80, stepSize: 0.1, sites: ["z"] }), {
      seed: 10,
    });
    expect(Object.keys(r.sites)).toEqual(["z"]);
    expectMean(last(r.sites.z), 7 / 1.25, { what: "E[z | x = 7]", detects: 0.09 });
  });

  it("may be missing in part: entries under the mask say nothing", async () => {
    const masked = model(function* () {
      const z = yield* sample("z", normal(0, 1));
      yield* plate("rows", 3, function* () {
        yield* observe("y", normal(z, 1), ndarray(Float32Array.from([2, Number.NaN, 1])), {
          mask: ndarray(Float32Array.from([1, 0, 1])),
        });
      });
    });
    const r = await infer(masked, langevin({ chains: 4000, steps: 1, warmup: 60, stepSize: 0.2 }), { seed: 11 });
    const z = last(r.sites.z);
    expectMean(z, 1, { what: "mean", detects: 0.09 });
    expectMean(
      z.map((v) => (v - 1) ** 2),
      1 / 3,
      { what: "variance", detects: 0.09 },
    );
  });
});

describe("randomness", () => {
  const target = pipe(
    gaussian(0, 1),
    tilt("x", (x) => tf.mul(0.5, tf.square(x))),
  );
  const run = (options: LangevinOptions<"x">, seed: number | string = 12) => infer(target, langevin(options), { seed });

  it("is the seed's: same bits again, others with another", async () => {
    const options = { chains: 4, steps: 30, stepSize: 0.4 };
    expect((await run(options)).sites.x.data).toEqual((await run(options)).sites.x.data);
    expect((await run(options)).sites.x.data).not.toEqual((await run(options, 13)).sites.x.data);
  });

  it.each([true, false])("more chains only append, bit for bit (adjusted: %s)", async (adjusted) => {
    const options = { steps: 20, warmup: 0, stepSize: 0.4, adjusted };
    const few = await run({ ...options, chains: 3, init: { x: start(3) } });
    const many = await run({ ...options, chains: 7, init: { x: start(7) } });
    expect(many.sites.x.data.subarray(0, 3 * 20)).toEqual(few.sites.x.data);
  });

  it("thinning keeps every so many-th draw of the same chains", async () => {
    const options = { chains: 3, steps: 21, warmup: 4, stepSize: 0.4 };
    const all = await run(options);
    const some = await run({ ...options, thin: 5 });
    expect(some.sites.x.shape).toEqual([3, 4]);
    for (let c = 0; c < 3; c++) {
      for (let k = 0; k < 4; k++) expect(some.sites.x.data[c * 4 + k]).toBe(all.sites.x.data[c * 21 + 5 * (k + 1) - 1]);
    }
    expect(some.checkpoint).toEqual(all.checkpoint);
  });

  it("resuming from a checkpoint gives the draws of one long run, bit for bit", async () => {
    const options = { chains: 3, stepSize: 0.4, warmup: 15 };
    const whole = await run({ ...options, steps: 30 });
    const first = await run({ ...options, steps: 12 });
    const rest = await run({ chains: 3, steps: 18, from: first.checkpoint });
    for (let c = 0; c < 3; c++) {
      const joined = [
        ...first.sites.x.data.subarray(12 * c, 12 * c + 12),
        ...rest.sites.x.data.subarray(18 * c, 18 * c + 18),
      ];
      expect(Float32Array.from(joined)).toEqual(whole.sites.x.data.slice(30 * c, 30 * c + 30));
    }
    expect(rest.checkpoint).toEqual(whole.checkpoint);
    expect(rest.stepSize).toBe(whole.stepSize);
  });
});

describe("diagnostics", () => {
  it("trust chains that are long and mixed, and no others", async () => {
    const good = await infer(gaussian(0, 1), langevin({ chains: 20, steps: 400, stepSize: 0.5 }), { seed: 14 });
    expect(good.warnings).toEqual([]);
    expect(good.trusted).toBe(true);
    expect(good.bulkEss).toBeGreaterThan(400);
    const short = await infer(gaussian(0, 1), langevin({ chains: 4, steps: 30, stepSize: 0.01, warmup: 0 }), {
      seed: 14,
    });
    expect(short.trusted).toBe(false);
    expect(short.warnings.join("\n")).toMatch(/R-hat is .* the chains have not mixed/);
    expect(short.warnings.join("\n")).toMatch(/effective sample size is only \d+/);
  });

  it("find chains stuck in different modes", async () => {
    const wells = pipe(
      gaussian(0, 8),
      tilt("x", (x) => tf.div(tf.minimum(tf.square(tf.sub(x, 6)), tf.square(tf.add(x, 6))), 0.5)),
    );
    const init = { x: ndarray(Float32Array.from([-6, -6, 6, 6])) };
    const r = await infer(wells, langevin({ chains: 4, steps: 300, stepSize: 0.05, init }), { seed: 15 });
    expect(r.rhat).toBeGreaterThan(1.5);
    expect(r.bulkEss).toBeLessThan(20);
    expect(r.trusted).toBe(false);
  });

  it("report steps, acceptance and step size as they come, and end at an abort", async () => {
    const before = tf.memory().numTensors;
    const controller = new AbortController();
    const steps: number[] = [];
    const running = infer(gaussian(0, 1), langevin({ chains: 4, steps: 100, stepSize: 0.1 }), {
      seed: 1,
      signal: controller.signal,
      onProgress: ({ method, step, total, metrics }) => {
        expect([method, total]).toEqual(["langevin", 150]);
        expect(metrics.acceptance).toBeGreaterThanOrEqual(0);
        expect(metrics.stepSize).toBeGreaterThan(0);
        steps.push(step);
        if (step === 40) controller.abort("stop");
      },
    });
    await expect(running).rejects.toMatchObject({ code: "aborted", cause: "stop" });
    expect(steps).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("what cannot be run", () => {
  it.each([
    [{ chains: 0 }, /chains must be a whole number of at least 1, got 0/],
    [{ steps: 1.5 }, /steps must be a whole number of at least 1, got 1.5/],
    [{ warmup: -1 }, /warmup must be a whole number of at least 0, got -1/],
    [{ thin: 0 }, /thin must be a whole number of at least 1, got 0/],
    [{ steps: 5, thin: 6 }, /thin 6 keeps none of 5 steps/],
    [{ stepSize: 0 }, /stepSize must be positive, got 0/],
    [{ stepSize: Number.NaN }, /stepSize must be positive, got NaN/],
    [{ temperature: -1 }, /temperature must be positive, got -1/],
    [{ jumpEvery: 0 }, /jumpEvery must be a whole number of at least 1, got 0/],
    [{ temperature: 0 }, /temperature must be positive, got 0/],
    [{ steps: -3 }, /steps must be a whole number of at least 1, got -3/],
    [{ warmup: 0.5 }, /warmup must be a whole number of at least 0, got 0.5/],
    [{ targetAcceptance: 0 }, /targetAcceptance must be positive, got 0/],
    [{ targetAcceptance: 1 }, /targetAcceptance must lie between 0 and 1, got 1/],
    [{ targetAcceptance: 1.2 }, /targetAcceptance must lie between 0 and 1, got 1.2/],
    [{ init: {}, from: {} }, /give init or from, not both/],
  ])("option %o", (options, message) => {
    expect(() => langevin(options as LangevinOptions)).toThrow(message);
  });

  it("starts that do not fit", async () => {
    const options = { chains: 4, steps: 5 };
    await expect(
      infer(gaussian(0, 1), langevin({ ...options, init: { x: start(3) } }), { seed: 1 }),
    ).rejects.toMatchObject({ code: "shape", site: "x" });
    await expect(
      infer(gaussian(0, 1), langevin({ ...options, init: { y: start(4) } } as never), { seed: 1 }),
    ).rejects.toMatchObject({ code: "extra-site", site: "y" });
    const nowhere = pipe(
      gaussian(0, 1),
      tilt("x", (x) => tf.fill(x.shape, Number.POSITIVE_INFINITY)),
    );
    const before = tf.memory().numTensors;
    await expect(infer(nowhere, langevin({ ...options, init: { x: start(4) } }), { seed: 1 })).rejects.toMatchObject({
      code: "non-finite",
    });
    expect(tf.memory().numTensors).toBe(before);
  });

  it("checkpoints that do not fit", async () => {
    const { checkpoint } = await infer(gaussian(0, 1), langevin({ chains: 4, steps: 5 }), { seed: 1 });
    const resume = (from: Checkpoint, chains = 4, of: typeof gaussian = gaussian) =>
      infer(of(0, 1), langevin({ chains, steps: 5, from }), { seed: 1 });
    const before = tf.memory().numTensors;
    await expect(resume(checkpoint, 5)).rejects.toMatchObject({
      code: "argument",
      message: expect.stringMatching(/the checkpoint has 4 chains, this run 5; give chains: 4/),
    });
    const other = (name: string, event: number) => () =>
      model(function* () {
        return yield* sample(name as "x", normal(tf.zeros([event]), 1).event(1));
      });
    for (const stranger of [other("y", 1), other("x", 3)]) {
      await expect(resume(checkpoint, 4, stranger)).rejects.toMatchObject({
        code: "argument",
        message: expect.stringMatching(/it holds "x" \[4\], this run samples "[xy]" \[4, [13]\]/),
      });
    }
    const { state } = checkpoint;
    const { x, logp } = state as { readonly [name: string]: (typeof state)[string] } & Record<
      "x" | "logp",
      (typeof state)[string]
    >;
    const damaged: readonly Partial<Checkpoint>[] = [
      { state: { ...state, x: { ...x, data: new Float32Array() } } },
      { state: { ...state, logp: { ...logp, data: new Float32Array(3) } } },
      { state: {} },
      { stepSize: 0 },
      { step: -1 },
    ];
    for (const part of damaged)
      await expect(resume({ ...checkpoint, ...part })).rejects.toMatchObject({
        code: "argument",
        message: expect.stringContaining("damaged"),
      });
    await expect(resume({} as Checkpoint)).rejects.toMatchObject({ code: "argument" });
    expect(tf.memory().numTensors).toBe(before);
    // Plain data: through JSON-like copies it still fits.
    expect((await resume(structuredClone(checkpoint))).sites.x.data).toEqual((await resume(checkpoint)).sites.x.data);
  });

  it("a model with no site to sample", async () => {
    const known = pipe(gaussian(0, 1), condition({ x: 1 }));
    await expect(infer(known, langevin(), { seed: 1 })).rejects.toMatchObject({ code: "missing-site" });
  });
});
