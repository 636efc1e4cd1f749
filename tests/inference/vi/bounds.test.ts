/** Values of variational bounds against closed forms. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import { type NdArray, ndarray } from "../../../src/core/array.ts";
import { rootKey } from "../../../src/core/key.ts";
import { normal as draws } from "../../../src/core/random/draws.ts";
import { normal } from "../../../src/dist/index.ts";
import { factor, model, observe, param, sample } from "../../../src/effects/effects.ts";
import { tilt } from "../../../src/effects/handlers.ts";
import { plate } from "../../../src/effects/plate.ts";
import { useEngine } from "../../../src/engine/engine.ts";
import { infer } from "../../../src/inference/method/infer.ts";
import { sgd } from "../../../src/inference/optim/optimizers.ts";
import { elbo } from "../../../src/inference/vi/elbo.ts";
import { iwae } from "../../../src/inference/vi/iwae.ts";
import { showBound } from "../../../src/inference/weights/bound.ts";
import * as m from "../../support/matrix.ts";
import { expectDiffers, expectEstimate, expectMean } from "../../support/statistics.ts";

beforeAll(() => useEngine("wasm"));

const SEED = 7;

/** P = N(.3, .8²) with log-evidence 0, and Q = N(0, 1). */
const target = model(function* () {
  yield* sample("z", normal(0.3, 0.8));
});
const standard = model(function* () {
  yield* sample("z", normal(0, 1));
});
const GAP = Math.log(0.8) + (1 + 0.3 ** 2) / (2 * 0.8 ** 2) - 0.5;
/** Gaps of K = 1, 5, 50 from `mathematics`, by quadrature. */
const GAPS = { 1: 0.1284, 5: 0.0158, 50: 0.0014 } as const;

describe("one row", () => {
  it("the gap of the ELBO is KL(q ‖ posterior), exactly with the closed KL", async () => {
    expect(GAP).toBeCloseTo(GAPS[1], 4);
    const closed = await infer(target, elbo(standard, { steps: 0 }), { seed: SEED });
    expect(closed.bound.value).toBeCloseTo(-GAP, 6);
    expect(closed.bound.standardError).toBe(0);
    const sampled = await infer(target, elbo(standard, { steps: 0, kl: "sampled", boundDraws: 20_000 }), {
      seed: SEED,
    });
    expectEstimate(sampled.bound, -GAP, { what: "ELBO", detects: 0.05 });
  });

  it("the gap of the importance-weighted bound falls with K as the closed form says", async () => {
    const bounds: number[] = [];
    for (const k of [1, 5, 50] as const) {
      const { bound } = await infer(target, iwae(standard, k, { steps: 0, boundDraws: k === 50 ? 4000 : 20_000 }), {
        seed: SEED,
      });
      // The closed forms are printed to four decimals.
      expectEstimate({ ...bound, standardError: bound.standardError + 1e-5 }, -GAPS[k], {
        what: `IWAE-${k}`,
        detects: 0.05,
      });
      bounds.push(bound.value);
    }
    expect(bounds).toEqual([...bounds].sort((a, b) => a - b));
  });

  it("the gap is (J − 1)/(2K) for large K, J = ∫ posterior²/q", async () => {
    const [sp, sq, d, k] = [0.8, 1, 0.3, 25];
    const J = (sq ** 2 / (sp * Math.sqrt(2 * sq ** 2 - sp ** 2))) * Math.exp(d ** 2 / (2 * sq ** 2 - sp ** 2));
    const { bound } = await infer(target, iwae(standard, k, { steps: 0, boundDraws: 150_000 }), { seed: SEED });
    // The next order is a fortieth of it here, as GAPS[5] less the first order says: .0013 at K = 5, so .00005 at K = 25.
    const next = (GAPS[5] - (J - 1) / 10) / 25;
    expectEstimate(bound, -(J - 1) / (2 * k) - next, { what: "first order of the gap", detects: 0.0025 });
  });

  it("the gradient in a parameter of the model at the posterior is the score of the evidence, ∇ log p(x) = C⁻¹(x − μ)", async () => {
    // x = wz + μ + σε in two features: C = wwᵀ + σ²I, posterior N(wᵀ(x − μ)/m, σ²/m), m = |w|² + σ².
    const [w, x, sigma] = [[1, -0.5], [0.9, 0.4], 0.7] as const;
    const M = w[0] ** 2 + w[1] ** 2 + sigma ** 2;
    const mean = (w[0] * x[0] + w[1] * x[1]) / M;
    const C = w.map((u, i) => w.map((v, j) => u * v + (i === j ? sigma ** 2 : 0)));
    const truth = m.apply(m.inverse(C), x);
    // Copies of the row are draws: a step of the loss is that of their mean.
    const copies = 300;
    const ppca = model(function* () {
      const mu = yield* param("mu", ndarray(new Float32Array(2)));
      yield* plate("copies", copies, function* () {
        const z = yield* sample("z", normal(0, 1));
        const at = tf.add(tf.mul(tf.expandDims(z, -1), tf.tensor1d([...w])), mu);
        yield* observe("x", normal(at, sigma).event(1), ndarray(Float32Array.from(x)));
      });
    });
    const posterior = model(function* () {
      yield* plate("copies", copies, function* () {
        yield* sample("z", normal(mean, sigma / Math.sqrt(M)));
      });
    });
    for (const method of [
      elbo(posterior, { steps: 1, optimizer: sgd(1), boundDraws: 2 }),
      iwae(posterior, 5, { steps: 1, optimizer: sgd(1), boundDraws: 2 }),
    ]) {
      const steps: ArrayLike<number>[] = [];
      for (let seed = 0; seed < 40; seed++) steps.push((await infer(ppca, method, { seed })).params.mu.data);
      truth.forEach((v, j) => {
        expectMean(
          steps.map((step) => step[j] as number),
          v,
          { what: `${method.name}: ∂ log p(x)/∂μ${j}`, detects: 0.25 },
        );
      });
    }
  });

  it("every weight is the evidence where the guide is the posterior", async () => {
    const guide = model(function* () {
      yield* sample("z", normal(0.3, 0.8));
    });
    const { bound } = await infer(target, iwae(guide, 7, { steps: 0, boundDraws: 100 }), { seed: SEED });
    expect(Math.abs(bound.value)).toBeLessThan(1e-6);
    expect(bound.standardError).toBeLessThan(1e-6);
  });

  it("says what it is a bound on", async () => {
    const plain = await infer(target, elbo(standard, { steps: 0 }), { seed: 1 });
    expect(plain.bound).toMatchObject({ side: "lower", of: "log p(data)" });
    expectTypeOf(plain.bound.of).toEqualTypeOf<"log p(data)">();
    // Tilt of N(0, 1) by E = z²/2 − z: Z = 2^{−1/2} e^{1/4}, posterior N(1/2, 1/2).
    const energy = (z: tf.Tensor) => tf.sub(tf.div(tf.square(z), 2), z);
    const tilted = pipe(standard, tilt("z", energy));
    const guide = model(function* () {
      yield* sample("z", normal(0.5, Math.SQRT1_2));
    });
    const { bound } = await infer(tilted, iwae(guide, 3, { steps: 0, boundDraws: 50 }), { seed: 1 });
    expect(bound.of).toBe("log Z");
    expectTypeOf(bound.of).toEqualTypeOf<"log Z">();
    expect(bound.value).toBeCloseTo(-0.5 * Math.log(2) + 0.25, 5);
    expect(showBound(bound)).toMatch(/^log Z ≥ -0\.0965/);
  });
});

