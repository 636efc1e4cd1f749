import * as tf from "@tensorflow/tfjs-core";
import {
  categorical,
  type Distribution,
  gamma,
  mixture,
  mixtureSameFamily,
  multivariateNormal,
  normal,
  poisson,
  studentT,
} from "tilted/dist";
import { beforeAll, describe, expect, it } from "vitest";
import { TiltedError } from "../../src/core/errors.ts";
import { rootKey } from "../../src/core/key.ts";
import { scope } from "../../src/core/scope.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { expectCounts, expectFollows, tally } from "../support/goodness.ts";
import { expectMean } from "../support/statistics.ts";

beforeAll(() => useEngine("wasm"));

const DRAWS = 20_000;
/** A fixed sequence without structure, in (−1, 1). */
const rough = (n: number, seed: number) =>
  Float32Array.from({ length: n }, (_, i) => 2 * ((Math.sin((i + 1) * 12.9898 + seed) * 43758.5453) % 1));

/** log Σ w N(x; μ, σ) in float64. */
function reference(
  x: ArrayLike<number>,
  n: number,
  w: ArrayLike<number>,
  loc: ArrayLike<number>,
  scale: ArrayLike<number>,
  d: number,
) {
  const k = w.length;
  const logs = Array.from({ length: k }, (_, c) => {
    let s = Math.log(w[c] as number);
    for (let j = 0; j < d; j++) {
      const sigma = scale[c * d + j] as number;
      const z = ((x[n * d + j] as number) - (loc[c * d + j] as number)) / sigma;
      s -= 0.5 * z * z + Math.log(sigma) + 0.5 * Math.log(2 * Math.PI);
    }
    return s;
  });
  const max = Math.max(...logs);
  return max + Math.log(logs.reduce((s, l) => s + Math.exp(l - max), 0));
}

const gradientOf = (d: (x: tf.Tensor) => tf.Tensor, x: tf.Tensor): tf.Tensor =>
  tf.grad((y: tf.Tensor) => tf.sum(d(y)))(x);

