import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beta, dirichlet, studentT } from "tilted/dist";
import { beforeAll, describe, expect, it } from "vitest";
import { rootKey } from "../../src/core/key.ts";
import { scope } from "../../src/core/scope.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { distributionValues } from "../support/fixtures.ts";
import { expectCounts, expectFollows, tally } from "../support/goodness.ts";
import { expectMean } from "../support/statistics.ts";
import { type Row, rows } from "./rows-other.ts";

beforeAll(() => useEngine("wasm"));

const EPS = 2 ** -23;
const DRAWS = 20_000;

type Point = { readonly params: readonly number[]; readonly x: number };

/** How far log p moves when value and parameters are rounded to float32, in units of the rounding. */
function conditioning({ logProb, build, smooth }: Row, { params, x }: Point, discrete: boolean): number {
  void build;
  const h = 1e-5;
  const slope = (f: (factor: number) => number) => Math.abs(f(1 + h) - f(1 - h)) / (2 * h);
  const byParams = smooth.map((i) =>
    slope((factor) =>
      logProb(
        x,
        params.map((p, j) => (i === j ? p * factor : p)),
      ),
    ),
  );
  const byValue = discrete ? 0 : slope((factor) => logProb(x * factor, params));
  return byParams.reduce((a, b) => a + (Number.isFinite(b) ? b : 0), Number.isFinite(byValue) ? byValue : 0);
}

const columns = (points: readonly Point[]) => {
  const [first] = points as [Point];
  return first.params.map((_, i) => tf.tensor1d(points.map((p) => p.params[i] as number)));
};

