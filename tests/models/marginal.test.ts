/** Chains over x alone, the latent integrated out, against probabilistic PCA, whose marginal and tilts are Gaussian. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/function";
import { ensureEngine, infer, langevin, ndarray, rootKey, TiltedError, tilt } from "tilted";
import { binary, gaussian, generative, marginal } from "tilted/models";
import { beforeAll, describe, expect, it } from "vitest";
import { normal as draws } from "../../src/core/random/draws.ts";
import { scope } from "../../src/core/scope.ts";
import { toTensors } from "../../src/core/tree.ts";
import { logJoint } from "../../src/effects/density.ts";
import { replay } from "../../src/effects/handlers.ts";
import { interpret } from "../../src/effects/interpret.ts";
import { valueAndGradient } from "../../src/inference/gradient.ts";
import { expectDiffers, expectEstimate } from "../support/statistics.ts";

beforeAll(() => ensureEngine());

// Orthonormal columns: the posterior is N(Wᵀ(x − μ)/m, σ²/m · I) with m = 1 + σ², so that a diagonal encoder can be exact.
const W = [
  [0.8, 0.6],
  [-0.6, 0.8],
  [0, 0],
] as const;
const MU = [0.5, -0.3, 0.2] as const;
const SIGMA = 0.7;
const [FLOOR, MIN_SCALE] = [1e-3, 1e-4];
const m = 1 + SIGMA ** 2;
const inverseSoftplus = (y: number) => Math.log(Math.expm1(y));
const net = generative({ features: 3, latent: 2, hidden: [], likelihood: gaussian({ floor: FLOOR }) });
/** The encoder N(slope·Wᵀ(x − μ), s² I). */
const encoder = (slope: number, s: number) => ({
  "decoder/loc/weight": ndarray(Float32Array.from([0, 1].flatMap((k) => W.map((row) => row[k as 0 | 1]))), [2, 3]),
  "decoder/loc/bias": ndarray(Float32Array.from(MU)),
  "decoder/log-scale": ndarray(Float32Array.of(inverseSoftplus(SIGMA - FLOOR))),
  "encoder/loc/weight": ndarray(Float32Array.from(W.flatMap((row) => row.map((w) => slope * w))), [3, 2]),
  "encoder/loc/bias": ndarray(
    Float32Array.from([0, 1], (k) => -slope * W.reduce((s, row, j) => s + row[k as 0 | 1] * (MU[j] as number), 0)),
  ),
  "encoder/scale/weight": ndarray(new Float32Array(6), [3, 2]),
  "encoder/scale/bias": ndarray(new Float32Array(2).fill(inverseSoftplus(s - MIN_SCALE))),
});
const exact = encoder(1 / m, SIGMA / Math.sqrt(m));
const wrong = encoder(0.5 / m, 0.9);

const CHAINS = 64;
const init = { x: ndarray(draws(rootKey("init"), CHAINS * 3), [CHAINS, 3]) };
/** ½ a |x|². */
const [A] = [0.8];
const half = (x: tf.Tensor) => tf.mul(A / 2, tf.sum(tf.square(x), -1));
const settings = { chains: CHAINS, steps: 3000, warmup: 500, thin: 10, stepSize: 0.2, init };

/** Squares about the truth, chain by chain: their mean and its standard error over chains, which are independent. */
function perChain(x: { readonly data: ArrayLike<number> }, of: (row: readonly number[]) => number) {
  const kept = x.data.length / (CHAINS * 3);
  const means = Array.from({ length: CHAINS }, (_, c) => {
    let sum = 0;
    for (let i = 0; i < kept; i++) {
      const at = (c * kept + i) * 3;
      sum += of([x.data[at], x.data[at + 1], x.data[at + 2]] as number[]);
    }
    return sum / kept;
  });
  const value = means.reduce((a, b) => a + b, 0) / CHAINS;
  const variance = means.reduce((s, v) => s + (v - value) ** 2, 0) / (CHAINS - 1);
  return { value, standardError: Math.sqrt(variance / CHAINS), degrees: CHAINS - 1 };
}

