import * as tf from "@tensorflow/tfjs-core";
import * as dist from "tilted/dist";
import { type Distribution, hasKl, kl } from "tilted/dist";
import { beforeAll, describe, expect, it } from "vitest";
import { TiltedError } from "../../src/core/errors.ts";
import { rootKey } from "../../src/core/key.ts";
import { scope } from "../../src/core/scope.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { expectEstimate } from "../support/statistics.ts";

beforeAll(() => useEngine("wasm"));

const DRAWS = 40_000;
const { normal, gamma, beta, bernoulli, geometric, multivariateNormal } = dist;
const a = tf.tensor1d.bind(tf);

/** Pairs with a closed form; made when run, for tensors need an engine. */
const pairs: Record<string, () => readonly [Distribution, Distribution]> = {
  normal: () => [normal(0.3, 0.8), normal(-0.2, 1.1)],
  "normal, event": () => [normal(a([0, 1]), 0.8).event(1), normal(a([0.5, 1]), a([1, 2])).event(1)],
  logNormal: () => [dist.logNormal(0.3, 0.8), dist.logNormal(-0.2, 1.1)],
  halfNormal: () => [dist.halfNormal(0.7), dist.halfNormal(1.3)],
  laplace: () => [dist.laplace(0.3, 0.8), dist.laplace(-0.2, 1.1)],
  uniform: () => [dist.uniform(0.2, 0.5), dist.uniform(0, 1)],
  exponential: () => [dist.exponential(2), dist.exponential(1.2)],
  gamma: () => [gamma(2.5, 2), gamma(1.7, 0.9)],
  inverseGamma: () => [dist.inverseGamma(6, 2), dist.inverseGamma(5, 1.5)],
  "exponential and gamma": () => [dist.exponential(2), gamma(1.7, 0.9)],
  "gamma and exponential": () => [gamma(2.5, 2), dist.exponential(1.2)],
  beta: () => [beta(2, 3), beta(1.5, 0.8)],
  dirichlet: () => [dist.dirichlet(a([2, 1.5, 3])), dist.dirichlet(a([1, 2, 2]))],
  "bernoulli by logits": () => [bernoulli({ logits: 0.7 }), bernoulli({ logits: -0.4 })],
  "bernoulli by probs": () => [bernoulli({ probs: 0.7 }), bernoulli({ probs: 0.4 })],
  "bernoulli by either": () => [bernoulli({ probs: 0.7 }), bernoulli({ logits: -0.4 })],
  geometric: () => [geometric({ probs: 0.3 }), geometric({ logits: 0.2 })],
  categorical: () => [dist.categorical({ probs: a([0.2, 0, 0.8]) }), dist.categorical({ logits: a([1, 2, 1]) })],
  oneHotCategorical: () => [
    dist.oneHotCategorical({ logits: a([0, 1, 2]) }),
    dist.oneHotCategorical({ probs: a([0.3, 0.3, 0.4]) }),
  ],
  poisson: () => [dist.poisson(3), dist.poisson(4.5)],
  "diagonal multivariateNormal": () => [
    multivariateNormal({ loc: a([0, 1]), scaleDiag: a([0.8, 0.7]) }),
    multivariateNormal({ loc: a([0.4, 0.5]), scaleDiag: a([1, 1.1]) }),
  ],
  multivariateNormal: () => [
    multivariateNormal({
      loc: a([0, 1]),
      covariance: tf.tensor2d([
        [1, 0.3],
        [0.3, 0.8],
      ]),
    }),
    multivariateNormal({
      loc: a([0.4, 0.5]),
      covariance: tf.tensor2d([
        [1.2, -0.4],
        [-0.4, 1],
      ]),
    }),
  ],
  "diagonal and full": () => [
    multivariateNormal({ loc: a([0, 1]), scaleDiag: a([0.8, 0.7]) }),
    multivariateNormal({
      loc: 0,
      scaleTril: tf.tensor2d([
        [1, 0],
        [0.4, 1.2],
      ]),
    }),
  ],
};

const closed = (p: Distribution, q: Distribution): number => kl(p, q).value.dataSync()[0] as number;

describe.each(Object.entries(pairs))("kl of %s", (_, make) => {
  it("is what Monte Carlo says", () => {
    const { exact, value, standardError } = scope(() => {
      const [p, q] = make();
      expect(hasKl(p, q)).toBe(true);
      const x = p.sample(rootKey(12), [DRAWS]);
      const logs = tf.sub(p.logProb(x), q.logProb(x));
      const { mean, variance } = tf.moments(logs, 0);
      return {
        exact: closed(p, q),
        value: mean.dataSync()[0] as number,
        standardError: Math.sqrt((variance.dataSync()[0] as number) / DRAWS) + 1e-7,
      };
    });
    expectEstimate({ value, standardError }, exact, { what: "kl", detects: 0.1 });
  });

  it("is zero from itself and positive from the other", () => {
    scope(() => {
      const [p, q] = make();
      expect(Math.abs(closed(p, p))).toBeLessThan(1e-6);
      expect(Math.abs(closed(q, q))).toBeLessThan(1e-6);
      expect(closed(p, q)).toBeGreaterThan(0);
    });
  });
});

/** ∫ p log p/q on a grid, in float64. */
function quadrature(p: (x: number) => number, q: (x: number) => number, low: number, high: number): number {
  const n = 20_000;
  const h = (high - low) / n;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const x = low + (i + 0.5) * h;
    sum += h * Math.exp(p(x)) * (p(x) - q(x));
  }
  return sum;
}