describe("a mixture of diagonal normals", () => {
  it.each([
    { k: 700, d: 2, sigma: 0.2 },
    { k: 700, d: 10, sigma: 0.3 },
    { k: 700, d: 10, sigma: 0.003 },
    { k: 3, d: 1, sigma: 0.5 },
  ])(
    "has the density and gradient of float64, over several slices: $k components in $d-D of width $sigma",
    ({ k, d, sigma }) => {
      const n = 1000;
      const loc = rough(k * d, 1);
      const scale = rough(k * d, 2).map((u) => sigma * (1.5 + u / 2));
      const weights = rough(k, 3).map((u) => 2 + u);
      const total = weights.reduce((s, w) => s + w);
      const w = weights.map((v) => v / total);
      const x = Float32Array.from({ length: n * d }, (_, i) => (loc[i % (k * d)] as number) + sigma * Math.sin(i));
      const { logs, slopes } = scope(() => {
        const m = mixtureSameFamily(
          tf.tensor1d(w),
          normal(tf.tensor2d(loc, [k, d]), tf.tensor2d(scale, [k, d])).event(1),
        );
        const points = tf.tensor2d(x, [n, d]);
        return { logs: m.logProb(points).dataSync(), slopes: gradientOf(m.logProb, points).dataSync() };
      });
      const float = Float64Array.from(x);
      for (let i = 0; i < n; i += 13) {
        const exact = reference(x, i, w, loc, scale, d);
        expect(Math.abs((logs[i] as number) - exact), `${logs[i]}, not ${exact}`).toBeLessThan(
          1e-4 + 1e-5 * Math.abs(exact),
        );
        for (let j = 0; j < d; j++) {
          const h = sigma * 1e-4;
          const moved = (e: number) => {
            const y = float.slice();
            y[i * d + j] = (float[i * d + j] as number) + e;
            return reference(y, i, w, loc, scale, d);
          };
          const slope = (moved(h) - moved(-h)) / (2 * h);
          expect(Math.abs((slopes[i * d + j] as number) - slope)).toBeLessThan(
            (2e-3 * (1 + Math.abs(slope * sigma))) / sigma,
          );
        }
      }
    },
  );

  it("has the gradients of the plain form in weights, locations and scales, and second derivatives", () => {
    scope(() => {
      const loc = tf.tensor2d(rough(12, 1), [4, 3]);
      const scale = tf.add(tf.abs(tf.tensor2d(rough(12, 2), [4, 3])), 0.5);
      const logits = tf.tensor1d(rough(4, 3));
      const x = tf.tensor2d(rough(15, 4), [5, 3]);
      const fast = (l: tf.Tensor, m: tf.Tensor, s: tf.Tensor, y: tf.Tensor) =>
        tf.sum(tf.square(mixtureSameFamily(categorical({ logits: l }), normal(m, s).event(1)).logProb(y)));
      // A batch axis of one takes the general way.
      const plain = (l: tf.Tensor, m: tf.Tensor, s: tf.Tensor, y: tf.Tensor) => {
        const components = normal(tf.expandDims(m, 0), tf.expandDims(s, 0)).event(1);
        return tf.sum(
          tf.square(mixtureSameFamily(categorical({ logits: l }), components).logProb(tf.expandDims(y, 1))),
        );
      };
      const near = (a: readonly tf.Tensor[], b: readonly tf.Tensor[], tolerance: number) => {
        a.forEach((g, i) => {
          expect(tf.max(tf.abs(tf.sub(g, b[i] as tf.Tensor))).dataSync()[0]).toBeLessThan(tolerance);
        });
      };
      const args = [logits, loc, scale, x];
      near(tf.grads(fast)(args), tf.grads(plain)(args), 1e-4);
      const twice = (f: typeof fast) => (l: tf.Tensor, m: tf.Tensor, s: tf.Tensor, y: tf.Tensor) =>
        tf.sum(tf.square(tf.grad((z: tf.Tensor) => f(l, m, s, z))(y)));
      near(tf.grads(twice(fast))(args), tf.grads(twice(plain))(args), 2e-2);
    });
  });

  it("takes diagonal multivariate normals and plain normals the same way", () => {
    scope(() => {
      const [loc, scale] = [tf.tensor2d(rough(8, 1), [4, 2]), tf.fill([4, 2], 0.4)];
      const w = tf.fill([4], 0.25);
      const x = tf.tensor3d(rough(20, 2), [2, 5, 2]);
      const a = mixtureSameFamily(w, normal(loc, scale).event(1)).logProb(x);
      const b = mixtureSameFamily(w, multivariateNormal({ loc, scaleDiag: scale })).logProb(x);
      expect(a.shape).toEqual([2, 5]);
      expect(tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]).toBe(0);
      const one = mixtureSameFamily(tf.tensor1d([0.3, 0.7]), normal(tf.tensor1d([-1, 2]), tf.tensor1d([1, 0.5])));
      expect(one.logProb(0.5).shape).toEqual([]);
      const exact = reference([0.5], 0, [0.3, 0.7], [-1, 2], [1, 0.5], 1);
      expect(one.logProb(0.5).dataSync()[0]).toBeCloseTo(exact, 5);
    });
  });
});

const families: Record<string, () => Distribution> = {
  "diagonal normals": () =>
    mixtureSameFamily(
      tf.tensor1d([0.3, 0.7]),
      normal(
        tf.tensor2d([
          [0, 1],
          [3, -1],
        ]),
        0.5,
      ).event(1),
    ),
  gammas: () => mixtureSameFamily(tf.tensor1d([0.3, 0.7]), gamma(tf.tensor1d([2, 9]), tf.tensor1d([1, 2]))),
  "gammas in a batch": () =>
    mixtureSameFamily(
      tf.tensor2d([
        [0.3, 0.7],
        [0.9, 0.1],
      ]),
      gamma(
        tf.tensor2d([
          [2, 9],
          [5, 4],
        ]),
        2,
      ),
    ),
  Poissons: () => mixtureSameFamily(tf.tensor1d([0.5, 0.5]), poisson(tf.tensor1d([1, 12]))),
  "several families": () => mixture(tf.tensor1d([0.2, 0.5, 0.3]), [normal(0, 1), studentT(9, 4, 0.5), gamma(4, 2)]),
  "several families in a batch": () =>
    mixture(tf.tensor1d([0.4, 0.6]), [normal(tf.tensor1d([0, 5]), 1), normal(tf.tensor2d([[1], [2], [3]]), 0.3)]),
};

