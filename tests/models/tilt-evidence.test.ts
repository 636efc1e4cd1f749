/** log Z and log p_E(x) of fits and of chains, from both sides, against closed forms of Gaussians. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import {
  chainEvidence,
  fisherDrift,
  fitTilt,
  infer,
  inNoise,
  langevin,
  logDensityOf,
  model,
  ndarray,
  param,
  type Sandwich,
  sample,
  snis,
  TiltedError,
  tilt,
  tiltLikelihood,
} from "tilted";
import { normal } from "tilted/dist";
import { adam, cosineDecay } from "tilted/optim";
import { chainDraws, snisLikelihood, tiltedLogDensity } from "tilted/tilt";
import { describe, expect, it } from "vitest";
import { rootKey } from "../../src/core/key.ts";
import { normal as draws } from "../../src/core/random/draws.ts";
import { identity, type Matrix, normalLogDensity, plus, type Vector } from "../support/matrix.ts";
import {
  covarianceOf,
  decoderOf,
  encoderOf,
  LINE,
  LINE_MEAN,
  linearModel,
  quadratic,
  SIGMA,
  tiltedGaussian,
} from "../support/ppca.ts";

const C = covarianceOf(LINE);
const net = linearModel(3, 1);
/** The exact encoder, a little wider. */
const M = 1 + LINE.reduce((s, [w]) => s + (w as number) ** 2, 0) / SIGMA ** 2;
const gain = LINE.map(([w]) => (w as number) / SIGMA ** 2 / M);
const params = {
  ...decoderOf(LINE, LINE_MEAN),
  ...encoderOf([gain], [-gain.reduce((s, g, j) => s + g * (LINE_MEAN[j] as number), 0)], 1.2 / Math.sqrt(M)),
};

const A = 0.6;
const B: Vector = [0.5, -0.3, 0.8];
const energy = quadratic(A, B);

function expectHolds({ lower, upper }: Sandwich, truth: number, gap: number): void {
  expect(lower.value - 6 * lower.standardError).toBeLessThan(truth);
  expect(upper.value + 6 * upper.standardError).toBeGreaterThan(truth);
  expect(upper.value + 6 * upper.standardError - lower.value + 6 * lower.standardError).toBeLessThan(gap);
}

describe("chains", () => {
  const exact = tiltedGaussian(C, LINE_MEAN, A, B);
  const tilted = pipe(net.base, tilt("x", energy));
  const rows = [
    [0.5, -1, 0.3],
    [1.2, 0.4, -0.8],
  ];
  const x = ndarray(Float32Array.from(rows.flat()), [2, 3]);

  it.each([
    ["in x and z", tilted, {}],
    ["in (z, ε)", pipe(tilted, inNoise("x")), {}],
    ["in x alone, by Fisher's identity", tilted, { drift: fisherDrift(net, { particles: 16 }) }],
  ] as const)("%s: log Z and log p_E(x) lie between their bounds", async (_, which, how) => {
    const chains = await infer(
      which as typeof tilted,
      langevin({ chains: 64, steps: 400, stepSize: 0.2, ...(how as { drift?: ReturnType<typeof fisherDrift> }) }),
      { params, seed: 1 },
    );
    const z = chainEvidence(which as typeof tilted, chains, { params, seed: 2 });
    expect(z.upper).toMatchObject({ side: "upper", of: "log Z" });
    expectHolds(z, exact.logZ, 0.3);
    const bounds = tiltedLogDensity(net, energy, z, x, { params, seed: 3, particles: 2048 });
    const truth = rows.reduce((s, row) => s + normalLogDensity(row, exact.mean, exact.covariance) / rows.length, 0);
    expectHolds(bounds, truth, 0.6);
  });

  it("above, they notice what base draws miss", async () => {
    // N(0, 1) by −6x: Z = e^18, of which draws near 0 know nothing.
    const far = pipe(
      model(function* () {
        yield* sample("x", normal(0, 1));
      }),
      tilt("x", (v) => tf.mul(-6, v)),
    );
    const chains = await infer(far, langevin({ chains: 64, steps: 300, stepSize: 0.5 }), { seed: 1 });
    const { lower, upper } = chainEvidence(far, chains, { seed: 2, draws: 1024 });
    expect(lower.value).toBeLessThan(17.5);
    expect(upper.value).toBeGreaterThan(18.5);
    const alone = (await infer(far, snis(1024), { seed: 2 })).evidence;
    expect(alone?.upper.value).toBeLessThan(upper.value - 1);
  });

  it("must have moved whatever a factor depends on", async () => {
    const chains = await infer(tilted, langevin({ chains: 4, steps: 4 }), { params, seed: 1 });
    const both = pipe(
      net.base,
      tilt("z", (z) => tf.sum(z, -1)),
    );
    const code = (run: () => unknown) => {
      try {
        run();
      } catch (e) {
        if (e instanceof TiltedError) return e.code;
      }
      return undefined;
    };
    expect(code(() => chainEvidence(both, { sites: { x: chains.sites.x } }, { params, seed: 1 }))).toBe("argument");
    expect(code(() => chainEvidence(tilted, chains, { params, seed: 1, draws: 8 }))).toBe("argument");
    expect(tf.memory().numTensors).toBe(0);
  });
});

