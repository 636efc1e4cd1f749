import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { TiltedError } from "../core/errors.ts";
import { scope } from "../core/scope.ts";
import { useEngine } from "./engine.ts";
import { cholesky, choleskySolve, diagonal, logDetFromCholesky, triangularInverse, triangularSolve } from "./linalg.ts";

beforeAll(() => useEngine("wasm"));

type Matrix = number[][];

/** A well conditioned matrix of order d: B·Bᵀ/d + I with entries of B in [−1, 1]. */
const positiveDefinite = (d: number): fc.Arbitrary<Matrix> =>
  fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: d * d, maxLength: d * d }).map((b) =>
    Array.from({ length: d }, (_, i) =>
      Array.from({ length: d }, (_, j) => {
        let s = i === j ? 1 : 0;
        for (let k = 0; k < d; k++) s += ((b[i * d + k] as number) * (b[j * d + k] as number)) / d;
        return Math.fround(s);
      }),
    ),
  );

/** Log-determinant and bᵀA⁻¹b in float64, by elimination: knows nothing of Cholesky. */
function reference(a: Matrix, b: readonly number[]): number {
  const m = a.map((row, i) => [...row, b[i] as number]);
  const d = a.length;
  let log = 0;
  for (let j = 0; j < d; j++) {
    const pivot = m[j] as number[];
    log += Math.log(Math.abs(pivot[j] as number));
    for (let i = j + 1; i < d; i++) {
      const row = m[i] as number[];
      const w = (row[j] as number) / (pivot[j] as number);
      for (let k = j; k <= d; k++) row[k] = (row[k] as number) - w * (pivot[k] as number);
    }
  }
  const x = new Array<number>(d).fill(0);
  for (let i = d - 1; i >= 0; i--) {
    const row = m[i] as number[];
    let s = row[d] as number;
    for (let k = i + 1; k < d; k++) s -= (row[k] as number) * (x[k] as number);
    x[i] = s / (row[i] as number);
  }
  return log + x.reduce((s, v, i) => s + v * (b[i] as number), 0);
}

/** log|A| + bᵀA⁻¹b by Cholesky, as a function of the matrix. */
const form = (b: readonly number[]) => (a: tf.Tensor) => {
  const l = cholesky(a);
  const z = triangularSolve(l, tf.tensor2d([...b], [b.length, 1]));
  return tf.add(tf.sum(tf.square(z)), tf.sum(logDetFromCholesky(l)));
};

const perturbed = (a: Matrix, e: Matrix, h: number): Matrix =>
  a.map((row, i) => row.map((v, j) => v + h * (e[i] as number[])[j]!));

const code = (f: () => unknown): string | undefined => {
  try {
    scope(f as () => tf.Tensor);
  } catch (error) {
    return error instanceof TiltedError ? error.code : String(error);
  }
  return undefined;
};