describe.each(Object.entries(families))("a mixture of %s", (name, make) => {
  it("draws with its mean and variance, inside its support", () => {
    const { draws, means, variances } = scope(() => {
      const d = make();
      const sample = d.sample(rootKey(7), [DRAWS]);
      expect(sample.shape).toEqual([DRAWS, ...d.batchShape, ...d.eventShape]);
      expect(tf.min(tf.cast(d.support.check(sample), "int32")).dataSync()[0]).toBe(1);
      const width = sample.size / DRAWS;
      const columns = tf.transpose(tf.reshape(tf.cast(sample, "float32"), [DRAWS, width]));
      return {
        draws: columns.arraySync() as number[][],
        means: d.mean().dataSync(),
        variances: d.variance().dataSync(),
      };
    });
    draws.forEach((column, i) => {
      const [mean, variance] = [means[i] as number, variances[i] as number];
      const deviation = Math.sqrt(variance);
      expectMean(column, mean, { what: `mean of ${name}`, detects: 0.1 * deviation });
      expectMean(
        column.map((v) => (v - mean) ** 2),
        variance,
        { what: `variance of ${name}`, detects: 0.3 * variance },
      );
    });
  });

  it("keeps the first draws, expands, detaches, and leaves nothing behind", () => {
    const before = tf.memory().numTensors;
    scope(() => {
      const d = make();
      const all = d.sample(rootKey(3), [9]);
      const tail = d.sample(rootKey(3), [4], 5);
      expect([...tail.dataSync()]).toEqual([...tf.slice(all, 5, 4).dataSync()]);
      const wide = d.expand([2, ...d.batchShape]);
      expect(wide.logProb(all.shape.length === 1 ? 0.5 : tf.slice(all, 0, 1)).shape.at(-1)).toBe(
        wide.batchShape.at(-1),
      );
      expect(d.detach().logProb(all).dataSync()).toEqual(d.logProb(all).dataSync());
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("draws against the density", () => {
  it.each(["gammas", "several families"])("on the line: %s", (name) => {
    const [low, step, n] = [-15, 1e-3, 35_000];
    const { draws, density } = scope(() => {
      const d = (families[name] as () => Distribution)();
      const grid = tf.add(tf.mul(tf.range(0, n), step), low + step / 2);
      return { draws: d.sample(rootKey(31), [DRAWS]).dataSync(), density: tf.exp(d.logProb(grid)).dataSync() };
    });
    const cumulative = new Float64Array(n + 1);
    for (let i = 0; i < n; i++) cumulative[i + 1] = (cumulative[i] as number) + step * (density[i] as number);
    expect(cumulative[n]).toBeCloseTo(1, 3);
    expectFollows(draws, (x) => cumulative[Math.max(0, Math.min(n, Math.round((x - low) / step)))] as number, name);
  });

  it("of counts", () => {
    const { draws, mass } = scope(() => {
      const d = (families.Poissons as () => Distribution)();
      return { draws: d.sample(rootKey(32), [DRAWS]).dataSync(), mass: tf.exp(d.logProb(tf.range(0, 60))).dataSync() };
    });
    expectCounts(tally(draws, 60), mass, "Poissons");
  });

  it("in the plane: the mean of q/p over draws of p is one", () => {
    const ratios = scope(() => {
      const p = (families["diagonal normals"] as () => Distribution)();
      const x = p.sample(rootKey(33), [2 * DRAWS]);
      // q is the first component: the ratio is at most 1/0.3.
      return tf
        .exp(
          tf.sub(
            normal(tf.tensor1d([0, 1]), 0.5)
              .event(1)
              .logProb(x),
            p.logProb(x),
          ),
        )
        .dataSync();
    });
    expectMean(ratios, 1, { what: "q/p", detects: 0.11 });
  });
});

describe("mixtures", () => {
  it("refuse what does not fit, by code", () => {
    const code = (f: () => unknown) => {
      try {
        scope(f as () => tf.Tensor);
      } catch (error) {
        return error instanceof TiltedError ? error.code : String(error);
      }
      return undefined;
    };
    const w = () => tf.tensor1d([0.5, 0.5]);
    expect(code(() => mixtureSameFamily(w(), normal(tf.zeros([3]), 1)))).toBe("shape");
    expect(code(() => mixtureSameFamily(w(), normal(0, 1)))).toBe("shape");
    expect(code(() => mixture(w(), [normal(0, 1)]))).toBe("shape");
    expect(code(() => mixture(w(), []))).toBe("argument");
    expect(code(() => mixture(w(), [normal(0, 1), poisson(1)]))).toBe("argument");
    expect(code(() => mixture(w(), [normal(0, 1), normal(tf.zeros([2]), 1).event(1)]))).toBe("shape");
    expect(code(() => mixture(normal(0, 1), [normal(0, 1)]))).toBe("argument");
    expect(code(() => mixture(tf.tensor1d([0.5, 0.6]), [normal(0, 1), normal(1, 1)]))).toBe("parameter");
    expect(code(() => mixture(w(), [normal(0, 1), normal(1, 1)]).entropy())).toBe("unsupported");
    expect(code(() => mixture(w(), [normal(0, 1), gamma(1, 1)]).support.bijection())).toBe("unsupported");
  });
});
