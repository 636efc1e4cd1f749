/** The loop over a mixture's components against double precision, at odd sizes and at the ends of the range. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { scope } from "../core/scope.ts";
import { useEngine } from "./engine.ts";
import { logSumGaussians } from "./mixture.ts";
import { mixtureSlope, mixtureValue } from "./mixture-slices.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

/** A fixed sequence without structure, in (−1, 1). */
const rough = (n: number, seed: number) =>
  Float32Array.from({ length: n }, (_, i) => 2 * ((Math.sin((i + 1) * 12.9898 + seed) * 43758.5453) % 1));

interface Problem {
  readonly n: number;
  readonly k: number;
  readonly d: number;
  readonly x: Float32Array;
  /** μ₁ …, s₁ …, c. */
  readonly rows: Float32Array;
}

function problem(n: number, k: number, d: number, width: number): Problem {
  const rows = new Float32Array((2 * d + 1) * k);
  rows.set(rough(d * k, 1));
  rows.set(
    rough(d * k, 2).map((u) => (1.5 + u / 2) / width),
    d * k,
  );
  rows.set(
    rough(k, 3).map((u) => 3 * u - 2),
    2 * d * k,
  );
  // Among the components, not far from some of them.
  const x = rough(n * d, 4).map((u) => 1.2 * u);
  return { n, k, d, x, rows };
}

/** Value and slope of point i in double precision. */
function exact({ k, d, x, rows }: Problem, i: number): { value: number; slope: number[] } {
  const at = (row: number, c: number) => rows[row * k + c] as number;
  const z = (c: number, j: number) => ((x[i * d + j] as number) - at(j, c)) * at(d + j, c);
  const axes = Array.from({ length: d }, (_, j) => j);
  const logs = Array.from({ length: k }, (_, c) => axes.reduce((s, j) => s - z(c, j) ** 2 / 2, at(2 * d, c)));
  const most = Math.max(...logs);
  const weights = logs.map((l) => Math.exp(l - most));
  const total = weights.reduce((a, b) => a + b);
  const slope = axes.map((j) => weights.reduce((s, w, c) => s - (w * z(c, j) * at(d + j, c)) / total, 0));
  return { value: most + Math.log(total), slope };
}

const valuesAt = ({ n, k, d, x, rows }: Problem) =>
  scope(() =>
    logSumGaussians(tf.tensor2d(x, [n, d]), tf.tensor2d(rows, [2 * d + 1, k]))
      .dataSync()
      .slice(),
  );
const slopesAt = ({ n, k, d, x, rows }: Problem) =>
  scope(() => {
    const bells = tf.tensor2d(rows, [2 * d + 1, k]);
    return tf
      .grad((y: tf.Tensor) => tf.sum(logSumGaussians(y, bells)))(tf.tensor2d(x, [n, d]))
      .dataSync()
      .slice();
  });

const CLOSE = 2e-5;

