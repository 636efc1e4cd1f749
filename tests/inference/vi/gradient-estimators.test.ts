/** Gradient estimators of variational bounds: unbiased against exact gradients, and the variances that theory promises. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { bernoulli, normal } from "../../../src/dist/index.ts";
import { model, observe, param, sample } from "../../../src/effects/effects.ts";
import { plate } from "../../../src/effects/plate.ts";
import { useEngine } from "../../../src/engine/engine.ts";
import type { Baseline } from "../../../src/inference/vi/learning-signal.ts";
import { expectDiffers, expectMean, meanOf } from "../../support/statistics.ts";
import { derivative, gradientSamples } from "./gradients.ts";

beforeAll(() => useEngine("wasm"));

/** p(z) = N(θ, .8²); q(z) = N(m, e^{2s}). */
const p = model(function* () {
  yield* sample("z", normal(yield* param("theta", 0.3), 0.8));
});
const q = model(function* () {
  const m = yield* param("m", 0);
  const s = yield* param("s", 0);
  yield* sample("z", normal(m, tf.exp(s)));
});
type Point = { readonly theta: number; readonly m: number; readonly s: number };
const HERE: Point = { theta: 0.3, m: 0, s: 0 };
const LANDED: Point = { theta: 0.3, m: 0.3, s: Math.log(0.8) };

const logNormal = (x: number, loc: number, scale: number) =>
  -0.5 * ((x - loc) / scale) ** 2 - Math.log(scale) - 0.5 * Math.log(2 * Math.PI);
/** L_1 in closed form. */
const elboOf = ({ theta, m, s }: Point) =>
  -(Math.log(0.8) - s + (Math.exp(2 * s) + (m - theta) ** 2) / (2 * 0.8 ** 2) - 0.5);
/** L_2 by the trapezoid rule on a grid over both noises, which for smooth integrands is exact to many digits. */
function iwae2Of({ theta, m, s }: Point): number {
  const [n, limit] = [161, 8];
  const nodes = Array.from({ length: n }, (_, i) => {
    const e = -limit + (2 * limit * i) / (n - 1);
    const z = m + Math.exp(s) * e;
    return {
      mass: ((2 * limit) / (n - 1)) * Math.exp(logNormal(e, 0, 1)),
      w: Math.exp(logNormal(z, theta, 0.8) - logNormal(z, m, Math.exp(s))),
    };
  });
  let total = 0;
  for (const a of nodes) for (const b of nodes) total += a.mass * b.mass * Math.log((a.w + b.w) / 2);
  return total;
}
const along = (f: (at: Point) => number, at: Point, name: keyof Point) =>
  derivative((x) => f({ ...at, [name]: x }), at[name]);

