import { pipe } from "fp-ts/lib/function.js";
import { type Bound, ensureEngine, infer, logDensityOf, ndarray, type Sandwich, snis, TiltedError, tilt } from "tilted";
import { logZ, tiltedLogDensity } from "tilted/tilt";
import { beforeAll, describe, expect, it } from "vitest";
import { type Matrix, normalLogDensity } from "../support/matrix.ts";
import {
  covarianceOf,
  decoderOf,
  encoderOf,
  LINE,
  LINE_MEAN,
  linearModel,
  quadratic,
  tiltedGaussian,
} from "../support/ppca.ts";

beforeAll(() => ensureEngine());

const C = covarianceOf(LINE);
const net = linearModel(3, 1);
/** The encoder sees only the first feature, at scale s: weights of moderate variance. */
const encodedAt = (s: number) => ({ ...decoderOf(LINE, LINE_MEAN), ...encoderOf([[0.5, 0, 0]], [0], s) });
const params = encodedAt(1);

const [A, B] = [0.6, [0.5, -0.3, 0.8]] as const;
const energy = quadratic(A, B);
const { covariance: TILTED, mean: MEAN, logZ: LOG_Z } = tiltedGaussian(C, LINE_MEAN, A, B);

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
  const exact = ROWS.map((row) => normalLogDensity(row, LINE_MEAN, C));
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
    const draws = await infer(pipe(net.base, tilt("x", energy)), snis(50_000), { params, seed: 2 });
    const z = logZ(draws.logWeights.data);
    expectHolds(z, LOG_Z, 0.05);
    const exact = ROWS.map((row) => normalLogDensity(row, MEAN, TILTED));
    const bounds = tiltedLogDensity(net, energy, z, x, { params, seed: 3, particles: 8192 });
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
