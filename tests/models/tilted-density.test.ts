/** Bounds of log p(x) and log p_E(x) against probabilistic PCA tilted by a quadratic, whose densities are Gaussian. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { type Bound, ensureEngine, infer, logZ, ndarray, type Sandwich, snis, TiltedError, tilt } from "tilted";
import { gaussian, generative, logDensityOf, tiltedLogDensity } from "tilted/models";
import { beforeAll, describe, expect, it } from "vitest";
import {
  add,
  apply,
  identity,
  inverse,
  logDet,
  type Matrix,
  normalLogDensity,
  plus,
  quadraticForm,
  times,
  transpose,
  type Vector,
} from "../support/matrix.ts";

beforeAll(() => ensureEngine());

const W: Matrix = [[0.8], [-0.6], [0.5]];
const MU: Vector = [0.2, -0.1, 0.4];
const SIGMA = 0.7;
const FLOOR = 1e-3;
const MIN_SCALE = 1e-4;
const C = plus(times(W, transpose(W)), identity(3, SIGMA ** 2));
const inverseSoftplus = (y: number) => Math.log(Math.expm1(y));

const net = generative({ features: 3, latent: 1, hidden: [], likelihood: gaussian({ floor: FLOOR }) });
/** The encoder sees only the first feature, at scale s: weights of moderate variance. */
const encodedAt = (s: number) => ({
  "decoder/loc/weight": ndarray(Float32Array.from(W.flat()), [1, 3]),
  "decoder/loc/bias": ndarray(Float32Array.from(MU)),
  "decoder/log-scale": ndarray(Float32Array.of(inverseSoftplus(SIGMA - FLOOR))),
  "encoder/loc/weight": ndarray(Float32Array.of(0.5, 0, 0), [3, 1]),
  "encoder/loc/bias": ndarray(new Float32Array(1)),
  "encoder/scale/weight": ndarray(new Float32Array(3), [3, 1]),
  "encoder/scale/bias": ndarray(Float32Array.of(inverseSoftplus(s - MIN_SCALE))),
});
const params = encodedAt(1);

const A = 0.6;
const B: Vector = [0.5, -0.3, 0.8];
const quadratic = (x: tf.Tensor) =>
  tf.sub(tf.mul(A / 2, tf.sum(tf.square(x), -1)), tf.sum(tf.mul(x, tf.tensor1d([...B])), -1));
const precision = inverse(C);
const TILTED = inverse(plus(precision, identity(3, A)));
const SHIFT = add(apply(precision, MU), B);
const MEAN = apply(TILTED, SHIFT);
const LOG_Z = (logDet(TILTED) - logDet(C) + quadraticForm(TILTED, SHIFT) - quadraticForm(precision, MU)) / 2;

const ROWS: Matrix = Array.from({ length: 12 }, (_, i) => [Math.sin(i), 1.5 * Math.cos(2 * i), Math.sin(3 * i + 1)]);
const x = ndarray(Float32Array.from(ROWS.flat()), [ROWS.length, 3]);
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;

/** Both sides hold the truth within z standard errors, and are near each other. */
function expectHolds({ lower, upper }: Sandwich, truth: number, gap: number): void {
  const z = 6;
  expect(lower.value - z * lower.standardError).toBeLessThan(truth);
  expect(upper.value + z * upper.standardError).toBeGreaterThan(truth);
  expect(upper.value).toBeGreaterThanOrEqual(lower.value);
  expect(upper.value - lower.value).toBeLessThan(gap);
  expect(z * Math.max(lower.standardError, upper.standardError)).toBeLessThan(gap);
}

describe("log p(x) of probabilistic PCA with an encoder that is wrong", () => {
  const exact = ROWS.map((row) => normalLogDensity(row, MU, C));
  it("lies between its bounds, row by row and in the mean", () => {
    const bounds = logDensityOf(net, x, { params, seed: 1, particles: 8192 });
    bounds.rows.forEach((row, i) => {
      expectHolds(row, exact[i] as number, 0.15);
    });
    expectHolds(bounds, mean(exact), 0.05);
    expect(bounds.lower).toMatchObject({ side: "lower", of: "log p(x)" });
  });

  it("with few particles the sides part, each to its own: over many seeds lower < truth < upper", () => {
    const runs = Array.from({ length: 60 }, (_, seed) =>
      logDensityOf(net, x, { params: encodedAt(0.4), seed, particles: 64 }),
    );
    const over = (pick: (s: Sandwich) => Bound) => {
      const values = runs.map((run) => pick(run).value - mean(exact));
      const centre = mean(values);
      return { centre, error: Math.sqrt(mean(values.map((v) => (v - centre) ** 2)) / values.length) };
    };
    const [low, high] = [over(({ lower }) => lower), over(({ upper }) => upper)];
    expect(low.centre + 4 * low.error).toBeLessThan(0);
    expect(high.centre).toBeGreaterThan(low.centre);
    expect(high.centre + 4 * high.error).toBeGreaterThan(0);
  });
});

describe("log p_E(x) of the tilt", () => {
  it("lies between its bounds, row by row and in the mean", async () => {
    const draws = await infer(pipe(net.base, tilt("x", quadratic)), snis(50_000), { params, seed: 2 });
    const z = logZ(draws.logWeights.data);
    expectHolds(z, LOG_Z, 0.05);
    const exact = ROWS.map((row) => normalLogDensity(row, MEAN, TILTED));
    const bounds = tiltedLogDensity(net, quadratic, z, x, { params, seed: 3, particles: 8192 });
    bounds.rows.forEach((row, i) => {
      expectHolds(row, exact[i] as number, 0.2);
    });
    expectHolds(bounds, mean(exact), 0.1);
    expect(bounds.upper).toMatchObject({ side: "upper", of: "log p_E(x)" });
    // The error of log Z is common to all rows: their mean cannot know better than it.
    expect(bounds.lower.standardError).toBeGreaterThanOrEqual(z.upper.standardError);
  });
});

it("refuses a wrong shape and too few particles", () => {
  const code = (run: () => unknown) => {
    try {
      run();
    } catch (e) {
      if (e instanceof TiltedError) return e.code;
      throw e;
    }
    return undefined;
  };
  expect(code(() => logDensityOf(net, ndarray(new Float32Array(4), [2, 2]), { params, seed: 1 }))).toBe("shape");
  expect(code(() => logDensityOf(net, x, { params, seed: 1, particles: 10 }))).toBe("argument");
});