describe("reparameterised draws", () => {
  it("pathwise: unbiased for the ELBO, in guide and model", () => {
    const { grads } = gradientSamples(p, q, { params: { ...HERE }, draws: 200, repeats: 50 });
    for (const name of ["theta", "m", "s"] as const)
      expectMean(grads[name] as number[], along(elboOf, HERE, name), { what: `∂ELBO/∂${name}`, detects: 0.3 });
  });

  it("closed KL: the gradient is exact", () => {
    const { grads } = gradientSamples(p, q, { params: { ...HERE }, closed: true, repeats: 1 });
    for (const name of ["theta", "m", "s"] as const) expect(grads[name]?.[0]).toBeCloseTo(along(elboOf, HERE, name), 5);
  });

  it("sticking the landing: unbiased, and exactly 0 where the guide is the posterior", () => {
    const away = gradientSamples(p, q, { params: { ...HERE }, estimator: "stl", draws: 200, repeats: 50 });
    for (const name of ["theta", "m", "s"] as const)
      expectMean(away.grads[name] as number[], along(elboOf, HERE, name), { what: `STL ∂${name}`, detects: 0.3 });
    const stl = gradientSamples(p, q, { params: { ...LANDED }, estimator: "stl", repeats: 20 });
    const plain = gradientSamples(p, q, { params: { ...LANDED }, repeats: 20 });
    for (const name of ["m", "s"]) {
      for (const g of stl.grads[name] as number[]) expect(Math.abs(g)).toBeLessThan(1e-6);
      expect(meanOf(plain.grads[name] as number[]).standardError).toBeGreaterThan(0.05);
    }
  });

  it("importance-weighted: pathwise and doubly reparameterised agree with quadrature, and STL is biased", () => {
    const settings = { params: { ...HERE }, k: 2, draws: 200, repeats: 50 };
    const plain = gradientSamples(p, q, settings);
    const dreg = gradientSamples(p, q, { ...settings, estimator: "dreg" });
    const stl = gradientSamples(p, q, { ...settings, estimator: "stl" });
    for (const name of ["theta", "m", "s"] as const) {
      const exact = along(iwae2Of, HERE, name);
      expectMean(plain.grads[name] as number[], exact, { what: `∂L₂/∂${name}`, detects: 0.3 });
      expectMean(dreg.grads[name] as number[], exact, { what: `DReG ∂L₂/∂${name}`, detects: 0.3 });
    }
    expectDiffers(meanOf(stl.grads.s as number[]), along(iwae2Of, HERE, "s"));
    // The estimate of the bound itself is the same whatever the gradient, but for float32.
    for (const [i, b] of dreg.bound.entries()) expect(b).toBeCloseTo(plain.bound[i] as number, 4);
  });

  it("doubly reparameterised: the signal-to-noise ratio of the guide's gradient does not fall with K", () => {
    const REPEATS = 120;
    const ratio = (estimator: "pathwise" | "dreg", k: number) => {
      const { grads } = gradientSamples(p, q, { params: { ...HERE }, k, estimator, repeats: REPEATS });
      const { value, standardError } = meanOf(grads.m as number[]);
      return Math.abs(value) / (standardError * Math.sqrt(REPEATS));
    };
    const many = ratio("dreg", 64);
    expect(many).toBeGreaterThan(2 * ratio("dreg", 4));
    expect(many).toBeGreaterThan(4 * ratio("pathwise", 64));
  });

  it("works within rows and inner plates, each with weights of its own", () => {
    const rows = [0.1, -0.5, 0.9];
    // Row i: top ~ N(0, 1), two inner z ~ N(top, 1) with x = xᵢ ~ N(z, 1) each; the guide has two parameters.
    const nested = model(function* () {
      yield* plate("outer", 3, function* () {
        const top = yield* sample("top", normal(0, 1));
        yield* plate("inner", 2, function* () {
          const z = yield* sample("z", normal(top, 1));
          yield* observe("x", normal(z, 1), tf.tensor1d(rows));
        });
      });
    });
    const guide = model(function* () {
      const [a, b] = [yield* param("a", 0), yield* param("b", 0)];
      yield* plate("outer", 3, function* () {
        const top = yield* sample("top", normal(a, 0.9));
        yield* plate("inner", 2, function* () {
          yield* sample("z", normal(tf.mul(b, top), 0.8));
        });
      });
    });
    const settings = { params: { a: 0.2, b: 0.4 }, k: 3, draws: 100, repeats: 60 };
    const plain = gradientSamples(nested, guide, settings);
    const dreg = gradientSamples(nested, guide, { ...settings, estimator: "dreg", seed: 2 });
    for (const name of ["a", "b"]) {
      const differences = (plain.grads[name] as number[]).map((g, i) => g - (dreg.grads[name]?.[i] as number));
      expectMean(differences, 0, { what: `pathwise − DReG, ∂${name}`, detects: 0.5 });
    }
  });

  it("hierarchical guides keep the path through the densities of later sites", () => {
    // p: a ~ N(0, 1), b ~ N(a, 1). q: a ~ N(m, 1), b ~ N(r·a, 1): ELBO = −m²/2 − (r − 1)²(m² + 1)/2.
    const chain = model(function* () {
      const a = yield* sample("a", normal(0, 1));
      yield* sample("b", normal(a, 1));
    });
    const guide = model(function* () {
      const [m, r] = [yield* param("m", 0), yield* param("r", 0)];
      const a = yield* sample("a", normal(m, 1));
      yield* sample("b", normal(tf.mul(r, a), 1));
    });
    const at = { m: 0.5, r: 0.3 };
    const exact = { m: -at.m - (at.r - 1) ** 2 * at.m, r: -(at.r - 1) * (at.m ** 2 + 1) };
    for (const options of [{ estimator: "stl" }, { estimator: "pathwise" }, { closed: true }] as const) {
      const { grads } = gradientSamples(chain, guide, { params: at, draws: 200, repeats: 50, ...options });
      expectMean(grads.m as number[], exact.m, { what: `${JSON.stringify(options)} ∂m`, detects: 0.3 });
      expectMean(grads.r as number[], exact.r, { what: `${JSON.stringify(options)} ∂r`, detects: 0.3 });
    }
  });
});

/** Discrete rows: zᵢ ~ Bernoulli(.3), xᵢ ~ N(2zᵢ, 1); q(zᵢ = 1) = σ(a + b·xᵢ). Everything is enumerable. */
const X = [-0.5, 0.7, 2.2];
const discreteRows = (copies: number) => {
  const data = Array.from({ length: copies }, () => X).flat();
  const p = model(function* () {
    yield* plate("data", data.length, function* () {
      const z = yield* sample("z", bernoulli({ probs: 0.3 }));
      yield* observe("x", normal(tf.mul(2, z), 1), tf.tensor1d(data));
    });
  });
  const q = model(function* () {
    const [a, b] = [yield* param("a", 0), yield* param("b", 0)];
    yield* plate("data", data.length, function* () {
      yield* sample("z", bernoulli({ logits: tf.add(a, tf.mul(b, tf.tensor1d(data))) }));
    });
  });
  return [p, q] as const;
};
const [discrete, discreteGuide] = discreteRows(1);
/** Σ over rows of E log (1/K) Σ w, by enumerating all 2^K draws of each row. */
function enumerated(k: number, { a, b }: { a: number; b: number }): number {
  let total = 0;
  for (const x of X) {
    const q1 = 1 / (1 + Math.exp(-(a + b * x)));
    const weight = [
      Math.exp(Math.log(0.7) + logNormal(x, 0, 1)) / (1 - q1),
      Math.exp(Math.log(0.3) + logNormal(x, 2, 1)) / q1,
    ];
    for (let draws = 0; draws < 2 ** k; draws++) {
      let [mass, sum] = [1, 0];
      for (let j = 0; j < k; j++) {
        const z = (draws >> j) & 1;
        mass *= z === 1 ? q1 : 1 - q1;
        sum += weight[z] as number;
      }
      total += mass * Math.log(sum / k);
    }
  }
  return total;
}

