/** SNIS and Langevin dynamics against closed forms. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { beforeAll, describe, expect, it } from "vitest";
import { ndarray } from "../../src/core/array.ts";
import { exponential, normal, poisson } from "../../src/dist/index.ts";
import { model, observe, sample } from "../../src/effects/effects.ts";
import { tilt } from "../../src/effects/handlers.ts";
import { plate } from "../../src/effects/plate.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { snis } from "../../src/inference/importance/snis.ts";
import { langevin } from "../../src/inference/mcmc/langevin.ts";
import { infer } from "../../src/inference/method/infer.ts";
import { expectEstimate, expectMean } from "../support/statistics.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

const gaussian = (d: number) =>
  model(function* () {
    return yield* sample("x", normal(tf.zeros([d]), 1).event(1));
  });
/** E = ½a|x|² − b x₁. */
const quadratic = (a: number, b: number, d: number) => (x: tf.Tensor) => {
  const axis = Array.from({ length: d }, (_, i) => (i === 0 ? b : 0));
  return tf.sum(tf.sub(tf.mul(a / 2, tf.square(x)), tf.mul(axis, x)), -1);
};
/** All draws of one coordinate, thinned so that neighbours in a chain are nearly independent. */
const moments = (data: ArrayLike<number>) => {
  let [s, q] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    s += data[i] as number;
    q += (data[i] as number) ** 2;
  }
  return { mean: s / data.length, second: q / data.length };
};

