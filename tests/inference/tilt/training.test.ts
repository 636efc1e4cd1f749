/** Training of an energy on its data: a run that goes astray is stopped, jumps carry chains, classes of the buffer are counted. */
import * as tf from "@tensorflow/tfjs-core";
import { infer, inNoise, model, ndarray, param, sample, tiltLikelihood } from "tilted";
import { normal } from "tilted/dist";
import { energy, type Generative, gaussian, generative } from "tilted/models";
import { adam, cosineDecay } from "tilted/optim";
import { chainDraws, classEntropy } from "tilted/tilt";
import { beforeAll, describe, expect, it } from "vitest";
import { rootKey } from "../../../src/core/key.ts";
import { normal as draws } from "../../../src/core/random/draws.ts";
import { useEngine } from "../../../src/engine/engine.ts";
import { meanOf } from "../../support/statistics.ts";

beforeAll(() => useEngine("wasm"));

describe("training of an energy", () => {
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
    expect(fit.message).toMatch(/gap .* rose 5 checks in a row/);
    expect(fit.steps).toBeLessThan(fit.history.at(-1)?.step ?? 0);
    expect(fit.trusted).toBe(false);
  });

  it("jumps to base draws carry chains whose own steps are tiny: p(x)·e^{−b·x} has mean −b", async () => {
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
        optimizer: adam(cosineDecay({ from: 0.05, steps: 1600 })),
        steps: 1600,
      }),
      { seed: 1 },
    );
    for (const axis of [0, 1]) {
      const mean = meanOf(Array.from(near.filter((_, i) => i % 2 === axis))).value;
      expect(fit.params.b?.data[axis]).toBeCloseTo(-mean, 1);
    }
    expect(fit.history.at(-1)?.jumpAcceptance).toBeGreaterThan(0.5);
    expect(() => chainDraws({ jumpEvery: 0 })).toThrow(/jumpEvery must be a whole number of at least 1/);
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
