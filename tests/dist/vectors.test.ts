import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { categorical, type Distribution, dirichlet, multivariateNormal, oneHotCategorical } from "tilted/dist";
import { beforeAll, describe, expect, it } from "vitest";
import { TiltedError } from "../../src/core/errors.ts";
import { rootKey } from "../../src/core/key.ts";
import { scope } from "../../src/core/scope.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { expectCounts, tally } from "../support/goodness.ts";
import { lgamma } from "../support/special.ts";
import { expectMean } from "../support/statistics.ts";

beforeAll(() => useEngine("wasm"));

const DRAWS = 20_000;
const LOG_2PI = Math.log(2 * Math.PI);

/** log N(x; m, S) of two dimensions, written out. */
function normal2(x: readonly number[], m: readonly number[], [a, b, c]: readonly [number, number, number]): number {
  const det = a * c - b * b;
  const [u, v] = [(x[0] as number) - (m[0] as number), (x[1] as number) - (m[1] as number)];
  return -LOG_2PI - 0.5 * Math.log(det) - (0.5 * (c * u * u - 2 * b * u * v + a * v * v)) / det;
}

const code = (f: () => Distribution): string | undefined => {
  try {
    scope(() => f().batchShape);
  } catch (error) {
    return error instanceof TiltedError ? error.code : String(error);
  }
  return undefined;
};

const S = [2, -0.8, 1.5] as const;
const covariance = () =>
  tf.tensor2d([
    [S[0], S[1]],
    [S[1], S[2]],
  ]);

describe("multivariateNormal", () => {
  it("has the density written out, in each of its forms, and its gradient", () => {
    const real = fc.double({ min: -5, max: 5, noNaN: true }).map(Math.fround);
    fc.assert(
      fc.property(fc.tuple(real, real), fc.tuple(real, real), (x, m) => {
        const [full, diagonal, gradient] = scope(() => {
          const f = (loc: tf.Tensor) => multivariateNormal({ loc, covariance: covariance() }).logProb(tf.tensor1d(x));
          return [
            f(tf.tensor1d(m)).dataSync()[0],
            multivariateNormal({ loc: tf.tensor1d(m), scaleDiag: tf.tensor1d([0.5, 2]) })
              .logProb(tf.tensor1d(x))
              .dataSync()[0],
            [...tf.grad(f)(tf.tensor1d(m)).dataSync()],
          ];
        }) as [number, number, number[]];
        const exact = normal2(x, m, S);
        expect(Math.abs(full - exact)).toBeLessThan(2e-6 * (1 + Math.abs(exact)));
        const plain = normal2(x, m, [0.25, 0, 4]);
        expect(Math.abs(diagonal - plain)).toBeLessThan(2e-6 * (1 + Math.abs(plain)));
        gradient.forEach((g, i) => {
          const moved = (h: number) =>
            normal2(
              x,
              m.map((v, j) => (i === j ? v + h : v)),
              S,
            );
          expect(Math.abs(g - (moved(1e-4) - moved(-1e-4)) / 2e-4)).toBeLessThan(1e-4);
        });
      }),
    );
  });

  it("broadcasts a batch of locations and of factors", () => {
    const found = scope(() => {
      const loc = tf.tensor2d([
        [0, 0],
        [1, -1],
        [2, 0.5],
      ]);
      const scaleTril = tf.tile(
        tf.tensor3d([
          [
            [1, 0],
            [0.5, 2],
          ],
        ]),
        [3, 1, 1],
      );
      const d = multivariateNormal({ loc, scaleTril });
      const shared = multivariateNormal({
        loc,
        scaleTril: tf.tensor2d([
          [1, 0],
          [0.5, 2],
        ]),
      });
      const x = d.sample(rootKey(4), [5]);
      const difference = tf.max(tf.abs(tf.sub(d.logProb(x), shared.logProb(x)))).dataSync()[0];
      return { batch: d.batchShape, event: d.eventShape, x: x.shape, difference };
    });
    expect(found).toMatchObject({ batch: [3], event: [2], x: [5, 3, 2] });
    expect(found.difference).toBeLessThan(1e-5);
  });

  it("draws with its mean, covariance and entropy", () => {
    const { x, y, entropy, logs } = scope(() => {
      const d = multivariateNormal({ loc: tf.tensor1d([1, -2]), covariance: covariance() });
      const sample = d.sample(rootKey(2), [DRAWS]);
      const [x, y] = tf.unstack(sample, 1) as [tf.Tensor, tf.Tensor];
      return {
        x: x.dataSync(),
        y: y.dataSync(),
        entropy: d.entropy().dataSync()[0] as number,
        logs: d.logProb(sample).dataSync(),
      };
    });
    expectMean(x, 1, { what: "x", detects: 0.1 });
    expectMean(y, -2, { what: "y", detects: 0.1 });
    expectMean(
      x.map((v, i) => (v - 1) * ((y[i] as number) + 2)),
      S[1],
      { what: "covariance", detects: 0.15 },
    );
    expectMean(
      x.map((v) => (v - 1) ** 2),
      S[0],
      { what: "variance", detects: 0.2 },
    );
    expectMean(
      logs.map((l) => -l),
      entropy,
      { what: "entropy", detects: 0.1 },
    );
  });

  it("says what is wrong", () => {
    expect(
      code(() =>
        multivariateNormal({
          loc: 0,
          covariance: tf.tensor2d([
            [1, 2],
            [2, 1],
          ]),
        }),
      ),
    ).toBe("parameter");
    expect(
      code(() =>
        multivariateNormal({
          loc: 0,
          covariance: tf.tensor2d([
            [1, 0.5],
            [0.2, 1],
          ]),
        }),
      ),
    ).toBe("parameter");
    expect(code(() => multivariateNormal({ loc: 0, scaleDiag: tf.tensor1d([1, -1]) }))).toBe("parameter");
    expect(
      code(() =>
        multivariateNormal({
          loc: 0,
          scaleTril: tf.tensor2d([
            [1, 1],
            [0, 1],
          ]),
        }),
      ),
    ).toBe("parameter");
    expect(code(() => multivariateNormal({ loc: tf.ones([3]), scaleDiag: tf.ones([2]) }))).toBe("shape");
    expect(code(() => multivariateNormal({ loc: 0 } as never))).toBe("argument");
  });
});