describe("SNIS", () => {
  it.each([
    { d: 2, detects: 0.03 },
    { d: 10, detects: 0.06 },
  ])("a quadratic tilt in $d dimensions: log Z, mean and ESS/n", async ({ d, detects }) => {
    const [a, b] = [1, 0.5];
    const r = await infer(pipe(gaussian(d), tilt("x", quadratic(a, b, d))), snis(100_000), { seed: 1 });
    const logZ = (-d / 2) * Math.log(1 + a) + (b * b) / (2 * (1 + a));
    expectEstimate(r.logEvidence, logZ, { what: "log Z", detects });
    expect(r.logEvidence.of).toBe("log Z");
    const x1 = r.mean("x");
    const at = { value: x1.value.data[0] as number, standardError: x1.standardError.data[0] as number };
    expectEstimate(at, b / (1 + a), { what: "E[x₁]", detects: 0.06 });
    const essRatio = ((1 + 2 * a) / (1 + a) ** 2) ** (d / 2) * Math.exp(-(b * b) / ((1 + a) * (1 + 2 * a)));
    expect(r.essRatio).toBeGreaterThan(essRatio * 0.95);
    expect(r.essRatio).toBeLessThan(essRatio * 1.05);
    expect(r.khat).toBeLessThan(0.5);
    expect(r.trusted).toBe(true);
  });

  it("has the bias and the variance of the delta method: N(0,1) → N(b,1), h = x", async () => {
    const [b, n, runs] = [0.7, 100, 30_000];
    // One long run cut into short ones: draws do not depend on how they are cut.
    const r = await infer(
      pipe(
        gaussian(1),
        tilt("x", (x) => tf.mul(-b, tf.sum(x, -1))),
      ),
      snis(n * runs),
      { seed: 2 },
    );
    const [w, x] = [r.logWeights.data, r.sites.x.data];
    const estimates = Float64Array.from({ length: runs }, (_, i) => {
      let [s, t] = [0, 0];
      for (let j = i * n; j < (i + 1) * n; j++) {
        s += Math.exp(w[j] as number);
        t += Math.exp(w[j] as number) * (x[j] as number);
      }
      return t / s;
    });
    const bias = (-b * Math.exp(b * b)) / n;
    // The next term of the bias is of order n⁻²: allow its size, 1e-3 here, beside the noise.
    expectMean(estimates, b + bias, { what: "biased mean", detects: 0.011 });
    const spread = moments(estimates);
    const variance = (Math.exp(b * b) * (1 + b * b)) / n;
    expect((spread.second - spread.mean ** 2) / variance).toBeGreaterThan(0.85);
    expect((spread.second - spread.mean ** 2) / variance).toBeLessThan(1.25);
  });

  it("tilts that stay in their family: Poisson and exponential", async () => {
    const t = 0.4;
    const counts = model(function* () {
      return yield* sample("k", poisson(3));
    });
    const p = await infer(
      pipe(
        counts,
        tilt("k", (k) => tf.mul(-t, k)),
      ),
      snis(100_000),
      { seed: 3 },
    );
    expectEstimate(p.logEvidence, 3 * Math.expm1(t), { what: "Poisson log Z", detects: 0.045 });
    expectEstimate(p.expectation("k"), 3 * Math.exp(t), { what: "Poisson mean", detects: 0.13 });
    const times = model(function* () {
      return yield* sample("s", exponential(2));
    });
    const e = await infer(
      pipe(
        times,
        tilt("s", (s) => tf.mul(1.5, s)),
      ),
      snis(100_000),
      { seed: 4 },
    );
    expectEstimate(e.logEvidence, Math.log(2 / 3.5), { what: "exponential log Z", detects: 0.03 });
    expectEstimate(e.expectation("s"), 1 / 3.5, { what: "exponential mean", detects: 0.01 });
  });

  it("more draws only append, and chunks change nothing, bit for bit", async () => {
    const m = pipe(gaussian(2), tilt("x", quadratic(1, 0.5, 2)));
    const few = await infer(m, snis(100), { seed: 5 });
    const many = await infer(m, snis(200), { seed: 5 });
    const cut = await infer(m, snis(200, { chunk: 7 }), { seed: 5 });
    expect(many.sites.x.data.subarray(0, 200)).toEqual(few.sites.x.data);
    expect(many.logWeights.data.subarray(0, 100)).toEqual(few.logWeights.data);
    expect(cut.sites.x.data).toEqual(many.sites.x.data);
    expect(cut.logWeights.data).toEqual(many.logWeights.data);
  });

  it("invariants: E = 0 has evidence 0, a constant shifts only it, tilting back returns the base", async () => {
    const none = await infer(
      pipe(
        gaussian(2),
        tilt("x", (x) => tf.mul(0, tf.sum(x, -1))),
      ),
      snis(500),
      { seed: 6 },
    );
    expect([none.logEvidence.value, none.logEvidence.standardError, none.essRatio]).toEqual([0, 0, 1]);
    const energy = quadratic(1, 0.5, 2);
    const plain = await infer(pipe(gaussian(2), tilt("x", energy)), snis(500), { seed: 6 });
    const shifted = await infer(
      pipe(
        gaussian(2),
        tilt("x", (x) => tf.add(energy(x), 3)),
      ),
      snis(500),
      { seed: 6 },
    );
    expect(shifted.logEvidence.value).toBeCloseTo(plain.logEvidence.value - 3, 5);
    expect(shifted.ess).toBeCloseTo(plain.ess, 2);
    const one = await infer(pipe(gaussian(2), tilt("x", energy)), snis(1), { seed: 6 });
    const base = await infer(gaussian(2), snis(1), { seed: 6 });
    expect(one.resample(1).x.data).toEqual(base.sites.x.data);
  });

  it("any proposal gives the same answer: a guide, or the exact posterior, whose weights are all equal", async () => {
    // x ~ N(0, 1), y | x ~ N(x, 1), y = 1.2: posterior N(.6, ½), evidence N(1.2; 0, 2).
    const m = model(function* () {
      const x = yield* sample("x", normal(0, 1));
      yield* observe("y", normal(x, 1), 1.2);
    });
    const guide = (loc: number, sd: number) =>
      model(function* () {
        yield* sample("x", normal(loc, sd));
      });
    const evidence = -0.5 * Math.log(4 * Math.PI) - 1.44 / 4;
    for (const proposal of [undefined, guide(0.3, 1)]) {
      const r = await infer(m, snis(50_000, proposal === undefined ? {} : { proposal }), { seed: 7 });
      expectEstimate(r.logEvidence, evidence, { what: "log p(y)", detects: 0.055 });
      expectEstimate(r.expectation("x"), 0.6, { what: "E[x | y]", detects: 0.06 });
      expect(r.logEvidence.of).toBe("log p(data)");
    }
    const exact = await infer(m, snis(100, { proposal: guide(0.6, Math.SQRT1_2) }), { seed: 8 });
    expect(exact.essRatio).toBeGreaterThan(1 - 1e-5);
    expect(exact.logEvidence.value).toBeCloseTo(evidence, 4);
    const wrong = model(function* () {
      yield* sample("w" as string, normal(0, 1));
    });
    await expect(infer(m, snis(10, { proposal: wrong }), { seed: 1 })).rejects.toMatchObject({
      code: "extra-site",
      site: "w",
    });
  });

  it("says so when it cannot be trusted: a tilt in 200 dimensions", async () => {
    const r = await infer(pipe(gaussian(200), tilt("x", quadratic(1, 0, 200))), snis(2000), { seed: 9 });
    expect(r.trusted).toBe(false);
    expect(r.warnings.join()).toMatch(/Pareto k|effective sample size/);
    const dead = await infer(
      pipe(
        gaussian(1),
        tilt("x", (x) => tf.fill(x.shape.slice(0, -1), Number.POSITIVE_INFINITY)),
      ),
      snis(10),
      { seed: 1 },
    );
    expect(dead.warnings).toEqual(["every weight is zero: no draw is possible under the model"]);
  });

  it("leaves no tensor, can be aborted, and refuses nonsense", async () => {
    const before = tf.memory().numTensors;
    const r = await infer(gaussian(2), snis(1000), { seed: 1 });
    r.resample(10);
    r.mean("x");
    expect(tf.memory().numTensors).toBe(before);
    const controller = new AbortController();
    controller.abort();
    await expect(infer(gaussian(2), snis(1000), { seed: 1, signal: controller.signal })).rejects.toMatchObject({
      code: "aborted",
    });
    expect(() => snis(0)).toThrow(/n must be a whole number of at least 1, got 0/);
    expect(() => r.expectation("x")).toThrow(/"x" is no scalar; use mean\("x"\)/);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("ULA", () => {
  // Stationary variance s²T/(1 − η/(2s²)), autocorrelation 1 − η/s²: the bias is exact.
  it.each([
    { eta: 0.1, T: 1, truth: 1.0526 },
    { eta: 0.5, T: 1, truth: 4 / 3 },
    { eta: 1, T: 1, truth: 2 },
    { eta: 0.5, T: 0.25, truth: 1 / 3 },
  ])("at step $eta and temperature $T has variance $truth", async ({ eta, T, truth }) => {
    const thin = Math.ceil(12 / eta);
    const steps = 40 * thin;
    const options = { chains: 500, steps, warmup: thin, thin, stepSize: eta, temperature: T, adjusted: false } as const;
    const r = await infer(gaussian(1), langevin(options), { seed: 11 });
    const squares = Float64Array.from(r.sites.x.data, (x) => x * x);
    expectMean(squares, truth, { what: "stationary variance", detects: 0.12 * truth });
    expect(r.acceptance).toBe(1);
    expect(r.warnings.join()).toMatch(/unadjusted/);
  });
});

describe("MALA", () => {
  // Acceptance ≈ 2Φ(−√(d h³)/8), h = 2η (mathematics of the optimal scaling limit); the variance is 1 for every step.
  it.each([
    { d: 10, h: 0.5, truth: 0.889 },
    { d: 50, h: 0.4, truth: 0.823 },
  ])("in $d dimensions with h = $h accepts $truth and keeps variance 1", async ({ d, h, truth }) => {
    const r = await infer(gaussian(d), langevin({ chains: 200, steps: 240, warmup: 0, thin: 12, stepSize: h / 2 }), {
      seed: 12,
    });
    expect(Math.abs(r.acceptance - truth)).toBeLessThan(0.012);
    // Chains start in the target, so every step is stationary; neighbours 12 steps apart are nearly independent.
    const perDraw = Float64Array.from({ length: 200 * 20 }, (_, i) => {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += (r.sites.x.data[i * d + j] as number) ** 2;
      return sum / d;
    });
    expectMean(perDraw, 1, { what: "variance", detects: 0.08 });
  });

  it("adapts its step, samples constrained sites by their bijections, and agrees with the closed form", async () => {
    // s ~ Exp(2) tilted by e^{−1.5 s}: Exp(3.5).
    const times = model(function* () {
      return yield* sample("s", exponential(2));
    });
    const r = await infer(
      pipe(
        times,
        tilt("s", (s) => tf.mul(1.5, s)),
      ),
      langevin({ chains: 200, steps: 400, stepSize: 0.1 }),
      { seed: 13 },
    );
    const { mean, mcse, rhat } = r.diagnostics.s;
    expectEstimate({ value: mean.data[0] as number, standardError: mcse.data[0] as number }, 1 / 3.5, {
      what: "mean",
      detects: 0.06,
    });
    expect(rhat.data[0]).toBeLessThan(1.03);
    expect(Math.abs(r.acceptance - 0.574)).toBeLessThan(0.05);
    expect(Array.from(r.sites.s.data).every((s) => s > 0)).toBe(true);
  });

  it("with jumps crosses between modes that no small step joins, and keeps their weights", async () => {
    // ½N(−8, 1) + ½N(8, 1) by a flat-ish base and an energy; the tilt adds a factor 3 on the right.
    const base = model(function* () {
      return yield* sample("x", normal(0, 8));
    });
    const energy = (x: tf.Tensor) => {
      const well = tf.minimum(tf.square(tf.sub(x, 8)), tf.square(tf.add(x, 8)));
      return tf.sub(tf.div(well, 2), tf.where(tf.greater(x, 0), tf.fill(x.shape, Math.log(3)), tf.zerosLike(x)));
    };
    const r = await infer(
      pipe(base, tilt("x", energy)),
      langevin({ chains: 200, steps: 600, stepSize: 0.5, jumpEvery: 2 }),
      { seed: 14 },
    );
    expect(r.rhat).toBeLessThan(1.05);
    expect(r.jumpAcceptance).toBeGreaterThan(0.05);
    // Share on the right by chain: chains are independent.
    const shares = Float64Array.from({ length: 200 }, (_, c) => {
      let right = 0;
      for (let t = 0; t < 600; t++) right += (r.sites.x.data[c * 600 + t] as number) > 0 ? 1 : 0;
      return right / 600;
    });
    expectMean(shares, 0.75, { what: "share of the right mode", detects: 0.06 });
  });

  it("samples data sites: the prior predictive of x when z and x are both sampled", async () => {
    const m = model(function* () {
      const z = yield* sample("z", normal(0, 1));
      yield* observe("x", normal(z, 1), 0.3);
    });
    const r = await infer(m, langevin({ chains: 200, steps: 600, sites: ["z", "x"] }), { seed: 15 });
    const thinned = Float64Array.from(
      { length: 200 * 10 },
      (_, i) => (r.sites.x.data[Math.floor(i / 10) * 600 + (i % 10) * 60] as number) ** 2,
    );
    expectMean(thinned, 2, { what: "variance of x", detects: 0.7 });
    await expect(infer(m, langevin({ sites: ["x"] }), { seed: 1 })).rejects.toMatchObject({
      code: "missing-site",
      site: "z",
    });
  });

  it("goes on from a checkpoint as if never interrupted, bit for bit", async () => {
    const m = pipe(gaussian(2), tilt("x", quadratic(1, 0.5, 2)));
    const whole = await infer(m, langevin({ chains: 5, steps: 40, warmup: 10, stepSize: 0.3, jumpEvery: 3 }), {
      seed: 16,
    });
    const first = await infer(m, langevin({ chains: 5, steps: 15, warmup: 10, stepSize: 0.3, jumpEvery: 3 }), {
      seed: 16,
    });
    const rest = await infer(m, langevin({ chains: 5, steps: 25, jumpEvery: 3, from: first.checkpoint }), { seed: 16 });
    expect(rest.checkpoint).toEqual(whole.checkpoint);
  });

  it("works over plates, leaves no tensor, and refuses what cannot be sampled", async () => {
    const before = tf.memory().numTensors;
    const y = ndarray(Float32Array.from([1, 2, 3]));
    const m = model(function* () {
      const mu = yield* sample("mu", normal(0, 10));
      yield* plate("rows", 3, function* () {
        const z = yield* sample("z", normal(mu, 1));
        yield* observe("y", normal(z, 1), y);
      });
    });
    const r = await infer(m, langevin({ chains: 100, steps: 800, stepSize: 0.2 }), { seed: 17 });
    expect(r.sites.z.shape).toEqual([100, 800, 3]);
    // mu | y: precision 1/100 + 3/2, mean (3/2 · 2)/that.
    const { mean, mcse } = r.diagnostics.mu;
    const truth = 3 / (0.01 + 1.5);
    expectEstimate({ value: mean.data[0] as number, standardError: mcse.data[0] as number }, truth, {
      what: "E[mu | y]",
      detects: 0.2,
    });
    const discrete = model(function* () {
      yield* sample("k", poisson(2));
    });
    await expect(infer(discrete, langevin(), { seed: 1 })).rejects.toMatchObject({
      code: "not-differentiable",
      site: "k",
    });
    await expect(infer(m, langevin({ sites: ["nu" as never] }), { seed: 1 })).rejects.toMatchObject({
      code: "missing-site",
    });
    expect(() => langevin({ temperature: 0 })).toThrow(/temperature must be positive, got 0/);
    expect(tf.memory().numTensors).toBe(before);
  });
});
