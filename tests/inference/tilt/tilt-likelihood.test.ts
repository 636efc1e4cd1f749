/** Maximum likelihood of a tilt against its exact optimum: moments of the tilted model are those of the data. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import {
  infer,
  inNoise,
  model,
  ndarray,
  param,
  sample,
  snis,
  TiltedError,
  type TiltLikelihoodFit,
  tilt,
  tiltLikelihood,
} from "tilted";
import { normal } from "tilted/dist";
import { gaussian, generative } from "tilted/models";
import { adam, cosineDecay } from "tilted/optim";
import { chainDraws, freshDraws, type Negatives } from "tilted/tilt";
import { describe, expect, it } from "vitest";
import { rootKey } from "../../../src/core/key.ts";
import { normal as draws } from "../../../src/core/random/draws.ts";

/** 400 points of N(1, .6²) × N(−.5, .8²), exactly of those moments. */
const N = 400;
const [MEANS, SDS] = [
  [1, -0.5],
  [0.6, 0.8],
];
const data = (() => {
  const raw = draws(rootKey("data"), 2 * N);
  const out = new Float32Array(2 * N);
  for (const j of [0, 1]) {
    const column = Array.from({ length: N }, (_, i) => raw[2 * i + j] as number);
    const mean = column.reduce((a, b) => a + b, 0) / N;
    const sd = Math.sqrt(column.reduce((a, b) => a + (b - mean) ** 2, 0) / N);
    column.forEach((x, i) => {
      out[2 * i + j] = (MEANS?.[j] as number) + ((SDS?.[j] as number) * (x - mean)) / sd;
    });
  }
  return ndarray(out, [N, 2]);
})();

/** E = Σ ½ a_j x_j² − b_j x_j: with base N(0, I) the optimum is a = 1/s² − 1, b = m/s². */
function* quadratic(x: tf.Tensor) {
  const a = yield* param("a", ndarray(new Float32Array(2)));
  const b = yield* param("b", ndarray(new Float32Array(2)));
  return tf.sum(tf.sub(tf.mul(tf.mul(a, 0.5), tf.square(x)), tf.mul(b, x)), -1);
}
const base = model(function* () {
  return yield* sample("x", normal(tf.zeros([2]), 1).event(1));
});
const deep = model(function* () {
  const z = yield* sample("z", normal(tf.zeros([2]), 0.8).event(1));
  return yield* sample("x", normal(z, 0.6).event(1));
});

const options = (negatives: Negatives, steps: number) => ({
  negatives,
  steps,
  batch: N,
  optimizer: adam(cosineDecay({ from: 0.05, steps })),
});

describe("the exact maximum-likelihood tilt between Gaussians", () => {
  const cases: [string, typeof base | typeof deep, Negatives, number][] = [
    ["SNIS over fresh draws", base, freshDraws(4096), 600],
    ["chains in x", base, chainDraws({ chains: 128, steps: 10, stepSize: 0.1 }), 600],
    ["chains in (z, x) of a latent-variable base", deep, chainDraws({ chains: 128, steps: 10, stepSize: 0.1 }), 600],
    ["a buffer in (z, ε)", deep, chainDraws({ chains: 128, steps: 10, stepSize: 0.1, coordinates: inNoise("x") }), 600],
  ];
  it.each(cases)("by %s", async (_, which, negatives, steps) => {
    const fit = (await infer(which as typeof base, tiltLikelihood("x", quadratic, data, options(negatives, steps)), {
      seed: 1,
    })) as TiltLikelihoodFit;
    expect(fit.stopped).toBe("finished");
    const [a, b] = [fit.params.a?.data, fit.params.b?.data];
    for (const j of [0, 1]) {
      const precision = 1 / (SDS?.[j] as number) ** 2;
      expect(1 + (a?.[j] as number)).toBeCloseTo(precision, 0.7);
      expect((b?.[j] as number) / (1 + (a?.[j] as number))).toBeCloseTo(MEANS?.[j] as number, 1);
    }
    // The centred tilt has Z near 1; the sides rest on what there is.
    expect(Math.abs(fit.logZ.lower.value)).toBeLessThan(0.1);
    expect(fit.logZFrom).toBe(negatives.kind === "weighted" ? "base draws" : "base draws and the buffer");
    const noise = 5 * Math.hypot(fit.logZ.lower.standardError, fit.logZ.upper.standardError);
    expect(fit.logZ.upper.value).toBeGreaterThan(fit.logZ.lower.value - noise);
    expect(fit.logZ.upper.value).toBeLessThan(0.3);
  });
});