describe("marginal", () => {
  it("has log p(x) and its score, at once where the encoder is exact", () => {
    const x = ndarray(Float32Array.of(0.3, -1.2, 0.8, 2, 0.5, -1.5), [2, 3]);
    const { value, slope } = scope(() => {
      const particles = 20_000;
      const evaluate = (at: tf.Tensor) =>
        tf.sum(
          logJoint(
            interpret(replay({ latents: { x: at } })(marginal(net, { seed: 1, particles }))(), {
              particles: 2,
              params: toTensors(exact),
            }),
          ),
        );
      const at = x.tensor();
      const { value, grads } = valueAndGradient("test", () => evaluate(at), { x: at });
      return { value: value.dataSync()[0] as number, slope: [...(grads.x as tf.Tensor).dataSync()] };
    });
    // C = WWᵀ + σ²I has the inverse (I − WWᵀ/m)/σ² and the determinant m²σ².
    const density = (row: readonly number[]) => {
      const r = row.map((v, j) => v - (MU[j] as number));
      const along = [0, 1].map((k) => W.reduce((s, w, j) => s + w[k as 0 | 1] * (r[j] as number), 0));
      const square = r.reduce((s, v) => s + v * v, 0) - along.reduce((s, v) => s + v * v, 0) / m;
      return -0.5 * (square / SIGMA ** 2 + Math.log(m * m * SIGMA ** 2) + 3 * Math.log(2 * Math.PI));
    };
    expect(value).toBeCloseTo(density([0.3, -1.2, 0.8]) + density([2, 0.5, -1.5]), 4);
    const scores = [
      [0.3, -1.2, 0.8],
      [2, 0.5, -1.5],
    ].flatMap((row) =>
      row.map((v, j) => {
        const r = row.map((w, i) => w - (MU[i] as number));
        const projected = [0, 1].reduce(
          (sum, k) => sum + (W[j]?.[k as 0 | 1] ?? 0) * W.reduce((t, w, i) => t + w[k as 0 | 1] * (r[i] as number), 0),
          0,
        );
        return -(v - (MU[j] as number) - projected / m) / SIGMA ** 2;
      }),
    );
    // Of 20,000 even weights: each slope is the mean of N(·, |W_j|²/(σ²m)).
    slope.forEach((found, i) => {
      expect(Math.abs(found - (scores[i] as number))).toBeLessThan(6 / Math.sqrt(20_000 * m * SIGMA ** 2));
    });
  });

  it("lets chains in x sample the tilted marginal: N(S C⁻¹ μ, S), S = (C⁻¹ + a I)⁻¹", async () => {
    const chain = await infer(pipe(marginal(net, { seed: 2 }), tilt("x", half)), langevin(settings), {
      params: exact,
      seed: 3,
    });
    // C has eigenvalue m on W's columns and σ² across them.
    const s = (c: number) => 1 / (1 / c + A);
    const [along, across] = [s(m), s(SIGMA ** 2)];
    const mean = MU.map((mu, j) => (j < 2 ? (along / m) * mu : (across / SIGMA ** 2) * mu));
    for (const j of [0, 1, 2]) {
      const variance = j < 2 ? along : across;
      const x = chain.sites.x;
      expectEstimate(
        perChain(x, (row) => row[j] as number),
        mean[j] as number,
        { detects: 0.15 },
      );
      expectEstimate(
        perChain(x, (row) => ((row[j] as number) - (mean[j] as number)) ** 2),
        variance,
        { detects: 0.15 },
      );
    }
    expect(chain.trusted).toBe(true);
  });

  it("corrects a wrong encoder by weights, which the ELBO in their place does not", async () => {
    const squares = async (method: "fisher" | "elbo-approximation") => {
      const of = marginal(net, { seed: 4, particles: 128, method });
      const chain = await infer(of, langevin({ ...settings, steps: 800 }), { params: wrong, seed: 5 });
      return perChain(chain.sites.x, (row) => ((row[0] as number) - MU[0]) ** 2);
    };
    expectDiffers(await squares("elbo-approximation"), m);
    const found = await squares("fisher");
    // What is left is of order 1/K.
    expect(Math.abs(found.value - m)).toBeLessThan(5 * found.standardError + 0.05);
  });

  it("refuses pixels of zeros and ones, and half a particle", async () => {
    const discrete = generative({ features: 3, latent: 2, hidden: [], likelihood: binary() });
    await expect(
      infer(
        marginal(discrete, { seed: 1 }),
        langevin({ chains: 4, steps: 2, init: { x: ndarray(new Float32Array(12), [4, 3]) } }),
        { seed: 1 },
      ),
    ).rejects.toThrow(/inNoise/);
    expect(() => marginal(net, { seed: 1, particles: 0.5 })).toThrow(TiltedError);
  });
});
