/** Tilts of data against exact answers: linear decoders for which the tilted distribution of x is known in closed form or by quadrature. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { infer, inNoise, langevin, ndarray, snis, tilt } from "tilted";
import { binary, generative, student } from "tilted/models";
import { describe, expect, it } from "vitest";
import {
  covarianceOf,
  decoderOf,
  LINE,
  LINE_MEAN,
  linearModel,
  quadratic,
  SIGMA,
  tiltedGaussian,
} from "../support/ppca.ts";
import { integrate } from "../support/quadrature.ts";
import { normalCdf } from "../support/special.ts";
import { expectEstimate } from "../support/statistics.ts";

const ppca = linearModel(3, 1);
const params = decoderOf(LINE, LINE_MEAN);
const energy = quadratic(0.6, [0.5, -0.3, 0.8]);
const {
  covariance: TILTED,
  mean: MEAN,
  logZ: LOG_Z,
} = tiltedGaussian(covarianceOf(LINE), LINE_MEAN, 0.6, [0.5, -0.3, 0.8]);

const estimate = (samples: readonly number[]) => {
  const n = samples.length;
  const value = samples.reduce((a, b) => a + b, 0) / n;
  const variance = samples.reduce((a, b) => a + (b - value) ** 2, 0) / (n - 1);
  return { value, standardError: Math.sqrt(variance / n), degrees: n - 1 };
};

describe("probabilistic PCA tilted by a quadratic", () => {
  const tilted = pipe(ppca.base, tilt("x", energy));

  it("by SNIS: mean, covariance and log Z", async () => {
    const draws = await infer(tilted, snis(200_000), { params, seed: 1 });
    const entry = (f: (x: tf.Tensor) => tf.Tensor) => draws.expectation(({ x }) => f(x));
    const at = (x: tf.Tensor, j: number) => tf.squeeze(tf.slice(x, [0, j], [-1, 1]), [1]);
    for (let j = 0; j < 3; j++) {
      expectEstimate(
        entry((x) => at(x, j)),
        MEAN[j] as number,
        { what: `E x${j}`, detects: 0.05 },
      );
      const second = (TILTED[0]?.[j] as number) + (MEAN[0] as number) * (MEAN[j] as number);
      expectEstimate(
        entry((x) => tf.mul(at(x, 0), at(x, j))),
        second,
        { what: `E x0 x${j}`, detects: 0.05 },
      );
    }
    expectEstimate(draws.logEvidence, LOG_Z, { what: "log Z", detects: 0.05 });
  });

  it.each([
    ["in x and z", tilted, "x"],
    ["in (z, ε)", pipe(tilted, inNoise("x")), "x/noise"],
  ] as const)("by MALA %s", async (_, model, site) => {
    const run = await infer(model as typeof tilted, langevin({ chains: 64, steps: 1500, stepSize: 0.2 }), {
      params,
      seed: 2,
    });
    expect(run.rhat).toBeLessThan(1.05);
    const { z, [site]: other } = run.sites as unknown as Record<string, (typeof run.sites)["x"]>;
    const [zs, xs] = [z, other] as [(typeof run.sites)["x"], (typeof run.sites)["x"]];
    const x = (j: number) => (row: readonly number[], zOf: number) =>
      site === "x"
        ? (row[j] as number)
        : (LINE_MEAN[j] as number) + (LINE[j]?.[0] as number) * zOf + SIGMA * (row[j] as number);
    const [chains, steps] = xs.shape as [number, number];
    const moment = (h: (at: (j: number) => number) => number) =>
      estimate(
        Array.from({ length: chains }, (_, c) => {
          let sum = 0;
          for (let t = 0; t < steps; t++) {
            const at = c * steps + t;
            const row = Array.from(xs.data.subarray(3 * at, 3 * at + 3));
            sum += h((j) => x(j)(row, zs.data[at] as number)) / steps;
          }
          return sum;
        }),
      );
    for (let j = 0; j < 3; j++) {
      expectEstimate(
        moment((at) => at(j)),
        MEAN[j] as number,
        { what: `E x${j}`, detects: 0.15 },
      );
      const second = (TILTED[0]?.[j] as number) + (MEAN[0] as number) * (MEAN[j] as number);
      expectEstimate(
        moment((at) => at(0) * at(j)),
        second,
        { what: `E x0 x${j}`, detects: 0.15 },
      );
    }
  });
});

describe("other decoders in (z, ε), one latent, against quadrature", () => {
  const gauss = (z: number) => Math.exp(-(z ** 2) / 2) / Math.sqrt(2 * Math.PI);

  it("Bernoulli: every one of the eight pictures has its exact share", async () => {
    const net = generative({ features: 3, latent: 1, hidden: [], likelihood: binary() });
    const weights = {
      "decoder/logits/weight": ndarray(Float32Array.of(2, -1.5, 1), [1, 3]),
      "decoder/logits/bias": ndarray(Float32Array.of(0.5, 0, -1)),
    };
    const E = (x: readonly number[]) =>
      1.2 * (x[0] as number) * (x[1] as number) - 0.9 * (x[2] as number) + 0.5 * (x[1] as number);
    const energy = (x: tf.Tensor) => {
      const at = (j: number) =>
        tf.squeeze(tf.slice(x, [...Array(x.rank - 1).fill(0), j], [...Array(x.rank - 1).fill(-1), 1]), [-1]);
      return tf.add(tf.sub(tf.mul(1.2, tf.mul(at(0), at(1))), tf.mul(0.9, at(2))), tf.mul(0.5, at(1)));
    };
    const l = (z: number) => [0.5 + 2 * z, -1.5 * z, -1 + z];
    const pictures = Array.from({ length: 8 }, (_, k) => [k & 1, (k >> 1) & 1, (k >> 2) & 1]);
    const mass = pictures.map((x) => {
      const p = integrate(
        (z) => gauss(z) * l(z).reduce((q, v, j) => q / (1 + Math.exp(x[j] === 1 ? -v : v)), 1),
        -9,
        9,
        4000,
      );
      return p * Math.exp(-E(x));
    });
    const Z = mass.reduce((a, b) => a + b, 0);
    const noisy = pipe(net.base, tilt("x", energy), inNoise("x"));
    const run = await infer(noisy, langevin({ chains: 64, steps: 2500, stepSize: 0.2 }), { params: weights, seed: 3 });
    expect(run.acceptance).toBeGreaterThan(0.4);
    const zs = run.sites.z;
    const noise = run.sites["x/noise"];
    const [chains, steps] = zs.shape as [number, number];
    const shares = pictures.map(() => new Array<number>(chains).fill(0));
    for (let c = 0; c < chains; c++) {
      for (let t = 0; t < steps; t++) {
        const at = c * steps + t;
        const code = l(zs.data[at] as number).reduce((s, v, j) => {
          const u = normalCdf(noise.data[3 * at + j] as number);
          return s + (u < 1 / (1 + Math.exp(-v)) ? 1 << j : 0);
        }, 0);
        const share = shares[code] as number[];
        share[c] = (share[c] as number) + 1 / steps;
      }
    }
    shares.forEach((share, k) => {
      expectEstimate(estimate(share), (mass[k] as number) / Z, { what: `share of picture ${k}`, detects: 0.05 });
    });
  });

  it("Student-t: mean of x under a tilt that keeps the tails", async () => {
    const net = generative({ features: 1, latent: 1, hidden: [], likelihood: student({ floor: 1e-9 }) });
    const w = (a: number, b: number) => [ndarray(Float32Array.of(a), [1, 1]), ndarray(Float32Array.of(b))] as const;
    const [locW, locB] = w(0.7, 0.3);
    const [scaleW, scaleB] = w(0, Math.log(Math.expm1(0.5)));
    const [dfW, dfB] = w(0, Math.log(Math.expm1(1)));
    const weights = {
      "decoder/loc/weight": locW,
      "decoder/loc/bias": locB,
      "decoder/scale/weight": scaleW,
      "decoder/scale/bias": scaleB,
      "decoder/df/weight": dfW,
      "decoder/df/bias": dfB,
    };
    // ν = 3 + 1, scale ½; the energy is ½(x − 1)².
    const energy = (x: tf.Tensor) => tf.squeeze(tf.mul(0.5, tf.square(tf.sub(x, 1))), [-1]);
    const t4 = (u: number) => 0.375 / (1 + (u * u) / 4) ** 2.5;
    const p = (x: number) => integrate((z) => gauss(z) * t4((x - 0.3 - 0.7 * z) / 0.5) * 2, -8, 8, 300);
    const [Z, first] = [0, 1].map((k) =>
      integrate((x) => x ** k * p(x) * Math.exp(-((x - 1) ** 2) / 2), -9, 11, 600),
    ) as [number, number];
    const run = await infer(
      pipe(net.base, tilt("x", energy), inNoise("x")),
      langevin({ chains: 64, steps: 2500, stepSize: 0.1 }),
      { params: weights, seed: 4 },
    );
    const { z, "x/noise": e, "x/precision": v } = run.sites;
    const [chains, steps] = z.shape as [number, number];
    const means = Array.from({ length: chains }, (_, c) => {
      let sum = 0;
      for (let t = 0; t < steps; t++) {
        const at = c * steps + t;
        sum += 0.3 + 0.7 * (z.data[at] as number) + (0.5 * (e.data[at] as number)) / Math.sqrt(v.data[at] as number);
      }
      return sum / steps;
    });
    expectEstimate(estimate(means), first / Z, { what: "E x", detects: 0.1 });
  });
});