describe("cholesky and triangular systems", () => {
  it("multiply back to the matrix, for every order and in batches", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }).chain((d) => fc.tuple(positiveDefinite(d), positiveDefinite(d))),
        (pair) => {
          const error = scope(() => {
            const a = tf.tensor(pair);
            const l = cholesky(a);
            const upper = tf.transpose(l, [0, 2, 1]);
            const eye = tf.eye(pair[0].length);
            const checks = [
              tf.sub(tf.matMul(l, upper), a),
              tf.sub(tf.matMul(l, triangularSolve(l, eye)), eye),
              tf.sub(tf.matMul(upper, triangularSolve(l, eye, { transpose: true })), eye),
              tf.sub(tf.matMul(upper, triangularSolve(upper, eye, { lower: false })), eye),
              tf.sub(tf.matMul(l, triangularSolve(upper, eye, { lower: false, transpose: true })), eye),
              tf.sub(tf.matMul(a, choleskySolve(l, eye)), eye),
              tf.sub(triangularInverse(l), triangularSolve(l, eye)),
            ];
            return tf.max(tf.stack(checks.map((c) => tf.max(tf.abs(c))))).dataSync()[0] as number;
          });
          expect(error).toBeLessThan(3e-6);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("give the log-determinant and quadratic form, their gradients, and the gradients of those", () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 5 })
          .chain((d) => fc.tuple(positiveDefinite(d), positiveDefinite(d), positiveDefinite(d))),
        ([a, e, g]) => {
          const b = a.map((_, i) => Math.cos(i + 1));
          const f = form(b);
          const [value, first, second] = scope(() => {
            const along = (x: tf.Tensor) => tf.sum(tf.mul(tf.grad(f)(x), tf.tensor2d(e)));
            const x = tf.tensor2d(a);
            const twice = tf.sum(tf.mul(tf.grad(along)(x), tf.tensor2d(g)));
            return [f(x), along(x), twice].map((t) => t.dataSync()[0] as number);
          }) as [number, number, number];
          // A gradient of a function of symmetric matrices is known along symmetric directions; e and g are such.
          const at = (s: number, t: number) => reference(perturbed(perturbed(a, e, s), g, t), b);
          const h = 1e-3;
          expect(value).toBeCloseTo(at(0, 0), 4);
          const d1 = (8 * (at(h, 0) - at(-h, 0)) - (at(2 * h, 0) - at(-2 * h, 0))) / (12 * h);
          expect(Math.abs(first - d1)).toBeLessThan(1e-4 * (1 + Math.abs(d1)));
          const d2 = (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / (4 * h * h);
          expect(Math.abs(second - d2)).toBeLessThan(1e-3 * (1 + Math.abs(d2)));
        },
      ),
      { numRuns: 25 },
    );
  });

  it("broadcast, and sum gradients over what was broadcast", () => {
    const shapes = scope(() => {
      const l = tf.tensor2d([
        [2, 0],
        [1, 3],
      ]);
      const b = tf.ones([5, 2, 4]);
      const [dl, db] = tf.grads((l: tf.Tensor, b: tf.Tensor) => tf.sum(triangularSolve(l, b)))([l, b]);
      return { x: triangularSolve(l, b).shape, dl: [...(dl as tf.Tensor).dataSync()], db: (db as tf.Tensor).shape };
    });
    // x = (b₁/2, (b₂ − b₁/2)/3): Σ = b₁/3 + b₂/3, twenty times.
    expect(shapes.x).toEqual([5, 2, 4]);
    expect(shapes.db).toEqual([5, 2, 4]);
    const exact = [-20 / 6, 0, -20 / 6, -20 / 18];
    shapes.dl.forEach((v, i) => {
      expect(v).toBeCloseTo(exact[i] as number, 4);
    });
  });

  it("take the diagonal", () => {
    expect([
      ...scope(() =>
        diagonal(
          tf.tensor2d([
            [1, 2],
            [3, 4],
          ]),
        ).dataSync(),
      ),
    ]).toEqual([1, 4]);
  });

  it("say what is wrong", () => {
    expect(
      code(() =>
        cholesky(
          tf.tensor2d([
            [1, 2],
            [2, 1],
          ]),
        ),
      ),
    ).toBe("parameter");
    expect(
      code(() =>
        cholesky(
          tf.tensor2d([
            [1, Number.NaN],
            [Number.NaN, 1],
          ]),
        ),
      ),
    ).toBe("non-finite");
    expect(code(() => cholesky(tf.ones([2, 3])))).toBe("shape");
    expect(code(() => triangularSolve(tf.eye(2), tf.ones([3, 1])))).toBe("shape");
    expect(() => cholesky(tf.stack([tf.eye(2), tf.neg(tf.eye(2))]), "covariance")).toThrow(
      /covariance.*number 1 of batch \[2\].*pivot 0/,
    );
  });

  it("leave nothing behind, also when they throw inside a gradient", () => {
    const before = tf.memory().numTensors;
    scope(() =>
      tf
        .grad(form([1, 2]))(
          tf.tensor2d([
            [2, 1],
            [1, 2],
          ]),
        )
        .dataSync(),
    );
    code(() =>
      tf.grad(form([1, 2]))(
        tf.tensor2d([
          [1, 2],
          [2, 1],
        ]),
      ),
    );
    expect(tf.memory().numTensors).toBe(before);
  });
});
