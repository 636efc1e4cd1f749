/** Negatives of fitted tilts: chains in (z, ε) of a Bernoulli decoder, against all pictures of three pixels; chains over x alone; defaults. */
import * as tf from "@tensorflow/tfjs-core";
import {
  type Drift,
  elbo,
  elboDrift,
  fisherDrift,
  infer,
  inNoise,
  logDensities,
  logDensityOf,
  ndarray,
  param,
  tiltLikelihood,
} from "tilted";
import { binary, convEnergy, decode, energy, fromVae, gaussian, generative, vae } from "tilted/models";
import { adam, cosineDecay } from "tilted/optim";
import { chainDraws, freshDraws } from "tilted/tilt";
import { describe, expect, it } from "vitest";
import { rootKey } from "../../src/core/key.ts";
import { uniform } from "../../src/core/random/draws.ts";
import { integrate } from "../support/quadrature.ts";

const PIXELS = 3;
const net = generative({ features: PIXELS, latent: 1, hidden: [], likelihood: binary() });
const params = {
  "decoder/logits/weight": ndarray(Float32Array.of(2, -1.5, 1), [1, PIXELS]),
  "decoder/logits/bias": ndarray(Float32Array.of(0.5, 0, -1)),
};
const pictures = Array.from({ length: 8 }, (_, k) => [k & 1, (k >> 1) & 1, (k >> 2) & 1]);
/** p(x) of every picture: ∫ N(z) Π_j Bernoulli(x_j; σ(l_j(z))) dz. */
const base = pictures.map((x) =>
  integrate(
    (z) =>
      [0.5 + 2 * z, -1.5 * z, -1 + z].reduce(
        (q, l, j) => q / (1 + Math.exp(x[j] === 1 ? -l : l)),
        Math.exp(-(z ** 2) / 2) / Math.sqrt(2 * Math.PI),
      ),
    -9,
    9,
    4000,
  ),
);
/** E(x) = b·x. */
const linear = function* (x: tf.Tensor) {
  return tf.sum(tf.mul(x, yield* param("b", ndarray(new Float32Array(PIXELS)))), -1);
};
/** Data of shares q: at the maximum of likelihood the tilted model has the data's E x. */
const COUNTS = [10, 40, 25, 60, 15, 50, 70, 130];
const data = ndarray(
  Float32Array.from(COUNTS.flatMap((n, k) => Array.from({ length: n }, () => pictures[k]).flat() as number[])),
  [COUNTS.reduce((a, b) => a + b), PIXELS],
);

const means = (weights: readonly number[]) => {
  const total = weights.reduce((a, b) => a + b);
  return [0, 1, 2].map((j) => weights.reduce((s, w, k) => s + w * (pictures[k]?.[j] as number), 0) / total);
};

describe("the maximum-likelihood tilt of a Bernoulli decoder", () => {
  it.each([
    [
      "a buffer, which without being told moves in (z, ε)",
      chainDraws({ chains: 256, steps: 5, stepSize: 0.3, buffer: 4 }),
      /in the noise of "x"/,
    ],
    ["weights over fresh draws", freshDraws(2048), /^snis/],
  ] as const)(
    "by %s: E x of the tilt is that of the data, and log Z is between its bounds",
    async (_, negatives, name) => {
      const steps = 400;
      const fit = await infer(
        net.base,
        tiltLikelihood("x", linear, data, {
          negatives,
          steps,
          batch: data.shape[0] as number,
          optimizer: adam(cosineDecay({ from: 0.1, steps })),
        }),
        { params, seed: 1 },
      );
      expect(fit.negatives).toMatch(name);
      const b = [...(fit.params.b?.data ?? [])] as number[];
      const tilted = base.map((p, k) => p * Math.exp(-b.reduce((s, v, j) => s + v * (pictures[k]?.[j] as number), 0)));
      means(tilted).forEach((mean, j) => {
        expect(mean).toBeCloseTo(means(COUNTS)[j] as number, 1.5);
      });
      // The fit's energy is centred: its log Z is that of b·x and the constant taken out.
      const exact = Math.log(tilted.reduce((a, v) => a + v)) + fit.centre;
      const { lower, upper } = fit.logZ;
      expect(exact).toBeGreaterThan(lower.value - 6 * lower.standardError);
      expect(exact).toBeLessThan(upper.value + 6 * upper.standardError);
    },
  );
});

