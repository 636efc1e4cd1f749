/** Chains over x alone of a tilted probabilistic PCA, the latent integrated out: against the tilted marginal, and against the exact law of unadjusted chains. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import {
  type Drift,
  elboDrift,
  fisherDrift,
  infer,
  type LangevinOptions,
  langevin,
  sample,
  TiltedError,
  tilt,
} from "tilted";
import { normal } from "tilted/dist";
import { binary, generative } from "tilted/models";
import { describe, expect, it } from "vitest";
import {
  add,
  apply,
  identity,
  inverse,
  type Matrix,
  plus,
  scaled,
  subtract,
  times,
  transpose,
  type Vector,
} from "../support/matrix.ts";
import { covarianceOf, decoderOf, encoderOf, linearModel, quadratic, SIGMA, tiltedGaussian } from "../support/ppca.ts";
import { expectDiffers, expectEstimate } from "../support/statistics.ts";

const W: Matrix = [[0.8], [-0.6]];
const MU: Vector = [0.2, -0.1];
const C = covarianceOf(W);
const M = 1 + SIGMA ** 2;
/** Posterior N(Pᵀ(x − μ), v): |w| = 1. */
const P: Matrix = scaled(1 / M, transpose(W));
const V = SIGMA ** 2 / M;
const net = linearModel(2, 1);
const encodedBy = (A: Matrix, a: number, s: number) => ({ ...decoderOf(W, MU), ...encoderOf(A, [a], s) });
const right = encodedBy(P, -(apply(P, MU)[0] as number), Math.sqrt(V));
/** Wrong in slope, place and width. */
const SLOPE = scaled(0.6, P);
const SHIFT = 0.3;
const wrong = encodedBy(SLOPE, SHIFT, 0.8);

const A = 0.6;
const B: Vector = [0.5, -0.3];
const tilted = pipe(net.base, tilt("x", quadratic(A, B)));
const { precision, covariance: TILTED, mean: MEAN } = tiltedGaussian(C, MU, A, B);

const CHAINS = 128;
const runWith = (drift: Drift<"x">, params: typeof right, options: LangevinOptions<"x">) =>
  infer(tilted, langevin({ chains: CHAINS, drift, ...options }), { params, seed: 1 });

/** Mean over chains, which are independent, of the chain's mean of h. */
function moment({ data, shape }: { data: ArrayLike<number>; shape: readonly number[] }, h: (x: Vector) => number) {
  const [chains, steps] = shape as [number, number];
  const each = Array.from({ length: chains }, (_, c) => {
    let sum = 0;
    for (let t = 0; t < steps; t++) {
      const at = 2 * (c * steps + t);
      sum += h([data[at] as number, data[at + 1] as number]) / steps;
    }
    return sum;
  });
  const value = each.reduce((a, b) => a + b, 0) / chains;
  const variance = each.reduce((a, b) => a + (b - value) ** 2, 0) / (chains - 1);
  return { value, standardError: Math.sqrt(variance / chains), degrees: chains - 1 };
}

function expectMoments(x: Parameters<typeof moment>[0], mean: Vector, covariance: Matrix, detects: number): void {
  for (const j of [0, 1]) {
    expectEstimate(
      moment(x, (v) => v[j] as number),
      mean[j] as number,
      { what: `E x${j}`, detects },
    );
    for (const i of [0, j]) {
      const centred = (v: Vector) =>
        ((v[i] as number) - (mean[i] as number)) * ((v[j] as number) - (mean[j] as number));
      expectEstimate(moment(x, centred), covariance[i]?.[j] as number, { what: `Cov x${i} x${j}`, detects });
    }
  }
}

describe("with Metropolis the chains have the tilted marginal's mean and covariance, whatever the drift and the encoder", () => {
  it.each([
    ["Fisher's identity", fisherDrift(net, { particles: 16 })],
    ["the ELBO's gradient", elboDrift(net, { particles: 16 })],
  ])("%s", async (_, drift) => {
    const run = await runWith(drift, wrong, { steps: 900, warmup: 200, stepSize: 0.2 });
    expectMoments(run.sites.x, MEAN, TILTED, 0.15);
    expect(run.drift).toMatchObject({ name: drift.name, particles: 16 });
    expect(run.drift.target).toMatch(/itself/);
    expect(run.drift.essRatio).toBeGreaterThan(0.1);
    expect(run.drift.essRatio).toBeLessThan(0.95);
    expect(Object.keys(run.sites)).toEqual(["x"]);
  });
});