it("trains the base with the energy: N(μ, 1) and ½ a x², whose tilt is N(μ/(1 + a), 1/(1 + a))", async () => {
  const loose = model(function* () {
    const mu = yield* param("mu", ndarray(new Float32Array(2)));
    return yield* sample("x", normal(mu, 1).event(1));
  });
  const flat = function* (x: tf.Tensor) {
    return tf.sum(tf.mul(tf.mul(0.5, yield* param("a", ndarray(new Float32Array(2)))), tf.square(x)), -1);
  };
  const fit = await infer(loose, tiltLikelihood("x", flat, data, { ...options(freshDraws(4096), 800), joint: true }), {
    seed: 2,
  });
  for (const j of [0, 1]) {
    const precision = 1 / (SDS?.[j] as number) ** 2;
    expect(1 + (fit.params.a?.data[j] as number)).toBeCloseTo(precision, 0.7);
    expect((fit.params.mu?.data[j] as number) / (1 + (fit.params.a?.data[j] as number))).toBeCloseTo(
      MEANS?.[j] as number,
      1,
    );
  }
});

it.each([
  ["fresh draws", freshDraws(2048)],
  ["a buffer in (z, ε)", chainDraws({ chains: 128, steps: 5, stepSize: 0.1, coordinates: inNoise("x") })],
])(
  "trains a latent-variable base with the energy, by its ELBO and %s: the tilted model has the data's moments",
  async (_, negatives) => {
    // x ~ N(b, C), C = w² + σ², tilted by ½ a x²: N(b/(1 + aC), C/(1 + aC)).
    const net = generative({ features: 2, latent: 1, hidden: [], likelihood: gaussian() });
    const flat = function* (x: tf.Tensor) {
      return tf.mul(tf.mul(0.5, yield* param("a", ndarray(new Float32Array(1), []))), tf.sum(tf.square(x), -1));
    };
    const fit = await infer(net.base, tiltLikelihood("x", flat, data, { ...options(negatives, 600), joint: net }), {
      seed: 4,
    });
    expect(fit.stopped).toBe("finished");
    const draws = await infer(pipe(net.base, tilt("x", fit.energy)), snis(40_000), { params: fit.params, seed: 5 });
    const { value } = draws.mean("x");
    const variance = draws.variance("x").data;
    for (const j of [0, 1]) expect(Math.abs((value.data[j] as number) - (MEANS?.[j] as number))).toBeLessThan(0.1);
    // One σ for both coordinates: what is left is matched in sum.
    const total = (variance[0] as number) + (variance[1] as number);
    expect(Math.abs(total - 1)).toBeLessThan(0.15);
  },
);

describe("stability", () => {
  it("a run that diverges is stopped at its last good state and says so", async () => {
    const fit = await infer(
      base,
      tiltLikelihood("x", quadratic, data, {
        steps: 400,
        batch: 50,
        optimizer: adam(1e30),
        every: 1,
        clip: { norm: 1e30 },
      }),
      { seed: 3 },
    );
    expect(fit.stopped).toBe("diverged");
    expect(fit.message).toMatch(/stopped at step \d+/);
    expect(fit.trusted).toBe(false);
    for (const p of Object.values(fit.params)) expect(p.data.every(Number.isFinite)).toBe(true);
  });

  it("refuses data of another shape, a site that is not there, and an energy with nothing to fit", async () => {
    const code = async (run: () => Promise<unknown>) =>
      run().then(
        () => "none",
        (e: unknown) => (e instanceof TiltedError ? e.code : "other"),
      );
    expect(await code(() => infer(base, tiltLikelihood("y", quadratic, data), { seed: 1 }))).toBe("missing-site");
    expect(
      await code(() => infer(base, tiltLikelihood("x", quadratic, ndarray(new Float32Array(9), [3, 3])), { seed: 1 })),
    ).toBe("shape");
    expect(
      await code(() =>
        infer(
          base,
          tiltLikelihood("x", (x) => tf.sum(x, -1), data),
          { seed: 1 },
        ),
      ),
    ).toBe("argument");
  });
});
