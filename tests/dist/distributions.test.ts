/** Every family of real values against its row of the table. */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { rootKey } from "../../src/core/key.ts";
import { scope } from "../../src/core/scope.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { distributionValues } from "../support/fixtures.ts";
import { expectFollows } from "../support/goodness.ts";
import { LARGEST, realRows } from "./rows-real.ts";

beforeAll(() => useEngine("wasm"));

/** Half a unit in the last place of 1, in float32. */
const ROUNDING = 2 ** -24;
/** Log-densities and gradients: so many roundings of the terms that a formula adds. */
const ROUNDINGS = 8;
const DRAWS = 20_000;

type Point = { readonly params: readonly number[]; readonly x: number };

const columns = (points: readonly Point[]): tf.Tensor[] =>
  (points[0] as Point).params.map((_, i) => tf.tensor1d(points.map((p) => p.params[i] as number)));
const values = (points: readonly Point[]): tf.Tensor => tf.tensor1d(points.map((p) => p.x));

describe.each(realRows.map((r) => ({ ...r, sampled: r.sampled.map((p) => p.map(Math.fround)) })))("$name", (row) => {
  const scalars = (params: readonly number[]) => params.map((p) => tf.scalar(p));
  const many = (arbitrary: fc.Arbitrary<Point>, maxLength: number) =>
    fc.array(arbitrary, { minLength: 1, maxLength, size: "max" });
  const { points, moments } = distributionValues(row.name);
  const representable = row.point.filter((p) => row.size(p.x, p.params) < LARGEST);

  const expectDensities = (points: readonly Point[], exact: (i: number) => number) => {
    const found = scope(() => row.build(columns(points)).logProb(values(points)).dataSync());
    points.forEach((p, i) => {
      expect(
        Math.abs((found[i] as number) - exact(i)),
        `at ${JSON.stringify(p)}: ${found[i]}, not ${exact(i)}`,
      ).toBeLessThanOrEqual(ROUNDINGS * ROUNDING * row.size(p.x, p.params));
    });
  };

  it("has the log-density of an independent implementation", () => {
    fc.assert(
      fc.property(many(representable, 200), (points) => {
        const exact = points.map((p) => row.logProb(p.x, p.params));
        expectDensities(points, (i) => exact[i] as number);
      }),
      { numRuns: row.name === "truncatedNormal" ? 5 : 25 },
    );
  });

  it("has the log-density of arbitrary precision at extremes", () => {
    expectDensities(
      points.map(([params, x]) => ({ params, x })),
      (i) => points[i]?.[2] as number,
    );
  });

  it.each(row.sampled.map((params) => [params]))("draws follow it, with the moments it states: %j", (params) => {
    const { draws, inside } = scope(() => {
      const d = row.build(scalars(params));
      const sample = d.sample(rootKey(11), [DRAWS]);
      return {
        draws: sample.dataSync() as Float32Array,
        inside: tf.min(tf.cast(d.support.check(sample), "int32")).dataSync()[0],
      };
    });
    expect(inside).toBe(1);
    expectFollows(draws, (x) => row.cdf(x, params), row.name);
  });

  it("has the mean, variance and entropy that its density integrates to, or says that there is none", () => {
    for (const [params, mean, variance, entropy] of moments) {
      const of = (what: "mean" | "variance" | "entropy") =>
        scope(() => row.build(scalars(params))[what]().dataSync()[0]) as number;
      expect(Math.abs(of("entropy") - entropy)).toBeLessThan(1e-6 * row.size(mean || 1, params));
      if (mean === null || variance === null) {
        for (const what of ["mean", "variance"] as const) {
          expect(() => of(what)).toThrow(new RegExp(`^${row.name}: its ${what} has no closed form`));
        }
      } else {
        expect(Math.abs(of("mean") - mean)).toBeLessThanOrEqual(1e-6 * (Math.abs(mean) + Math.sqrt(variance)));
        expect(Math.abs(of("variance") / variance - 1)).toBeLessThanOrEqual(2e-6);
      }
    }
  });

  /** Numbers of which float32 and differences of the float64 reference both know the slope. */
  const tame = row.point.filter(
    ({ params, x }) =>
      row.size(x, params) < 1000 &&
      [x, ...params].every((v) => v === 0 || (Math.abs(v) > 1e-6 && Math.abs(v) < 1e6)) &&
      // Differences see both sides of a kink.
      !(row.name === "laplace" && Math.abs(x - (params[0] as number)) < 0.01 * (params[1] as number)),
  );

  it("has its gradient in value and parameters", () => {
    fc.assert(
      fc.property(many(tame, 50), (points) => {
        const [byValue, ...byParams] = scope(() =>
          tf
            .grads((...args: tf.Tensor[]) => tf.sum(row.build(args.slice(1)).logProb(args[0] as tf.Tensor)))([
              values(points),
              ...columns(points),
            ])
            .map((g) => g.dataSync()),
        );
        points.forEach((p, n) => {
          const unit = row.unit(p.x, p.params);
          const check = (found: number | undefined, f: (h: number) => number, u: number) =>
            expectSlope(found, f, u, (ROUNDINGS * ROUNDING * row.size(p.x, p.params)) / u, p);
          check(byValue?.[n], (h) => row.logProb(p.x + h, p.params), unit.x);
          for (const i of row.smooth) {
            check(byParams[i]?.[n], (h) => row.logProb(p.x, moved(p.params, i, h)), unit.params[i] as number);
          }
        });
      }),
      { numRuns: row.name === "truncatedNormal" ? 4 : 15 },
    );
  });

  it("has draws that move with the parameters so that their distribution function stays put", () => {
    const n = 50;
    for (const params of row.sampled) {
      const { draws, slopes } = scope(() => {
        const filled = params.map((p) => tf.fill([n], p));
        const f = (...args: tf.Tensor[]) => row.build(args).sample(rootKey(5));
        return {
          draws: [...f(...filled).dataSync()],
          slopes: tf
            .grads((...args: tf.Tensor[]) => tf.sum(f(...args)))(filled)
            .map((g) => g.dataSync()),
        };
      });
      for (const i of row.smooth) {
        draws.forEach((x, j) => {
          // dx/dθ = −(∂F/∂θ)/p(x).
          const density = Math.exp(row.logProb(x, params));
          const unit = row.unit(x, params);
          const f = (h: number) => -row.cdf(x, moved(params, i, h)) / density;
          const theta = unit.params[i] as number;
          expectSlope(slopes[i]?.[j], f, theta, (1e-4 * unit.x) / theta, { x, params });
        });
      }
    }
  });
});

const moved = (params: readonly number[], i: number, h: number): readonly number[] =>
  params.map((p, j) => (i === j ? p + h : p));

/** A derivative against five-point differences of a float64 function. */
function expectSlope(
  found: number | undefined,
  f: (h: number) => number,
  unit: number,
  tolerance: number,
  where: Point,
): void {
  const h = 1e-3 * unit;
  const exact = (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
  const wrong = Math.abs((found as number) - exact);
  expect(wrong, `at ${JSON.stringify(where)}: ${found}, not ${exact}`).toBeLessThanOrEqual(
    tolerance + 1e-5 * Math.abs(exact),
  );
}