describe("rows", () => {
  const N = 4;
  const rows = model(function* () {
    yield* plate("data", N, function* () {
      yield* sample("z", normal(0.3, 0.8));
    });
  });
  const guide = model(function* () {
    yield* plate("data", N, function* () {
      yield* sample("z", normal(0, 1));
    });
  });

  it("takes the logarithm within each row, then sums rows", async () => {
    const { bound } = await infer(rows, iwae(guide, 5, { steps: 0, boundDraws: 30_000 }), { seed: SEED });
    expectEstimate({ ...bound, standardError: bound.standardError + 1e-4 }, -N * GAPS[5], {
      what: "per row",
      detects: 0.1,
    });
    // The other order: one log-weight for all rows together, as if they were one datum of N features. Its gap is larger.
    const vector = (loc: number, scale: number) =>
      model(function* () {
        yield* sample("z", normal(tf.fill([N], loc), scale).event(1));
      });
    const joint = await infer(vector(0.3, 0.8), iwae(vector(0, 1), 5, { steps: 0, boundDraws: 20_000 }), {
      seed: SEED,
    });
    expectDiffers(bound, joint.bound.value);
    expect(joint.bound.value).toBeLessThan(bound.value);
  });

  it("sums inner plates inside the logarithm, and keeps the outer one apart", async () => {
    const nested = (loc: number, scale: number) =>
      model(function* () {
        yield* plate("outer", 3, function* () {
          const top = yield* sample("top", normal(0, 1));
          yield* plate("inner", 2, function* () {
            yield* sample("z", normal(tf.add(top, loc), scale));
          });
        });
      });
    // KL of each inner site is the 1-D gap: the ELBO is −6 gaps.
    const { bound, rows: data } = await infer(nested(0.3, 0.8), elbo(nested(0, 1), { steps: 0, particles: 3 }), {
      seed: SEED,
    });
    expect(data).toBe(3);
    expect(bound.value).toBeCloseTo(-6 * GAP, 5);
    const sampled = await infer(nested(0.3, 0.8), elbo(nested(0, 1), { steps: 0, kl: "sampled", boundDraws: 10_000 }), {
      seed: SEED,
    });
    expectEstimate(sampled.bound, -6 * GAP, { what: "nested", detects: 0.2 });
  });

  it("a site outside the plate leaves no rows, and one weight for all", async () => {
    const global = (loc: number) =>
      model(function* () {
        const mu = yield* sample("mu", normal(0, 1));
        yield* plate("data", N, function* () {
          yield* sample("z", normal(tf.add(mu, loc), 1));
        });
      });
    const { bound, rows: data } = await infer(global(0.5), elbo(global(0), { steps: 0 }), { seed: SEED });
    expect(data).toBe(1);
    expect(bound.value).toBeCloseTo((-N * 0.5 ** 2) / 2, 5);
  });
});