describe("weighted draws", () => {
  it("give log Z from both sides, if they are not too few", async () => {
    const tilted = pipe(net.base, tilt("x", energy));
    const { evidence } = await infer(tilted, snis(20_000), { params, seed: 1 });
    expectHolds(evidence as Sandwich, tiltedGaussian(C, LINE_MEAN, A, B).logZ, 0.2);
    expect((await infer(tilted, snis(63), { params, seed: 1 })).evidence).toBeUndefined();
  });
});

describe("fits", () => {
  const N = 300;
  const from = (name: string) =>
    ndarray(
      draws(rootKey(name), 2 * N).map((v, i) => (i % 2 === 0 ? 1 + 0.6 * v : -0.5 + 0.8 * v)),
      [N, 2],
    );
  const [data, test] = [from("data"), from("test")];
  const flat = model(function* () {
    return yield* sample("x", normal(tf.zeros([2]), 1).event(1));
  });
  function* learnt(x: tf.Tensor) {
    const a = yield* param("a", ndarray(new Float32Array(2)));
    const b = yield* param("b", ndarray(new Float32Array(2)));
    return tf.sum(tf.sub(tf.mul(tf.mul(a, 0.5), tf.square(x)), tf.mul(b, x)), -1);
  }
  const likelihood = (a: Vector, b: Vector, mean: Vector, S: Matrix, x: typeof data): number => {
    const exact = tiltedGaussian(S, mean, a, b);
    return Array.from({ length: N }, (_, i) => [x.data[2 * i] as number, x.data[2 * i + 1] as number]).reduce(
      (s, row) => s + normalLogDensity(row, exact.mean, exact.covariance) / N,
      0,
    );
  };
  const numbers = (of: { readonly data: ArrayLike<number> } | undefined) => Array.from(of?.data ?? []);
  const steps = 150;
  const optimizer = adam(cosineDecay({ from: 0.05, steps }));

  it.each([
    ["fitTilt", fitTilt("x", learnt, data, { objective: snisLikelihood(), optimizer, steps, holdout: 0, test })],
    ["tiltLikelihood", tiltLikelihood("x", learnt, data, { optimizer, steps, test })],
  ] as const)("%s: log p_E of test rows lies between its bounds, log p(x) exact", async (_, learn) => {
    const fit = await infer(flat, learn as ReturnType<typeof fitTilt>, { seed: 1 });
    const truth = likelihood(numbers(fit.params.a), numbers(fit.params.b), [0, 0], identity(2), test);
    expectHolds(fit.logLikelihood as Sandwich, truth, 0.5);
    expect(fit.logLikelihood?.lower.of).toBe("log p_E(x)");
    expect(fit).toMatchObject({ trusted: true, warnings: [] });
    expect(fit.khat).toBeLessThan(0.7);
    expect(fit.largestWeight).toBeLessThan(0.1);
  });

  it("with a latent in the base they are told log p(x), or say nothing", async () => {
    const pair = linearModel(2, 1);
    const at = {
      ...decoderOf([[0.8], [-0.6]], [0.2, -0.1]),
      ...encoderOf([[0.8, -0.6]], [0], 1.2 / Math.sqrt(M)),
    };
    const S = plus(
      [
        [0.64, -0.48],
        [-0.48, 0.36],
      ],
      identity(2, SIGMA ** 2),
    );
    const options = { optimizer, steps: 60, evaluation: 20_000 };
    const negatives = chainDraws({ chains: 64, steps: 5, stepSize: 0.1, coordinates: inNoise("x"), buffer: 16 });
    const run = (more: object) =>
      infer(pair.base, tiltLikelihood("x", learnt, data, { ...options, negatives, ...more }), { params: at, seed: 2 });
    const fit = await run({
      logDensity: (x: typeof data, p: typeof params) => logDensityOf(pair, x, { params: p, seed: 3, particles: 2048 }),
    });
    const truth = likelihood(numbers(fit.params.a), numbers(fit.params.b), [0.2, -0.1], S, data);
    expectHolds(fit.logLikelihood as Sandwich, truth, 0.8);
    expect((await run({ steps: 2 })).logLikelihood).toBeUndefined();
  });

  it("refuse test rows of another shape", async () => {
    const wrong = { test: ndarray(new Float32Array(3), [1, 3]) };
    expect(() => fitTilt("x", learnt, data, wrong)).toThrow(/test has shape/);
    await expect(infer(flat, tiltLikelihood("x", learnt, data, wrong), { seed: 1 })).rejects.toThrow(/test has shape/);
  });
});
