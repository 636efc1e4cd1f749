/** Convolutional energies, the two ways of resampling, and what watches a training: each by itself. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { infer, inNoise, model, ndarray, param, sample, snisOutputs, tilt, tiltLikelihood } from "tilted";
import { normal } from "tilted/dist";
import { convEnergy, energy, type Generative, gaussian, generative } from "tilted/models";
import { convolution } from "tilted/nn";
import { adam, cosineDecay } from "tilted/optim";
import { chainDraws, classEntropy } from "tilted/tilt";
import { beforeAll, describe, expect, it } from "vitest";
import { rootKey } from "../../src/core/key.ts";
import { normal as draws } from "../../src/core/random/draws.ts";
import { scope } from "../../src/core/scope.ts";
import { interpret } from "../../src/effects/interpret.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { divergence, type EnergyLook, lastGood } from "../../src/inference/tilt/stability.ts";
import { ring } from "../../src/inference/train/recovery.ts";
import { expectEstimate, meanOf } from "../support/statistics.ts";

beforeAll(() => useEngine("wasm"));

describe("convolutional energies", () => {
  const [n, side] = [3, 6];
  const x = draws(rootKey("x"), n * side * side);
  const net = convEnergy([side, side], { channels: [4, 5] });
  const at = (values: Float32Array) =>
    scope(() =>
      interpret(net(tf.tensor(values, [n, side * side])), { key: rootKey(1) })
        .result.dataSync()
        .slice(),
    );

  it("give one number a picture, whatever stands before it, and their gradient is that of finite differences", () => {
    const gradient = scope(() => {
      const f = (v: tf.Tensor) => tf.sum(interpret(net(v), { key: rootKey(1) }).result);
      return tf
        .grad(f)(tf.tensor(x, [n, side * side]))
        .dataSync()
        .slice();
    });
    expect(at(x).length).toBe(n);
    const stacked = scope(() => interpret(net(tf.tensor(x, [1, n, side * side])), { key: rootKey(1) }).result);
    expect(stacked.shape).toEqual([1, n]);
    const h = 1e-2;
    for (const i of [0, 17, 40, 77, 107]) {
      const shift = (d: number) => x.map((v, j) => (j === i ? v + d : v));
      const row = Math.floor(i / side ** 2);
      const slope = ((at(shift(h))[row] as number) - (at(shift(-h))[row] as number)) / (2 * h);
      expect(gradient[i]).toBeCloseTo(slope, 2);
    }
  });

  it("with spectral norms a kernel has norm 1 whatever its scale", () => {
    const layer = convolution("c", 1, 3, { kernel: 2, stride: 2, spectralNorm: true, bias: false });
    // Stride equal to the kernel: patches do not overlap, so the layer's gain is the kernel's.
    const weight = draws(rootKey("w"), 12).map((w) => 50 * w);
    const gain = scope(() => {
      const input = tf.tensor(draws(rootKey("in"), 64 * 16), [64, 4, 4, 1]);
      const out = interpret(layer(input), { params: { "c/weight": tf.tensor(weight, [2, 2, 1, 3]) } }).result;
      return Math.max(
        ...tf.div(tf.norm(tf.reshape(out, [64, -1]), 2, 1), tf.norm(tf.reshape(input, [64, -1]), 2, 1)).dataSync(),
      );
    });
    expect(gain).toBeLessThanOrEqual(1 + 1e-4);
    expect(gain).toBeGreaterThan(0.5);
  });

  it("refuse pictures of another size", () => {
    expect(() => scope(() => interpret(net(tf.zeros([2, 35])), { key: rootKey(1) }))).toThrow(/6·6/);
  });
});

describe("outputs by resampling", () => {
  const base = model(function* () {
    yield* sample("x", normal(0, 1));
  });
  const tilted = pipe(
    base,
    tilt("x", (x) => tf.neg(x)),
  );

  it("from fresh proposals are independent and follow N(1, 1), the tilt of N(0, 1) by −x", async () => {
    const out = await infer(tilted, snisOutputs(4000, { proposals: 64 }), { seed: 1 });
    expect(out.scheme).toBe("fresh proposals for each output");
    expect(out.distinct).toBe(4000);
    // SNIS of 64 has the bias −e/64 of the exact formula, −b e^{b²}/n at b = 1.
    const estimate = meanOf(out.sites.x.data);
    expectEstimate(estimate, 1 - Math.E / 64, { detects: 0.2 });
    expect(out.warnings).toEqual([]);
    // E e^x = √e.
    const { lower, upper } = out.evidence as NonNullable<typeof out.evidence>;
    expect(lower.of).toBe("log Z");
    expect(Math.abs(lower.value - 0.5)).toBeLessThan(6 * lower.standardError);
    expect(upper.value).toBeGreaterThanOrEqual(lower.value);
  });

  it("from one pool repeat, and say so", async () => {
    const out = await infer(tilted, snisOutputs(400, { from: "pool", proposals: 500 }), { seed: 2 });
    expect(out.scheme).toBe("one pool");
    expect(out.distinct).toBeLessThan(400);
    expect(out.trusted).toBe(false);
    expect(out.warnings.join()).toMatch(/not independent/);
  });

  it("in 784 dimensions the weights collapse, and the result says so", async () => {
    const wide = model(function* () {
      yield* sample("x", normal(tf.zeros([784]), 1).event(1));
    });
    const out = await infer(
      pipe(
        wide,
        tilt("x", (x) => tf.mul(0.5, tf.sum(tf.square(x), -1))),
      ),
      snisOutputs(16),
      { seed: 3 },
    );
    expect(out.essPerOutput).toBeLessThan(2);
    expect(out.trusted).toBe(false);
    expect(out.warnings.join()).toMatch(/collapsed/);
  });
});

describe("what watches a training", () => {
  const look = (gap: number, i: number): EnergyLook => ({ step: i + 1, target: gap, negatives: 0, gap });

  it("stops a gap that keeps rising, not one that wavers, shrinks or is small", () => {
    const looks = (gaps: readonly number[]) => divergence(gaps.map(look), { looks: 4 });
    expect(looks([1, 1, 2, 4, 8, 16])).toMatch(/rose 4 looks in a row to 16/);
    expect(looks([1, 5, 3, 8, 2, 9])).toBeUndefined();
    expect(looks([16, 8, 4, 2, 1, 0.5])).toBeUndefined();
    expect(looks([0.01, 0.02, 0.04, 0.08, 0.16, 0.32])).toBeUndefined();
  });

  it("keeps the last states only, as copies", () => {
    const kept = ring(2);
    const params = new Float32Array(1);
    for (const step of [1, 2, 3]) {
      params[0] = step;
      kept.offer({ step, epoch: step - 1, loss: 0, copy: () => ({ w: ndarray(params.slice()) }) });
    }
    expect(kept.entries.map(({ step, params: p }) => [step, p.w?.data[0]])).toEqual([
      [2, 2],
      [3, 3],
    ]);
    expect(kept.choose()?.step).toBe(3);
  });

  it("goes back to the last state before the gap rose, the newest if it did not, the oldest if all are younger", () => {
    const states = [2, 3].map((step) => ({ step, epoch: step - 1, params: {} }));
    const from = (gaps: readonly number[]) => lastGood(states, gaps.map(look), { looks: 1, growth: 1, floor: 0 })?.step;
    expect(from([1, 0.5, 3])).toBe(2);
    expect(from([3, 2, 1])).toBe(3);
    expect(from([1, 2, 3])).toBe(2);
  });

  it("an energy whose chains cannot follow it drifts, and the run ends before the drift", async () => {
    const base = model(function* () {
      yield* sample("x", normal(tf.zeros([2]), 1).event(1));
    });
    // Chains that hardly move never reach the data: E_data falls for ever.
    const negatives = chainDraws({ chains: 32, steps: 1, stepSize: 1e-6, adjusted: false, fresh: 0, buffer: 64 });
    const slope = function* (x: tf.Tensor) {
      return tf.sum(tf.mul(x, yield* param("b", ndarray(new Float32Array(2)))), -1);
    };
    const data = ndarray(
      draws(rootKey("far"), 256).map((v) => v + 4),
      [128, 2],
    );
    const fit = await infer(base, tiltLikelihood("x", slope, data, { negatives, steps: 600, every: 10 }), { seed: 1 });
    expect(fit.stopped).toBe("diverged");
    expect(fit.message).toMatch(/gap .* rose 5 looks in a row/);
    expect(fit.steps).toBeLessThan(fit.history.at(-1)?.step ?? 0);
    expect(fit.trusted).toBe(false);
  });

  it("jumps to base draws carry chains that hardly move by themselves: p(x)·e^{−b·x} has mean −b", async () => {
    const base = model(function* () {
      yield* sample("x", normal(tf.zeros([2]), 1).event(1));
    });
    const slope = function* (x: tf.Tensor) {
      return tf.sum(tf.mul(x, yield* param("b", ndarray(new Float32Array(2)))), -1);
    };
    const near = draws(rootKey("near"), 512).map((v, i) => v + (i % 2 === 0 ? 0.6 : -0.4));
    const negatives = chainDraws({
      chains: 64,
      steps: 2,
      stepSize: 1e-6,
      fresh: 0,
      buffer: 4,
      jumpEvery: 1,
      adjusted: false,
    });
    const fit = await infer(
      base,
      tiltLikelihood("x", slope, ndarray(near, [256, 2]), {
        negatives,
        optimizer: adam(cosineDecay({ from: 0.05, steps: 400 })),
        steps: 400,
      }),
      { seed: 1 },
    );
    for (const axis of [0, 1]) {
      const mean = meanOf(Array.from(near.filter((_, i) => i % 2 === axis))).value;
      expect(fit.params.b?.data[axis]).toBeCloseTo(-mean, 1);
    }
    expect(fit.history.at(-1)?.jumpAcceptance).toBeGreaterThan(0.5);
    expect(() => chainDraws({ jumpEvery: 0 })).toThrow(/jumpEvery must be a positive integer/);
  });

  it("counts the classes of a buffer", async () => {
    expect(classEntropy([0, 1, 2, 3])).toBeCloseTo(Math.log(4));
    expect(classEntropy([1, 1, 1])).toBe(0);
    const net: Generative = generative({ features: 2, latent: 1, hidden: [], likelihood: gaussian() });
    const fit = await infer(
      net.base,
      tiltLikelihood("x", energy(2, { hidden: [8] }), ndarray(draws(rootKey("d"), 200), [100, 2]), {
        negatives: chainDraws({ chains: 16, steps: 2, buffer: 64, coordinates: inNoise("x") }),
        steps: 20,
        every: 10,
        classify: ({ data, shape }) =>
          Int32Array.from({ length: shape[0] as number }, (_, i) => ((data[2 * i] as number) > 0 ? 1 : 0)),
      }),
      { seed: 5 },
    );
    expect(fit.classEntropy).toBeGreaterThan(0.3);
    expect(fit.classEntropy).toBeLessThanOrEqual(Math.log(2));
    expect(fit.history.at(-1)?.fresh).toBeLessThan(0.2);
  });
});