/** PPCA with orthogonal columns, so that its posterior is a diagonal normal: W = diag(w) in the first two of three features. */
const W = [1.5, 0.7] as const;
const SIGMA = 0.6;
const MU = [0.2, -0.4, 1] as const;
const ROWS = 10;
const data = ndarray(draws(rootKey("ppca"), ROWS * 3), [ROWS, 3]);

const loadings = () => tf.tensor2d([W[0], 0, 0, 0, W[1], 0], [2, 3]);
const ppca = (subsample?: number) =>
  model(function* (x: NdArray) {
    yield* plate("data", x.shape[0] as number, subsample === undefined ? {} : { subsample }, function* ({ gather }) {
      const z = yield* sample("z", normal(tf.zeros([2]), 1).event(1));
      const flat = tf.reshape(z, [-1, 2]) as tf.Tensor2D;
      const mean = tf.reshape(tf.matMul(flat, loadings()), [...z.shape.slice(0, -1), 3]);
      yield* observe("x", normal(tf.add(mean, [...MU]), SIGMA).event(1), gather(x));
    });
  });
/** The exact posterior N(wⱼ(xⱼ − μⱼ)/(wⱼ² + σ²), σ²/(wⱼ² + σ²)), widened by a factor that may be learnt. */
const posterior = (subsample?: number) =>
  model(function* (x: NdArray) {
    const widen = yield* param("widen", 1);
    yield* plate("data", x.shape[0] as number, subsample === undefined ? {} : { subsample }, function* ({ gather }) {
      const m = W.map((w) => w * w + SIGMA ** 2);
      const loc = tf.mul(
        tf.sub(tf.slice(gather(x), [0, 0], [-1, 2]), MU.slice(0, 2)),
        W.map((w, j) => w / (m[j] as number)),
      );
      const scale = tf.mul(
        widen,
        m.map((v) => SIGMA / Math.sqrt(v)),
      );
      yield* sample("z", normal(loc, scale).event(1));
    });
  });

const evidence = (x: NdArray): number => {
  let total = 0;
  for (let i = 0; i < (x.shape[0] as number); i++) {
    for (let j = 0; j < 3; j++) {
      const v = (W[j] ?? 0) ** 2 + SIGMA ** 2;
      total -= 0.5 * (Math.log(2 * Math.PI * v) + ((x.data[i * 3 + j] as number) - (MU[j] as number)) ** 2 / v);
    }
  }
  return total;
};