describe("negatives by chains over x alone", () => {
  // x ~ N(μ, C), C = w² + σ², the latent integrated out by an encoder that is wrong.
  const line = generative({ features: 1, latent: 1, hidden: [], likelihood: gaussian() });
  const at = (value: number, shape: number[]) => ndarray(Float32Array.of(value), shape);
  const start = {
    "decoder/loc/weight": at(0.8, [1, 1]),
    "decoder/loc/bias": at(0.5, [1]),
    "encoder/loc/weight": at(0.5, [1, 1]),
    "encoder/scale/weight": at(0, [1, 1]),
  };
  const target = ndarray(
    Float32Array.from({ length: 200 }, (_, i) => -0.5 + 1.5 * Math.sin(i * i)),
    [200, 1],
  );
  const slope = function* (x: tf.Tensor) {
    return tf.sum(tf.mul(x, yield* param("b", ndarray(new Float32Array(1)))), -1);
  };
  const fitted = (drift: Drift<"x">, steps: number, more: object = {}) => {
    const negatives = chainDraws({ chains: 128, steps: 3, stepSize: 0.3, buffer: 4, drift, ...more });
    const options = { negatives, steps, batch: 200, optimizer: adam(cosineDecay({ from: 0.05, steps })) };
    return infer(line.base, tiltLikelihood("x", slope, target, options), { params: start, seed: 1 });
  };

  it("that follow Fisher's identity find the tilt of the marginal", async () => {
    const fit = await fitted(fisherDrift(line, { particles: 16 }), 120);
    expect(fit.negatives).toBe("buffer(4 × 128, 0.05 fresh, drift fisher)");
    expect(fit.history.at(-1)?.drift?.name).toBe("fisher");
    // The tilt of N(m, C) by bx has mean m − bC, which is that of the data.
    const sd = Math.log1p(Math.exp(fit.params["decoder/log-scale"]?.data[0] as number)) + 1e-3;
    const C = 0.8 ** 2 + sd ** 2;
    const mean = Array.from(target.data).reduce((a, v) => a + v / 200, 0);
    expect(0.5 - (fit.params.b?.data[0] as number) * C).toBeCloseTo(mean, 1);
    expect(fit.warnings).toEqual([]);
  });

  it("that follow the ELBO's gradient, or are unadjusted, say so", async () => {
    const fit = await fitted(elboDrift(line, { particles: 8 }), 5, { adjusted: false });
    expect(fit.trusted).toBe(false);
    expect(fit.warnings.join()).toMatch(/unadjusted.*ELBO's gradient/);
  });

  it("have no latents for a base that trains too, and no other coordinates", async () => {
    const negatives = chainDraws({ drift: fisherDrift(line) });
    const both = tiltLikelihood("x", slope, target, { negatives, joint: line });
    await expect(infer(line.base, both, { seed: 1 })).rejects.toThrow(/leave out drift/);
    expect(() => chainDraws({ drift: fisherDrift(line), coordinates: inNoise("x") })).toThrow(/leave out coordinates/);
  });
});

describe("negatives that nobody chose", () => {
  const SIDE = 8;
  const fitOf = async (features: number, likelihood: ReturnType<typeof binary>) => {
    const wide = generative({ features, latent: 2, hidden: [8], likelihood });
    const x = ndarray(
      uniform(rootKey("x"), 20 * features).map((u) => (u < 0.3 ? 1 : 0)),
      [20, features],
    );
    const learn = tiltLikelihood("x", convEnergy([features / SIDE, SIDE], { channels: [2] }), x, {
      steps: 2,
      every: 1,
      evaluation: 256,
      classify: ({ shape }) => new Int32Array(shape[0] as number),
    });
    return infer(wide.base, learn, { seed: 1 });
  };

  it.each([
    ["Bernoulli", binary()],
    ["Gaussian", gaussian()],
  ])(
    "are, for pictures of a %s decoder, a buffer of chains in (z, ε), a twentieth of them fresh",
    async (_, likelihood) => {
      const fit = await fitOf(SIDE * SIDE, likelihood);
      expect(fit.negatives).toBe('buffer(64 × 64, 0.05 fresh) in the noise of "x"');
      expect(fit.classEntropy).toBe(0);
    },
  );

  it("are base draws for what is narrower", async () => {
    expect((await fitOf(SIDE, gaussian())).negatives).toBe("snis(1024)");
  });
});

describe("a trained vae", () => {
  it("is a base of tilts of data: the same density of (z, x), and a fit that reports log p_E", async () => {
    const [features, n] = [64, 40];
    const x = ndarray(
      uniform(rootKey("pictures"), n * features).map((u, i) => (u < 0.2 + 0.6 * ((i % features) / features) ? 1 : 0)),
      [n, features],
    );
    const trained = vae({ features, latent: 2, hidden: [8] });
    const { params: learnt } = await infer(trained.model, elbo(trained.guide, { optimizer: adam(1e-2), steps: 30 }), {
      args: [x],
      seed: 1,
    });
    const as = fromVae(trained);
    const z = ndarray(
      uniform(rootKey("z"), 2 * n).map((u) => 4 * u - 2),
      [n, 2],
    );
    const p = decode(trained, learnt, z).data;
    const found = logDensities(as.base, { z, x }, { params: learnt }).data;
    for (let i = 0; i < n; i++) {
      let truth = -Math.log(2 * Math.PI);
      for (let j = 0; j < 2; j++) truth -= (z.data[2 * i + j] as number) ** 2 / 2;
      for (let j = i * features; j < (i + 1) * features; j++)
        truth += Math.log(x.data[j] === 1 ? (p[j] as number) : 1 - (p[j] as number));
      expect(found[i]).toBeCloseTo(truth, 2);
    }
    const fit = await infer(
      as.base,
      tiltLikelihood("x", energy(features, { hidden: [8], spectralNorm: true }), x, {
        steps: 10,
        evaluation: 512,
        logDensity: (rows, at) => logDensityOf(as, rows, { params: at, seed: 1, particles: 128 }),
      }),
      { params: learnt, seed: 2 },
    );
    expect(fit.negatives).toMatch(/in the noise of "x"/);
    // At most zero, as of any model of zeros and ones, and better than fair coins.
    expect(fit.logLikelihood?.upper.value).toBeLessThan(0);
    expect(fit.logLikelihood?.lower.value).toBeGreaterThan(-features * Math.LN2);
  });
});