describe("dirichlet", () => {
  it("has the density of its formula", () => {
    const concentration = fc.array(fc.double({ min: 0.01, max: 500, noNaN: true }).map(Math.fround), {
      minLength: 2,
      maxLength: 6,
    });
    fc.assert(
      fc.property(concentration, (a) => {
        const raw = a.map((v, i) => v + i + 0.1);
        const total = raw.reduce((s, v) => s + v);
        const x = raw.map((v) => Math.fround(v / total));
        const found = scope(() => dirichlet(tf.tensor1d(a)).logProb(tf.tensor1d(x)).dataSync()[0] as number);
        const sum = a.reduce((s, v) => s + v);
        const exact = lgamma(sum) + a.reduce((s, v, i) => s + (v - 1) * Math.log(x[i] as number) - lgamma(v), 0);
        expect(Math.abs(found - exact)).toBeLessThan(2e-6 * (1 + sum + Math.abs(exact)));
      }),
    );
  });

  it("draws on the simplex with its mean, variance and entropy, also for tiny concentrations", () => {
    const { first, mean, variance, entropy, logs, inside } = scope(() => {
      const d = dirichlet(tf.tensor1d([0.5, 1, 3]));
      const sample = d.sample(rootKey(6), [DRAWS]);
      const tiny = dirichlet(tf.fill([4], 0.001)).sample(rootKey(6), [100]);
      return {
        first: (tf.unstack(sample, 1)[0] as tf.Tensor).dataSync(),
        mean: d.mean().dataSync()[0] as number,
        variance: d.variance().dataSync()[0] as number,
        entropy: d.entropy().dataSync()[0] as number,
        logs: d.logProb(sample).dataSync(),
        inside: [sample, tiny].map((s) => tf.min(tf.cast(d.support.check(s), "int32")).dataSync()[0]),
      };
    });
    expect(inside).toEqual([1, 1]);
    expectMean(first, mean, { what: "mean", detects: 0.01 });
    expectMean(
      first.map((v) => (v - mean) ** 2),
      variance,
      { what: "variance", detects: 0.005 },
    );
    expectMean(
      logs.map((l) => -l),
      entropy,
      { what: "entropy", detects: 0.2 },
    );
  });
});