describe("kl", () => {
  it("agrees with quadrature", () => {
    const gaussian = (m: number, s: number) => (x: number) =>
      -0.5 * ((x - m) / s) ** 2 - Math.log(s) - 0.5 * Math.log(2 * Math.PI);
    const laplace = (m: number, s: number) => (x: number) => -Math.abs(x - m) / s - Math.log(2 * s);
    // log B(2, 3) = −log 12; log B(4, 2) = −log 20.
    const betaLog = (a: number, b: number, c: number) => (x: number) =>
      (a - 1) * Math.log(x) + (b - 1) * Math.log1p(-x) + Math.log(c);
    scope(() => {
      expect(closed(normal(0.3, 0.8), normal(-0.2, 1.1))).toBeCloseTo(
        quadrature(gaussian(0.3, 0.8), gaussian(-0.2, 1.1), -10, 10),
        5,
      );
      expect(closed(dist.laplace(0.3, 0.8), dist.laplace(-0.2, 1.1))).toBeCloseTo(
        quadrature(laplace(0.3, 0.8), laplace(-0.2, 1.1), -30, 30),
        4,
      );
      expect(closed(beta(2, 3), beta(4, 2))).toBeCloseTo(quadrature(betaLog(2, 3, 12), betaLog(4, 2, 20), 0, 1), 4);
    });
  });

  it("keeps its digits between near distributions: second order in the difference", () => {
    scope(() => {
      const e = 1e-3;
      expect(closed(normal(0, 1), normal(0, 1 + e)) / e ** 2).toBeCloseTo(1, 2);
      // ½ψ′(a)ε² at a = 1e4, where every term is 1e5.
      const near = closed(gamma(1e4, 1), gamma(1e4 + 10, 1));
      expect(near / (0.5 * 100 * (1e-4 + 0.5e-8))).toBeCloseTo(1, 2);
      expect(closed(dist.poisson(1e6), dist.poisson(1e6 + 1000)) / 0.5).toBeCloseTo(1, 2);
    });
  });

  it("broadcasts batches, sums declared events and differentiates", () => {
    scope(() => {
      const p = normal(tf.zeros([4, 1, 3]), 1).event(1);
      const q = normal(tf.ones([5, 3]), 2).event(1);
      expect(kl(p, q).value.shape).toEqual([4, 5]);
      expect(kl(p.expand([7, 4, 1]), q).value.shape).toEqual([7, 4, 5]);
      const g = tf
        .grad((m: tf.Tensor) => tf.sum(kl(normal(m, 1), normal(0, 2)).value))(a([1, -3]))
        .dataSync();
      expect(g[0]).toBeCloseTo(0.25, 6);
      expect(g[1]).toBeCloseTo(-0.75, 6);
    });
  });

  it("is infinite where p reaches beyond q", () => {
    scope(() => {
      expect(closed(dist.uniform(0, 2), dist.uniform(0, 1))).toBe(Number.POSITIVE_INFINITY);
      const [p, q] = [dist.categorical({ probs: a([0.5, 0.5]) }), dist.categorical({ probs: a([1, 0]) })];
      expect(closed(p, q)).toBe(Number.POSITIVE_INFINITY);
      expect(closed(q, p)).toBeCloseTo(Math.LN2, 6);
    });
  });

  it("estimates the rest and says so, or asks for a key; takes entries of one's own", () => {
    const before = tf.memory().numTensors;
    scope(() => {
      const [p, q] = [normal(0, 1), dist.logistic(0, 1)];
      expect(hasKl(p, q)).toBe(false);
      const options = { key: rootKey(3), draws: DRAWS };
      const estimate = kl(p, q, options);
      if (estimate.exact) throw new Error("labelled exact");
      const again = kl(normal(0, 1), normal(1, 1), { ...options, table: { "normal|logistic": never } });
      expect(again.exact).toBe(true);
      const gap = (x: number) => -0.5 * x * x - 0.5 * Math.log(2 * Math.PI);
      const logistic = (x: number) => -x - 2 * Math.log1p(Math.exp(-x));
      expectEstimate(
        {
          value: estimate.value.dataSync()[0] as number,
          standardError: estimate.standardError.dataSync()[0] as number,
        },
        quadrature(gap, logistic, -12, 12),
        { what: "kl of normal and logistic", detects: 0.02 },
      );
      const own = { "normal|logistic": { eventRank: 0, kl: () => tf.scalar(7) } };
      expect(kl(p, q, { ...options, table: own })).toMatchObject({ exact: true });
    });
    const code = (f: () => unknown) => {
      try {
        scope(f as () => tf.Tensor);
      } catch (error) {
        return error instanceof TiltedError ? error.code : String(error);
      }
      return undefined;
    };
    expect(code(() => kl(normal(0, 1), dist.logistic(0, 1)))).toBe("unsupported");
    expect(code(() => kl(normal(tf.zeros([2]), 1).event(1), normal(0, 1)))).toBe("shape");
    expect(tf.memory().numTensors).toBe(before);
  });

  it("knows no closed form of masked distributions nor of grey coins", () => {
    scope(() => {
      expect(hasKl(normal(0, 1).mask(tf.scalar(1)), normal(0, 1))).toBe(false);
      const grey = bernoulli({ logits: 0 }, { grey: true });
      expect(hasKl(grey, grey)).toBe(false);
    });
  });
});

const never = { eventRank: 0, kl: (): tf.Tensor => tf.scalar(Number.NaN) };