describe("draws that cannot be reparameterised", () => {
  const at = { a: -0.4, b: 0.5 };
  const exact = (k: number) => ({
    a: derivative((a) => enumerated(k, { ...at, a }), at.a),
    b: derivative((b) => enumerated(k, { ...at, b }), at.b),
  });

  it.each([
    ["none", 1],
    ["leave-one-out", 1],
    ["running-mean", 1],
    ["none", 3],
    ["leave-one-out", 3],
  ] as const)("the score function is unbiased: baseline %s, K = %i", (baseline, k) => {
    const settings = { params: at, k, draws: 200, baseline, expected: -3, repeats: 60 };
    const { grads, bound, paired } = gradientSamples(discrete, discreteGuide, settings);
    expect([...paired.scores]).toEqual(["z"]);
    expectMean(bound, enumerated(k, at), { what: "bound", detects: 0.3 });
    for (const name of ["a", "b"] as const)
      expectMean(grads[name] as number[], exact(k)[name], { what: `score ∂${name}`, detects: 0.6 });
  });

  it("also with a closed KL, and baselines lower the variance", () => {
    const spread = (baseline: Baseline, options: { closed?: boolean; k?: number; expected?: number } = {}) => {
      const { k = 1 } = options;
      const settings = { params: at, draws: 20, baseline, repeats: 100, ...options };
      const { grads } = gradientSamples(discrete, discreteGuide, settings);
      const what = `${baseline} ${JSON.stringify(options)}`;
      expectMean(grads.a as number[], exact(k).a, { what, detects: 1.2 });
      return meanOf(grads.a as number[]).standardError;
    };
    const none = spread("none");
    expect(spread("leave-one-out")).toBeLessThan(none / 1.5);
    expect(spread("leave-one-out", { closed: true })).toBeLessThan(none / 2);
    expect(spread("running-mean", { expected: enumerated(1, at) / X.length })).toBeLessThan(none / 1.5);
    expect(spread("leave-one-out", { k: 3 })).toBeLessThan(spread("none", { k: 3 }) / 3);
  });

  it("leaves a draw out of its own baseline", () => {
    // With two draws, a baseline that includes the draw would halve the gradient.
    const copies = 10;
    const settings = { params: at, draws: 2, baseline: "leave-one-out", repeats: 160 } as const;
    const { grads } = gradientSamples(...discreteRows(copies), settings);
    expectMean(grads.a as number[], copies * exact(1).a, {
      what: "two draws",
      detects: (copies * Math.abs(exact(1).a)) / 2,
    });
  });

  it("mixes with reparameterised ones", () => {
    // p: c ~ Bernoulli(.4), z ~ N(2c, 1). q: c ~ Bernoulli(σ(a)), z ~ N(m + d·c, 1).
    const mixed = model(function* () {
      const c = yield* sample("c", bernoulli({ probs: 0.4 }));
      yield* sample("z", normal(tf.mul(2, c), 1));
    });
    const guide = model(function* () {
      const [a, m, d] = [yield* param("a", 0), yield* param("m", 0), yield* param("d", 0)];
      const c = yield* sample("c", bernoulli({ logits: a }));
      yield* sample("z", normal(tf.add(m, tf.mul(d, c)), 1));
    });
    const here = { a: 0.3, m: 0.2, d: 1.1 };
    const value = ({ a, m, d }: typeof here) => {
      const pi = 1 / (1 + Math.exp(-a));
      const kl = pi * Math.log(pi / 0.4) + (1 - pi) * Math.log((1 - pi) / 0.6);
      return -kl - (pi * (m + d - 2) ** 2 + (1 - pi) * m ** 2) / 2;
    };
    for (const estimator of ["pathwise", "stl"] as const) {
      const settings = { params: here, draws: 200, baseline: "leave-one-out", estimator, repeats: 50 } as const;
      const { grads } = gradientSamples(mixed, guide, settings);
      for (const name of ["a", "m", "d"] as const) {
        const truth = derivative((x) => value({ ...here, [name]: x }), here[name]);
        expectMean(grads[name] as number[], truth, { what: `${estimator} mixed ∂${name}`, detects: 0.3 });
      }
    }
  });
});
