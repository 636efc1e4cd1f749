/** Fitted tilts against the exact optima of their objectives: a table of energies, and a quadratic between two Gaussians. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { ndarray } from "../../../src/core/array.ts";
import type { Key } from "../../../src/core/key.ts";
import { normal as draws } from "../../../src/core/random/draws.ts";
import { multivariateNormal, normal, oneHotCategorical } from "../../../src/dist/index.ts";
import { model, param, sample } from "../../../src/effects/effects.ts";
import { tilt } from "../../../src/effects/handlers.ts";
import { useEngine } from "../../../src/engine/engine.ts";
import { snis } from "../../../src/inference/importance/snis.ts";
import { infer } from "../../../src/inference/method/infer.ts";
import { adam } from "../../../src/inference/optim/optimizers.ts";
import { cosineDecay } from "../../../src/inference/optim/schedules.ts";
import { fitTilt } from "../../../src/inference/tilt/fit-tilt.ts";
import type { DrawableRows } from "../../../src/inference/tilt/fit-tilt-types.ts";
import {
  contrastive,
  logistic,
  selfNormalized,
  snisLikelihood,
  type TiltObjective,
} from "../../../src/inference/tilt/objectives.ts";
import * as m from "../../support/matrix.ts";
import { expectEstimate, expectMean } from "../../support/statistics.ts";
import { matrix, vector } from "../known.ts";

beforeAll(() => useEngine("wasm"));

describe("a table of energies, from the digits' shares to even ones", () => {
  const p = [0.12, 0.33, 0.28, 0.2, 0.07];
  const q = [0.2, 0.2, 0.2, 0.2, 0.2];
  const base = model(function* () {
    yield* sample("x", oneHotCategorical({ probs: vector(p) }));
  });
  // One row of each class: the shares of the target are exact in every batch.
  const target = matrix(m.identity(5));
  const table = function* (x: tf.Tensor) {
    return tf.sum(tf.mul(x, yield* param("table", vector([0, 0, 0, 0, 0]))), -1);
  };
  const centred = (e: readonly number[]) => e.map((v) => v - e.reduce((s, u) => s + u, 0) / e.length);
  const ratio = p.map((v, k) => Math.log(v / (q[k] as number)));
  const cases: [TiltObjective, readonly number[]][] = [
    [logistic(), ratio],
    [selfNormalized(), ratio],
    [snisLikelihood(), centred(ratio)],
    [contrastive(), p.map((v, k) => (2 * (v - (q[k] as number))) / (v + (q[k] as number)))],
  ];

  it.each(cases)("by $name", async (objective, optimum) => {
    const fits: (readonly number[])[] = [];
    for (let seed = 0; seed < 22; seed++) {
      const steps = 160;
      const optimizer = adam(cosineDecay({ from: 0.1, steps }));
      const options = { objective, optimizer, steps, batch: 5, negatives: 1024, holdout: 0 };
      const { params } = await infer(base, fitTilt("x", table, target, options), { seed });
      const fitted = [...(params.table?.data ?? [])];
      fits.push(objective.optimum === "ratio-up-to-constant" ? centred(fitted) : fitted);
    }
    optimum.forEach((e, k) => {
      // What is left of the way to the optimum, and the O(1/negatives) of an objective with a logarithm, are below the noise.
      expectMean(
        fits.map((fit) => fit[k] as number),
        e,
        { what: `${objective.name}: E(${k})`, detects: 0.15 },
      );
    });
  });
});

describe("the exact maximum-likelihood tilt between Gaussians: A = Ŝ⁻¹ − S⁻¹, b = Ŝ⁻¹m̂ − S⁻¹m", () => {
  const [mean, S] = [
    [0.2, -0.3],
    [
      [1, 0.3],
      [0.3, 0.8],
    ],
  ] as const;
  const [meanHat, SHat] = [
    [0.6, 0.1],
    [
      [0.6, -0.1],
      [-0.1, 0.7],
    ],
  ] as const;
  const A = m.plus(m.inverse(SHat), m.scaled(-1, m.inverse(S)));
  const b = m.subtract(m.apply(m.inverse(SHat), meanHat), m.apply(m.inverse(S), mean));
  const base = model(function* () {
    return yield* sample("x", multivariateNormal({ loc: vector(mean), covariance: matrix(S) }));
  });
  // Fresh draws of N(m̂, Ŝ) at every step, by the Cholesky factor of Ŝ.
  const [l00] = [Math.sqrt(SHat[0][0])];
  const l10 = SHat[1][0] / l00;
  const l11 = Math.sqrt(SHat[1][1] - l10 ** 2);
  const target: DrawableRows = {
    count: 512,
    draw(key: Key, rows) {
      const xi = draws(key, 2 * rows.length);
      const x = xi.map((_, i) => {
        const [first, second] = [xi[i - (i % 2)] as number, xi[i - (i % 2) + 1] as number];
        return i % 2 === 0 ? meanHat[0] + l00 * first : meanHat[1] + l10 * first + l11 * second;
      });
      return tf.tensor2d(x, [rows.length, 2]);
    },
  };
  const energy = function* (x: tf.Tensor) {
    const [diagonal, off, slope, shift] = [
      yield* param("diagonal", vector([0, 0])),
      yield* param("off", 0),
      yield* param("slope", vector([0, 0])),
      yield* param("shift", 0),
    ];
    const quadratic = tf.add(tf.sum(tf.mul(tf.square(x), tf.div(diagonal, 2)), -1), tf.mul(tf.prod(x, -1), off));
    return tf.add(tf.sub(quadratic, tf.sum(tf.mul(x, slope), -1)), shift);
  };

  it.each([logistic(), snisLikelihood()])("is found by $name", async (objective) => {
    const found: number[][] = [];
    for (let seed = 0; seed < 22; seed++) {
      const steps = 200;
      const optimizer = adam(cosineDecay({ from: 0.08, steps }));
      const options = { objective, optimizer, steps, batch: 512, negatives: 1024, holdout: 0 };
      const fit = await infer(base, fitTilt("x", energy, target, options), { seed });
      found.push(["diagonal", "off", "slope"].flatMap((name) => [...(fit.params[name]?.data ?? [])]));
      if (objective.optimum === "ratio") {
        // A density ratio is normalised: Z = 1.
        expect(Math.abs(fit.logZ.lower.value)).toBeLessThan(0.1);
      }
      if (seed > 0) continue;
      // What it is for: the tilted model has the mean of the target.
      const r = await infer(tilt("x", fit.energy)(base), snis(20_000), { params: fit.params, seed: 1 });
      const at = r.mean("x");
      meanHat.forEach((v, j) => {
        const standardError = Math.hypot(at.standardError.data[j] as number, 0.02);
        expectEstimate({ value: at.value.data[j] as number, standardError }, v, { what: `E[x${j}]`, detects: 0.3 });
      });
    }
    const truths = [A[0]?.[0], A[1]?.[1], A[0]?.[1], b[0], b[1]] as number[];
    truths.forEach((truth, i) => {
      expectMean(
        found.map((values) => values[i] as number),
        truth,
        { what: `${objective.name}: ${["A₀₀", "A₁₁", "A₀₁", "b₀", "b₁"][i]}`, detects: 0.3 },
      );
    });
  });
});

describe("what cannot be fitted", () => {
  const base = model(function* () {
    yield* sample("x", normal(0, 1));
  });
  const target = ndarray(Float32Array.of(1, 2, 3));
  const slope = function* (x: tf.Tensor) {
    return tf.mul(yield* param("slope", 0), x);
  };

  it("sites that are not there, energies without parameters, options out of range", async () => {
    await expect(infer(base, fitTilt("y", slope, target), { seed: 1 })).rejects.toMatchObject({
      code: "missing-site",
      site: "y",
    });
    await expect(infer(base, fitTilt("x", tf.neg, target), { seed: 1 })).rejects.toThrow(/no parameters to fit/);
    expect(() => fitTilt("x", slope, target, { holdout: 1 })).toThrow(/holdout must be in \[0, 1\), got 1/);
    expect(() => fitTilt("x", slope, target, { folds: 4 })).toThrow(/folds must be a whole number from 1 to 3, got 4/);
    expect(() => fitTilt("x", slope, target, { minEssRatio: 2 })).toThrow(/minEssRatio must be in \(0, 1\), got 2/);
  });
});
