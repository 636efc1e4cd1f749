/** Scores of data against probabilistic PCA, where ∇ log p(x) = −C⁻¹(x − μ) and the ELBO's gap is known as well. */
import fc from "fast-check";
import { elboScore, ensureEngine, fisherScore, ndarray, type Score, TiltedError } from "tilted";
import { binary, generative } from "tilted/models";
import { beforeAll, describe, expect, it } from "vitest";
import {
  add,
  apply,
  identity,
  inverse,
  type Matrix,
  plus,
  scaled,
  subtract,
  times,
  transpose,
  type Vector,
} from "../support/matrix.ts";
import { covarianceOf, decoderOf, encoderOf, linearModel, SIGMA } from "../support/ppca.ts";
import { expectDiffers, expectEstimate } from "../support/statistics.ts";

beforeAll(() => ensureEngine());

const W: Matrix = [
  [0.8, 0.3],
  [-0.6, 0.5],
  [0.5, -0.9],
];
const MU: Vector = [0.2, -0.1, 0.4];
const C = covarianceOf(W);
const M = plus(times(transpose(W), W), identity(2, SIGMA ** 2));
/** Posterior N(P(x − μ), V). */
const P = times(inverse(M), transpose(W));
const V = scaled(SIGMA ** 2, inverse(M));

const net = linearModel(3, 2);
const encoder = (A: Matrix, a: Vector, s: number) => ({ ...decoderOf(W, MU), ...encoderOf(A, a, s) });
/** Wrong in slope, place and width. */
const SLOPE = scaled(0.6, P);
const SHIFT: Vector = [0.2, -0.1];
const wrong = encoder(SLOPE, SHIFT, 0.8);

const POINTS: Matrix = [
  [0.3, -1.2, 0.8],
  [2, 0.5, -1.5],
  [-1, 1, 0],
];
const x = ndarray(Float32Array.from(POINTS.flat()), [3, 3]);
const exact = POINTS.map((row) => scaled(-1, [apply(inverse(C), subtract(row, MU))])[0] as Vector);
/** ∇KL(q ‖ posterior) = (A − P)ᵀ V⁻¹ (Ax + a − P(x − μ)). */
const klGradient = POINTS.map((row) =>
  apply(
    times(transpose(plus(SLOPE, scaled(-1, P))), inverse(V)),
    subtract(add(apply(SLOPE, row), SHIFT), apply(P, subtract(row, MU))),
  ),
);
const estimates = ({ gradient, standardError }: Score) =>
  Array.from(gradient.data, (value, i) => ({ value, standardError: standardError.data[i] as number }));

describe("probabilistic PCA with an encoder that is wrong", () => {
  const K = 20_000;

  it("Fisher's identity gives −C⁻¹(x − μ)", () => {
    const score = fisherScore(net, x, { params: wrong, seed: 1, particles: K });
    estimates(score).forEach((e, i) => {
      expectEstimate(e, exact.flat()[i] as number, { what: `entry ${i}`, detects: 0.15 });
    });
    expect(score.method).toBe("fisher");
    expect(score.warnings).toEqual([]);
    for (const ratio of score.essRatio) {
      expect(ratio).toBeGreaterThan(0.01);
      expect(ratio).toBeLessThan(0.9);
    }
  });

  it("the ELBO's gradient is off by that of KL(q ‖ posterior), and says what it is", () => {
    const score = elboScore(net, x, { params: wrong, seed: 1, particles: K });
    estimates(score).forEach((e, i) => {
      const truth = (exact.flat()[i] as number) - (klGradient.flat()[i] as number);
      expectEstimate(e, truth, { what: `entry ${i}`, detects: 0.15 });
    });
    expectDiffers(estimates(score)[4] as { value: number; standardError: number }, exact.flat()[4] as number);
    expect(score.method).toBe("elbo-approximation");
    expect(score.warnings[0]).toContain("bound");
  });
});

it("with one latent the exact encoder makes all weights even", () => {
  const one = linearModel(2, 1);
  const [w0, w1] = [0.8, -0.6];
  const m = w0 ** 2 + w1 ** 2 + SIGMA ** 2;
  const params = {
    ...decoderOf([[w0], [w1]], [0, 0]),
    ...encoderOf([[w0 / m, w1 / m]], [0], SIGMA / Math.sqrt(m)),
  };
  fc.assert(
    fc.property(fc.float({ min: -3, max: 3, noNaN: true }), fc.float({ min: -3, max: 3, noNaN: true }), (a, b) => {
      const score = fisherScore(one, ndarray(Float32Array.of(a, b), [1, 2]), { params, seed: 2, particles: 64 });
      expect(score.essRatio[0]).toBeCloseTo(1, 4);
    }),
    { numRuns: 20 },
  );
});

it("rows are cut into chunks without a seam: each row alone has its score", () => {
  const n = 40;
  const many = ndarray(
    Float32Array.from({ length: 3 * n }, (_, i) => Math.sin(i)),
    [n, 3],
  );
  const score = fisherScore(net, many, { params: wrong, seed: 3, particles: 2000 });
  for (const i of [0, 9, 39]) {
    const row = [...many.data.subarray(3 * i, 3 * i + 3)];
    const truth = apply(inverse(C), subtract(row, MU));
    truth.forEach((g, j) => {
      expectEstimate(estimates(score)[3 * i + j] as { value: number; standardError: number }, -g, {
        what: `row ${i}, entry ${j}`,
        detects: 0.6,
      });
    });
  }
});

describe("refused", () => {
  const code = (run: () => unknown) => {
    try {
      run();
    } catch (e) {
      if (e instanceof TiltedError) return e.code;
      throw e;
    }
    return undefined;
  };
  it("a likelihood without a gradient in x, a wrong shape, no particles", () => {
    const discrete = generative({ features: 3, latent: 2, hidden: [], likelihood: binary() });
    expect(code(() => fisherScore(discrete, x, { seed: 1 }))).toBe("not-differentiable");
    expect(code(() => elboScore(net, ndarray(new Float32Array(4), [2, 2]), { seed: 1 }))).toBe("shape");
    expect(code(() => fisherScore(net, x, { seed: 1, particles: 0 }))).toBe("argument");
  });
  it("far from the encoder it warns", () => {
    const narrow = encoder(SLOPE, [6, 6], 0.05);
    expect(fisherScore(net, x, { params: narrow, seed: 1 }).warnings).toHaveLength(1);
  });
});