describe.each(rows)("$name", (row) => {
  const discrete = row.pmf !== undefined;
  const stored = distributionValues(row.name);
  const finite = (p: Point) => Math.abs(row.logProb(p.x, p.params)) < 1e30;
  const points = (n: number) => fc.array(row.point.filter(finite), { minLength: 1, maxLength: n, size: "max" });
  // Differences of the oracle's values, and the rounding of its arguments, say little about slopes beyond this.
  const tame = (p: Point) =>
    finite(p) && [...p.params, p.x].every((v) => v === 0 || (Math.abs(v) >= 1e-30 && Math.abs(v) <= 1000));
  const moderate = (n: number) => fc.array(row.point.filter(tame), { minLength: 1, maxLength: n, size: "max" });
  const build = (params: readonly number[]) => row.build(params.map((p) => tf.scalar(p)));

  const expectDensities = (ps: readonly Point[], exact: (i: number) => number) => {
    const found = scope(() =>
      row
        .build(columns(ps))
        .logProb(tf.tensor1d(ps.map((p) => p.x)))
        .dataSync(),
    );
    ps.forEach((p, i) => {
      const size = 1 + Math.abs(exact(i)) + conditioning(row, p, discrete) + (row.slack?.(p.x, p.params) ?? 0);
      expect(
        Math.abs((found[i] as number) - exact(i)),
        `at ${JSON.stringify(p)}: ${found[i]}, not ${exact(i)}`,
      ).toBeLessThanOrEqual(8 * EPS * size);
    });
  };

  it("has the log-density of an independent implementation", () => {
    fc.assert(
      fc.property(points(200), (ps) => {
        const exact = ps.map((p) => row.logProb(p.x, p.params));
        expectDensities(ps, (i) => exact[i] as number);
      }),
      { numRuns: 25 },
    );
  });

  it("has the log-density of arbitrary precision at extremes", () => {
    expectDensities(
      stored.points.map(([params, x]) => ({ params, x })),
      (i) => stored.points[i]?.[2] as number,
    );
  });

  it("has its gradient", () => {
    fc.assert(
      fc.property(moderate(50), (ps) => {
        const x = ps.map((p) => p.x);
        const gradients = scope(() => {
          const f = (...args: tf.Tensor[]) => tf.sum(row.build(args.slice(1)).logProb(args[0] as tf.Tensor));
          return tf
            .grads(f)([tf.tensor1d(x), ...columns(ps)])
            .map((g) => g.dataSync());
        });
        const check = (
          p: Point,
          found: number,
          f: (v: number) => number,
          v: number,
          end = Number.POSITIVE_INFINITY,
        ) => {
          const h = 2e-5 * Math.max(Math.min(Math.abs(v), end - v), 1e-30);
          const exact = (8 * (f(v + h) - f(v - h)) - (f(v + 2 * h) - f(v - 2 * h))) / (12 * h);
          // A steep or far place of which float64 differences know little is left out.
          if (!Number.isFinite(exact) || Math.abs(exact) > 1e30) return;
          const size =
            Math.abs(row.logProb(p.x, p.params)) + conditioning(row, p, discrete) + (row.slack?.(p.x, p.params) ?? 0);
          const lost = (1e-5 + 1e-5 * size) / Math.max(Math.abs(v), 1e-30);
          expect(Math.abs(found - exact), `at ${JSON.stringify(p)}: ${found}, not ${exact}`).toBeLessThanOrEqual(
            1e-4 * Math.abs(exact) + lost,
          );
        };
        ps.forEach((p, n) => {
          for (const i of row.smooth) {
            const f = (v: number) =>
              row.logProb(
                p.x,
                p.params.map((q, j) => (i === j ? v : q)),
              );
            check(p, gradients[i + 1]?.[n] as number, f, p.params[i] as number);
          }
          if (!discrete) check(p, gradients[0]?.[n] as number, (v) => row.logProb(v, p.params), p.x, row.end);
        });
      }),
      { numRuns: 15 },
    );
  });

  it.each(stored.moments)("draws follow it, with the moments it states: %j", (params, exactMean, exactVariance) => {
    const { draws, mean, variance, inside } = scope(() => {
      const d = build(params);
      const sample = d.sample(rootKey(11), [DRAWS]);
      return {
        draws: sample.dataSync() as Float32Array,
        mean: d.mean().dataSync()[0] as number,
        variance: d.variance().dataSync()[0] as number,
        inside: tf.min(tf.cast(d.support.check(sample), "int32")).dataSync()[0],
      };
    });
    expect(inside).toBe(1);
    if (row.cdf !== undefined) {
      expectFollows(draws, (x) => row.cdf?.(x, params) as number, row.name);
    } else {
      const cells = Math.max(...draws) + 1;
      const probabilities = Array.from({ length: cells + 1 }, (_, k) => row.pmf?.(k, params) as number);
      expectCounts(tally(draws, cells + 1), probabilities, row.name);
    }
    const exact = { mean: exactMean as number, variance: exactVariance as number };
    expect(Math.abs(mean - exact.mean)).toBeLessThanOrEqual(1e-5 * (Math.abs(exact.mean) + Math.sqrt(exact.variance)));
    expect(Math.abs(variance / exact.variance - 1)).toBeLessThanOrEqual(1e-5);
    expectMean(draws, exact.mean, { what: `${row.name} mean`, detects: 0.1 * Math.sqrt(exact.variance) });
  });

  it("has the entropy that its density integrates to, or says that there is no closed form", () => {
    for (const [params, , , entropy] of stored.moments) {
      const found = () => scope(() => build(params).entropy().dataSync()[0]);
      if (row.refusesEntropy) expect(found).toThrow(/its entropy has no closed form/);
      else expect(found()).toBeCloseTo(entropy, 5);
    }
  });

  it("keeps the first draws when more are asked for, and leaves nothing behind", () => {
    const before = tf.memory().numTensors;
    const params = row.sampled[0] as readonly number[];
    const [all, cut] = scope(() => {
      const d = row.build(params.map((p) => tf.tensor1d([p, p])));
      const tail = d.sample(rootKey(3), [4], 3).dataSync();
      return [[...d.sample(rootKey(3), [7]).dataSync()].slice(6), [...tail]];
    }) as [number[], number[]];
    expect(cut).toEqual(all);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("implicit reparameterisation", () => {
  it.each(["gamma", "inverseGamma"])("of %s moves a draw so that its distribution function stays put", (name) => {
    const row = rows.find((r) => r.name === name) as Row;
    const cdf = row.cdf as NonNullable<Row["cdf"]>;
    for (const params of row.sampled) {
      const n = 40;
      const { draws, slopes } = scope(() => {
        const f = (...args: tf.Tensor[]) => row.build(args).sample(rootKey(5), []);
        const filled = params.map((p) => tf.fill([n], p));
        const gradients = tf.grads((...args: tf.Tensor[]) => tf.sum(f(...args)))(filled);
        return { draws: f(...filled).dataSync(), slopes: gradients.map((g) => g.dataSync()) };
      });
      params.forEach((p, i) => {
        for (let j = 0; j < n; j++) {
          const x = draws[j] as number;
          const F = (v: number) =>
            cdf(
              x,
              params.map((q, m) => (m === i ? v : q)),
            );
          const h = 1e-4 * p;
          // dx/dθ = −(∂F/∂θ)/f.
          const exact = -(F(p + h) - F(p - h)) / (2 * h) / Math.exp(row.logProb(x, params));
          expect(Math.abs((slopes[i]?.[j] as number) / exact - 1), `${name} ${params} at ${x}`).toBeLessThan(1e-3);
        }
      });
    }
  });

  /** ∂E[h(x)]/∂θ by the mean of ∂h(x)/∂θ over draws. */
  const slopes = (draw: (theta: tf.Tensor) => tf.Tensor, theta: number) =>
    scope(() =>
      tf
        .grad((t: tf.Tensor) => tf.sum(draw(t)))(tf.fill([DRAWS], theta))
        .dataSync(),
    );

  it("of beta, Dirichlet and Student's t gives the derivatives of moments", () => {
    const key = rootKey(8);
    const [a, b] = [1.5, 2.5];
    // E x = a/(a + b); E x² = a(a + 1)/((a + b)(a + b + 1)).
    expectMean(
      slopes((t) => beta(t, b).sample(key), a),
      b / (a + b) ** 2,
      { what: "beta, a", detects: 0.01 },
    );
    expectMean(
      slopes((t) => beta(a, t).sample(key), b),
      -a / (a + b) ** 2,
      { what: "beta, b", detects: 0.01 },
    );
    const second = (a: number) => (a * (a + 1)) / ((a + b) * (a + b + 1));
    const slope = (second(a + 1e-5) - second(a - 1e-5)) / 2e-5;
    expectMean(
      slopes((t) => tf.square(beta(t, b).sample(key)), a),
      slope,
      { what: "beta, a, x²", detects: 0.01 },
    );
    const first = (t: tf.Tensor) =>
      tf.slice(dirichlet(tf.stack([t, tf.fill([DRAWS], 2), tf.fill([DRAWS], 0.7)], 1)).sample(key), [0, 0], [-1, 1]);
    expectMean(slopes(first, 1.2), 2.7 / 3.9 ** 2, { what: "dirichlet", detects: 0.01 });
    // E (x − loc)² = scale² ν/(ν − 2).
    const square = (t: tf.Tensor) => tf.square(studentT(t, 0, 2).sample(key));
    expectMean(slopes(square, 20), (-2 * 4) / 18 ** 2, { what: "Student's t, df", detects: 0.02 });
  });
});