describe("probabilistic PCA", () => {
  it.each([1, 5])("the exact posterior gives the evidence, K = %i", async (k) => {
    const { bound } = await infer(ppca(), iwae(posterior(), k, { steps: 0 }), { args: [data], seed: SEED });
    expect(Math.abs(bound.value - evidence(data))).toBeLessThan(1e-5 * Math.abs(evidence(data)));
    expect(bound.standardError).toBeLessThan(1e-4);
  });

  it.each([1, 4])("is estimated on all rows in chunks where programs subsample, K = %i", async (k) => {
    const { bound } = await infer(ppca(3), iwae(posterior(3), k, { steps: 0 }), { args: [data], seed: SEED });
    expect(bound.value).toBeCloseTo(evidence(data), 3);
  });

  it.each([1, 4])("a minibatch is scaled without bias, with the same rows in model and guide, K = %i", async (k) => {
    // Exact posterior, rate 0: each step gives the evidence of its rows, scaled; an epoch of 5 batches of 2 is all of it.
    const method = iwae(posterior(2), k, { epochs: 1, optimizer: sgd(0) });
    const fit = await infer(ppca(2), method, { args: [data], seed: SEED });
    expect(fit.steps).toBe(5);
    expect(fit.history.train[0]).toBeCloseTo(-evidence(data) / ROWS, 4);
    expect(fit.rows).toBe(ROWS);
  });

  it("the closed KL of a minibatch is scaled too", async () => {
    const rows = (loc: number, scale: number) =>
      model(function* () {
        const shift = yield* param("shift", 0);
        yield* plate("data", 6, { subsample: 2 }, function* () {
          yield* sample("z", normal(tf.add(shift, loc), scale));
        });
      });
    const fit = await infer(rows(0.3, 0.8), elbo(rows(0, 1), { steps: 1, optimizer: sgd(0) }), { seed: SEED });
    expect(fit.history.train[0]).toBeCloseTo(GAP, 5);
    expect(fit.bound.value).toBeCloseTo(-6 * GAP, 5);
  });

  it("has standard errors that are the spread over seeds, also over chunks of rows", async () => {
    const rows = (loc: number, scale: number) =>
      model(function* () {
        yield* plate("data", 4, { subsample: 1 }, function* () {
          yield* sample("z", normal(loc, scale));
        });
      });
    const method = elbo(rows(0, 1), { steps: 0, kl: "sampled", boundDraws: 400 });
    const squares: number[] = [];
    for (let seed = 0; seed < 60; seed++) {
      const { bound } = await infer(rows(0.3, 0.8), method, { seed });
      squares.push(((bound.value + 4 * GAP) / bound.standardError) ** 2);
    }
    expectMean(squares, 1, { what: "calibration", detects: 2.5 });
  });

  it("validates on held-out rows, in nats per row", async () => {
    const held = ndarray(data.data.slice(0, 12), [4, 3]);
    const method = elbo(posterior(3), { steps: 1, kl: "sampled", optimizer: sgd(0), validation: { args: [held] } });
    const fit = await infer(ppca(3), method, { args: [data], seed: SEED });
    expect(fit.history.validation[0]).toBeCloseTo(-evidence(held) / 4, 4);
  });
});

describe("the closed KL", () => {
  it("is not used where the model's prior depends on what the guide draws later", async () => {
    // p: b ~ N(0, 1), a ~ N(b, 1).  q: a ~ N(0, 1), b ~ N(a, 1). E log p/q = −E[b²]/2 + E[a²]/2 = −1/2.
    const p = model(function* () {
      const b = yield* sample("b", normal(0, 1));
      yield* sample("a", normal(b, 1));
    });
    const q = model(function* () {
      const a = yield* sample("a", normal(0, 1));
      yield* sample("b", normal(a, 1));
    });
    const { bound } = await infer(p, elbo(q, { steps: 0, boundDraws: 40_000 }), { seed: SEED });
    expectEstimate(bound, -0.5, { what: "reversed guide", detects: 0.1 });
  });

  it("leaves masked rows out", async () => {
    const half = (loc: number, scale: number) =>
      model(function* () {
        yield* plate("data", 2, function* () {
          yield* sample("z", normal(loc, scale).mask(tf.tensor1d([1, 0])));
        });
      });
    const { bound } = await infer(half(0.3, 0.8), elbo(half(0, 1), { steps: 0, boundDraws: 20_000 }), { seed: SEED });
    expectEstimate(bound, -GAP, { what: "one of two rows", detects: 0.1 });
  });

  it("follows the order of the guide where it may be used", async () => {
    const chain = (step: number) =>
      model(function* () {
        const a = yield* sample("a", normal(0, 1));
        yield* sample("b", normal(tf.add(a, step), 1));
      });
    const { bound } = await infer(chain(0), elbo(chain(1), { steps: 0, particles: 4 }), { seed: SEED });
    expect(bound.value).toBeCloseTo(-0.5, 6);
    expect(bound.standardError).toBeLessThan(1e-6);
  });
});

describe("factors", () => {
  it("of the guide correct its density, and must say whether they are differentiable", async () => {
    // q is written as N(0, 1) times a factor that makes it N(0.3, 0.8²) up to nothing: every log-weight is 0.
    const corrected = (declared: { differentiable?: boolean }) =>
      model(function* () {
        const z = yield* sample("z", normal(0, 1));
        const wanted = normal(0.3, 0.8).logProb(z);
        yield* factor("correction", tf.sub(wanted, normal(0, 1).logProb(z)), declared);
      });
    const { bound } = await infer(target, elbo(corrected({ differentiable: true }), { steps: 0, kl: "sampled" }), {
      seed: 1,
    });
    expect(Math.abs(bound.value)).toBeLessThan(1e-6);
    await expect(infer(target, elbo(corrected({}), { steps: 0 }), { seed: 1 })).rejects.toMatchObject({
      code: "argument",
      site: "correction",
    });
  });
});