describe("a sum of bells", () => {
  it.each([
    [1, 1, 1, 0.5],
    [5, 3, 2, 0.5],
    [7, 257, 2, 0.05],
    [64, 1000, 3, 0.2],
    [9, 1029, 10, 0.7],
    [3, 50_001, 2, 0.1],
    [4, 70, 32, 2],
    [4, 70, 33, 2],
  ])("of %i points and %i components in %i dimensions, of width %f, is that of double precision", (n, k, d, width) => {
    const p = problem(n, k, d, width);
    const [values, slopes] = [valuesAt(p), slopesAt(p)];
    for (let i = 0; i < n; i++) {
      const { value, slope } = exact(p, i);
      expect(Math.abs((values[i] as number) - value) / Math.max(1, Math.abs(value))).toBeLessThan(CLOSE);
      const largest = Math.max(1 / width, ...slope.map(Math.abs));
      slope.forEach((s, j) => {
        expect(Math.abs((slopes[i * d + j] as number) - s) / largest).toBeLessThan(CLOSE);
      });
    }
  });

  it("is what the ops give, which other engines run", () => {
    const { n, k, d, x, rows } = problem(40, 301, 2, 0.1);
    scope(() => {
      const [points, bells] = [tf.tensor2d(x, [n, d]), tf.tensor2d(rows, [2 * d + 1, k])];
      const values = mixtureValue(points, bells).dataSync();
      valuesAt({ n, k, d, x, rows }).forEach((value, i) => {
        expect(value).toBeCloseTo(values[i] as number, 3);
      });
      const slopes = mixtureSlope(points, bells).dataSync();
      slopesAt({ n, k, d, x, rows }).forEach((slope, i) => {
        expect(slope).toBeCloseTo(slopes[i] as number, 2);
      });
    });
  });

  it("gives a point the same bits alone and among others", () => {
    const p = problem(20, 500, 2, 0.1);
    const [values, slopes] = [valuesAt(p), slopesAt(p)];
    for (const i of [0, 7, 19]) {
      const alone = { ...p, n: 1, x: p.x.slice(2 * i, 2 * i + 2) };
      expect(valuesAt(alone)).toEqual(values.slice(i, i + 1));
      expect(slopesAt(alone)).toEqual(slopes.slice(2 * i, 2 * i + 2));
    }
  });

  it("finds what is far below and far above", () => {
    const bells = Float32Array.of(0, 0, 1, 1, -1e4, 88_000);
    expect([...valuesAt({ n: 2, k: 2, d: 1, x: Float32Array.of(0, 100), rows: bells })]).toEqual([88_000, 83_000]);
    // The second component alone; then none.
    const one = Float32Array.of(3, 0, 1, 2, Number.NEGATIVE_INFINITY, 0);
    const none = Float32Array.of(3, 0, 1, 2, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY);
    const x = Float32Array.of(3);
    expect([...valuesAt({ n: 1, k: 2, d: 1, x, rows: one })]).toEqual([-18]);
    expect([...slopesAt({ n: 1, k: 2, d: 1, x, rows: one })]).toEqual([-12]);
    expect([...valuesAt({ n: 1, k: 2, d: 1, x, rows: none })]).toEqual([Number.NEGATIVE_INFINITY]);
    expect([...valuesAt({ n: 1, k: 2, d: 1, x: Float32Array.of(Number.POSITIVE_INFINITY), rows: one })]).toEqual([
      Number.NEGATIVE_INFINITY,
    ]);
  });

  it("keeps a NaN in the points and in the components", () => {
    const p = problem(3, 9, 2, 0.5);
    const x = p.x.slice();
    x[2] = Number.NaN;
    expect([...valuesAt({ ...p, x })].map(Number.isNaN)).toEqual([false, true, false]);
    for (const place of [4, 20, 40]) {
      const rows = p.rows.slice();
      rows[place] = Number.NaN;
      expect([...valuesAt({ ...p, rows })].every(Number.isNaN)).toBe(true);
    }
  });

  it("of no points is empty", () => {
    const p = problem(0, 9, 2, 0.5);
    expect(valuesAt(p)).toHaveLength(0);
    expect(slopesAt(p)).toHaveLength(0);
  });

  it("has gradients in components, second derivatives, and leaves nothing behind", () => {
    const { n, k, d, x, rows } = problem(6, 11, 2, 0.6);
    const plain = (points: tf.Tensor, bells: tf.Tensor): tf.Tensor => {
      const [means, roots, heights] = tf.split(bells, [d, d, 1], 0) as [tf.Tensor, tf.Tensor, tf.Tensor];
      const z = tf.mul(tf.sub(tf.expandDims(points, 2), means), roots);
      return tf.logSumExp(tf.sub(heights, tf.mul(tf.sum(tf.square(z), 1), 0.5)), 1);
    };
    type F = typeof plain;
    const weights = rough(n, 9);
    const first = (f: F) => (y: tf.Tensor, b: tf.Tensor) =>
      tf.grads((y, b) => tf.sum(tf.mul(f(y, b), weights)))([y, b]);
    const second = (f: F) => (y: tf.Tensor, b: tf.Tensor) =>
      tf.grads((y, b) => tf.sum(tf.square(first(f)(y, b)[0] as tf.Tensor)))([y, b]);
    const before = [tf.memory().numTensors, tf.engine().backend.numDataIds()];
    scope(() => {
      const [points, bells] = [tf.tensor2d(x, [n, d]), tf.tensor2d(rows, [2 * d + 1, k])];
      for (const order of [first, second]) {
        const [found, truth] = [order(logSumGaussians)(points, bells), order(plain)(points, bells)];
        found.forEach((g, i) => {
          const scale = Math.max(...(truth[i] as tf.Tensor).dataSync().map(Math.abs));
          const values = (truth[i] as tf.Tensor).dataSync();
          g.dataSync().forEach((y, j) => {
            expect(Math.abs(y - (values[j] as number)) / scale).toBeLessThan(1e-4);
          });
        });
      }
    });
    expect([tf.memory().numTensors, tf.engine().backend.numDataIds()]).toEqual(before);
  });
});