describe("categorical and oneHotCategorical", () => {
  const p = [0.1, 0, 0.6, 0.3];

  it("count with their probabilities; impossible classes have none, and no NaN in gradients", () => {
    const { indices, dtype, vectors, logs, gradient } = scope(() => {
      const d = categorical({ probs: tf.tensor1d(p) });
      const sample = d.sample(rootKey(9), [DRAWS]);
      const hot = oneHotCategorical({ probs: tf.tensor1d(p) }).sample(rootKey(10), [DRAWS]);
      return {
        indices: sample.dataSync() as Int32Array,
        dtype: sample.dtype,
        vectors: tf.argMax(hot, 1).dataSync() as Int32Array,
        logs: [...d.logProb(tf.tensor1d([0, 1, 2, 3, 4])).dataSync()],
        gradient: [
          ...tf
            .grad((q: tf.Tensor) => tf.sum(categorical({ probs: q }).logProb(tf.tensor1d([0, 3]))))(tf.tensor1d(p))
            .dataSync(),
        ],
      };
    });
    expect(dtype).toBe("int32");
    expectCounts(tally(indices, 5), [...p, 0], "categorical");
    expectCounts(tally(vectors, 5), [...p, 0], "one-hot");
    expect(tally(indices, 5)[1]).toBe(0);
    [Math.log(0.1), Number.NEGATIVE_INFINITY, Math.log(0.6), Math.log(0.3), Number.NEGATIVE_INFINITY].forEach(
      (l, i) => {
        expect(logs[i]).toBeCloseTo(l, 5);
      },
    );
    [10, 0, 0, 1 / 0.3].forEach((g, i) => {
      expect(gradient[i]).toBeCloseTo(g, 4);
    });
  });

  it("take logits up to a constant, in batches, and agree with each other", () => {
    const { a, b, c, shape, entropy } = scope(() => {
      const logits = tf.tensor2d([
        [1, 2, 3],
        [0, 0, -1],
      ]);
      const value = tf.tensor2d(
        [
          [0, 2],
          [1, 1],
          [2, 0],
        ],
        [3, 2],
        "int32",
      );
      const hot = tf.cast(tf.oneHot(value, 3), "float32");
      const d = categorical({ logits });
      return {
        a: [...d.logProb(value).dataSync()],
        b: [
          ...categorical({ logits: tf.add(logits, 100) })
            .logProb(value)
            .dataSync(),
        ],
        c: [...oneHotCategorical({ logits }).logProb(hot).dataSync()],
        shape: d.sample(rootKey(1), [7]).shape,
        entropy: [...d.entropy().dataSync()],
      };
    });
    const norm = [Math.log(Math.exp(1) + Math.exp(2) + Math.exp(3)), Math.log(2 + Math.exp(-1))] as const;
    const exact = [1 - norm[0], -1 - norm[1], 2 - norm[0], -norm[1], 3 - norm[0], -norm[1]];
    exact.forEach((l, i) => {
      expect(a[i]).toBeCloseTo(l, 5);
      expect(b[i]).toBeCloseTo(l, 4);
      expect(c[i]).toBeCloseTo(l, 5);
    });
    expect(shape).toEqual([7, 2]);
    const first = [1, 2, 3].reduce((s, l) => s - Math.exp(l - norm[0]) * (l - norm[0]), 0);
    expect(entropy[0]).toBeCloseTo(first, 5);
  });

  it("refuse both and neither of probs and logits, and weights off the simplex", () => {
    expect(code(() => categorical({} as never))).toBe("argument");
    expect(code(() => categorical({ probs: tf.ones([2]), logits: tf.ones([2]) } as never))).toBe("argument");
    expect(code(() => categorical({ probs: tf.tensor1d([0.5, 0.6]) }))).toBe("parameter");
  });
});