describe("without Metropolis", () => {
  const eta = 0.2;
  const unadjusted = { adjusted: false, steps: 900, warmup: 60, stepSize: eta } as const;

  it("Fisher's identity: the exact law of the unadjusted chain, noise of the drift included", async () => {
    // With the posterior as encoder ŝ is unbiased, of variance W v Wᵀ/(σ⁴K) at every x: x' = m + F(x − m) + noise, F = I − ηP_E.
    const particles = 2;
    const run = await runWith(fisherDrift(net, { particles }), right, unadjusted);
    const F = plus(identity(2), scaled(-eta, inverse(TILTED)));
    const noise = plus(identity(2, 2 * eta), scaled((eta ** 2 * V) / (SIGMA ** 4 * particles), times(W, transpose(W))));
    let stationary: Matrix = identity(2);
    for (let t = 0; t < 500; t++) stationary = plus(times(times(F, stationary), transpose(F)), noise);
    expectMoments(run.sites.x, MEAN, stationary, 0.15);
    expect(run.drift.essRatio).toBeCloseTo(1, 3);
    expect(run.drift.target).toMatch(/order 1\/2/);
  });

  it("the ELBO's gradient: the mean is that of another distribution, and the result says so", async () => {
    const run = await runWith(elboDrift(net), wrong, unadjusted);
    // 0 = −C⁻¹(x − μ) − ∇KL(x) − a x + b, ∇KL = (A − P)ᵀ(Ax + a − P(x − μ))/v: linear in x.
    const gap = plus(SLOPE, scaled(-1, P));
    const slope = plus(plus(precision, identity(2, A)), scaled(1 / V, times(transpose(gap), gap)));
    const offset = SHIFT + (apply(P, MU)[0] as number);
    const constant = subtract(add(apply(precision, MU), B), apply(scaled(1 / V, transpose(gap)), [offset]));
    const settles = apply(inverse(slope), constant);
    for (const j of [0, 1])
      expectEstimate(
        moment(run.sites.x, (v) => v[j] as number),
        settles[j] as number,
        { what: `E x${j}`, detects: 0.15 },
      );
    expectDiffers(
      moment(run.sites.x, (v) => v[0] as number),
      MEAN[0] as number,
    );
    expect(run.drift.name).toBe("elbo-approximation");
    expect(run.trusted).toBe(false);
    expect(run.warnings.join()).toMatch(/ELBO's gradient/);
  });
});

it("a run without a drift says that it followed the model's gradient", async () => {
  const run = await infer(tilted, langevin({ chains: 4, steps: 10 }), { params: right, seed: 1 });
  expect(run.drift).toEqual({ name: "gradient", target: "the model itself" });
});

it("goes on from a checkpoint as one long run", async () => {
  const drift = fisherDrift(net, { particles: 4 });
  const options = { warmup: 0, stepSize: 0.1 };
  const whole = await runWith(drift, wrong, { steps: 12, ...options });
  const first = await runWith(drift, wrong, { steps: 5, ...options });
  const rest = await runWith(drift, wrong, { steps: 7, from: first.checkpoint });
  const last = (x: { data: ArrayLike<number> }, steps: number) =>
    Array.from({ length: 2 }, (_, j) => x.data[2 * (steps - 1) + j]);
  expect(last(rest.sites.x, 7)).toEqual(last(whole.sites.x, 12));
});

describe("refused", () => {
  const code = (run: () => Promise<unknown>) =>
    run().then(
      () => "none",
      (e: unknown) => (e instanceof TiltedError ? e.code : "other"),
    );
  const drift = fisherDrift(net);
  const few = { chains: 4, steps: 2, drift } as const;
  it("a discrete likelihood, a tilt of what is integrated out, another site, jumps, temperatures under Metropolis", async () => {
    const discrete = generative({ features: 2, latent: 1, hidden: [], likelihood: binary() });
    expect(
      await code(() => infer(discrete.base, langevin({ ...few, drift: fisherDrift(discrete) }), { seed: 1 })),
    ).toBe("not-differentiable");
    const latent = pipe(
      net.base,
      tilt("z", (z) => tf.sum(z, -1)),
    );
    expect(await code(() => infer(latent, langevin(few), { seed: 1 }))).toBe("argument");
    expect(() => langevin({ ...few, jumpEvery: 2 })).toThrow(/do not jump/);
    expect(await code(() => infer(tilted, langevin({ ...few, temperature: 2 }), { seed: 1 }))).toBe("argument");
    const other = function* () {
      return yield* sample("y", normal(0, 1));
    };
    expect(await code(() => infer(other as never, langevin(few) as never, { seed: 1 }))).toBe("missing-site");
    expect(() => fisherDrift(net, { particles: 0 })).toThrow(/particles must be a whole number of at least 1/);
  });
});
