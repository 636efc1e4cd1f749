/** The gradient of a tilt's likelihood, E_q[t] − E_{p_E}[t] for E = θ·t(x), against conjugate tilts, which say E_{p_E}[t] exactly. */
import * as tf from "@tensorflow/tfjs-core";
import { infer, model, ndarray, param, sample, tiltLikelihood } from "tilted";
import { beta, categorical, gamma, mixtureSameFamily, normal, poisson } from "tilted/dist";
import { sgd } from "tilted/optim";
import { freshDraws } from "tilted/tilt";
import { describe, it } from "vitest";
import { scope } from "../../../src/core/scope.ts";
import { expectMean } from "../../support/statistics.ts";

/** A law, t(x) entry by entry, θ, and E_{p_E}[t] of the tilt. */
interface Case {
  readonly law: () => ReturnType<typeof normal>;
  readonly t: readonly ((x: tf.Tensor) => tf.Tensor)[];
  readonly theta: readonly number[];
  readonly truth: readonly number[];
  readonly data: readonly number[];
}

/** Γ′/Γ at whole and half numbers, by recurrence from ψ(1) and ψ(½). */
const digamma = (x: number): number =>
  x > 1 ? digamma(x - 1) + 1 / (x - 1) : x === 1 ? -0.5772156649015329 : -0.5772156649015329 - 2 * Math.LN2;

const PARTS = { probs: [0.7, 0.3], means: [-1, 1.5], sds: [0.5, 0.8] };
/** A mixture by e^{bx}: weights go as πe^{bm + b²s²/2}, means move by bs². */
const mixtureMean = (b: number): number => {
  const weights = PARTS.probs.map((p, k) => p * Math.exp(b * PARTS.means[k]! + (b * PARTS.sds[k]!) ** 2 / 2));
  const total = weights.reduce((a, w) => a + w);
  return weights.reduce((s, w, k) => s + (w / total) * (PARTS.means[k]! + b * PARTS.sds[k]! ** 2), 0);
};
const row = (values: readonly number[]) => ndarray(Float32Array.from(values));

const CASES: { readonly [name: string]: Case } = {
  "Gamma(3, 2) by e^{−1.5x}": {
    law: () => gamma(3, 2),
    t: [(x) => x],
    theta: [1.5],
    truth: [3 / 3.5],
    data: [0.5, 1.2, 2],
  },
  "Beta(2, 2) by x^{3/2}(1 − x)": {
    law: () => beta(2, 2),
    t: [(x) => tf.neg(tf.log(x)), (x) => tf.neg(tf.log(tf.sub(1, x)))],
    theta: [1.5, 1],
    // Beta(3.5, 3): E log x = ψ(3.5) − ψ(6.5).
    truth: [digamma(6.5) - digamma(3.5), digamma(6.5) - digamma(3)],
    data: [0.2, 0.7],
  },
  "Poisson(3) by e^{.4k}": {
    law: () => poisson(3),
    t: [(x) => x],
    theta: [-0.4],
    truth: [3 * Math.exp(0.4)],
    data: [1, 4],
  },
  "a categorical by e^{−.7k}": {
    law: () => categorical({ probs: row([0.5, 0.3, 0.2]) }),
    t: [(x) => tf.cast(x, "float32")],
    theta: [0.7],
    truth: [(0.3 * Math.exp(-0.7) + 2 * 0.2 * Math.exp(-1.4)) / (0.5 + 0.3 * Math.exp(-0.7) + 0.2 * Math.exp(-1.4))],
    data: [0, 2],
  },
  "a mixture of normals by e^{.8x}": {
    law: () => mixtureSameFamily(categorical({ probs: row(PARTS.probs) }), normal(row(PARTS.means), row(PARTS.sds))),
    t: [(x) => x],
    theta: [-0.8],
    truth: [mixtureMean(0.8)],
    data: [-1, 2, 0.3],
  },
};
const SEEDS = 24;

describe("one step of gradient descent follows the exact gradient", () => {
  it.each(Object.keys(CASES))("%s", async (name) => {
    const { law, t, theta, truth, data } = CASES[name] as Case;
    const base = model(function* () {
      yield* sample("x", law());
    });
    const energy = function* (x: tf.Tensor) {
      const at = yield* param("theta", row(theta));
      return t.map((f, j) => tf.mul(tf.slice(at, [j], [1]), f(x))).reduce((a, b) => tf.add(a, b));
    };
    const target = row(data);
    const found: number[][] = [];
    for (let seed = 1; seed <= SEEDS; seed++) {
      const learn = tiltLikelihood("x", energy, target, {
        negatives: freshDraws(20_000),
        optimizer: sgd(1),
        clip: { norm: 1e6 },
        steps: 1,
        evaluation: 256,
      });
      const fit = await infer(base, learn, { seed, engine: "wasm" });
      // θ' = θ − (E_q[t] − E_{p_E}[t]).
      found.push(theta.map((from, j) => (fit.params.theta?.data[j] as number) - Math.fround(from)));
    }
    const means = t.map((f) => scope(() => mean(f(target.tensor()).dataSync())));
    theta.forEach((_, j) => {
      const exact = (truth[j] as number) - (means[j] as number);
      expectMean(
        found.map((step) => step[j] as number),
        exact,
        { what: `∂/∂θ${j}`, detects: 0.15 },
      );
    });
  });
});

const mean = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
