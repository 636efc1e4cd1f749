/** Every family of real values against its row of the table. */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { rootKey } from "../../src/core/key.ts";
import { scope } from "../../src/core/scope.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { expectFollows } from "../support/goodness.ts";
import { expectMean } from "../support/statistics.ts";
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

describe.each(realRows)("$name", (row) => {
  const scalars = (params: readonly number[]) => params.map((p) => tf.scalar(p));
  const many = (arbitrary: fc.Arbitrary<Point>, maxLength: number) =>
    fc.array(arbitrary, { minLength: 1, maxLength, size: "max" });
  const representable = row.point.filter((p) => row.size(p.x, p.params) < LARGEST);

  it("has the log-density of an independent implementation", () => {
    fc.assert(
      fc.property(many(representable, 200), (points) => {
        const found = scope(() => row.build(columns(points)).logProb(values(points)).dataSync());
        points.forEach((p, i) => {
          const exact = row.logProb(p.x, p.params);
          expect(
            Math.abs((found[i] as number) - exact),
            `at ${JSON.stringify(p)}: ${found[i]}, not ${exact}`,
          ).toBeLessThanOrEqual(ROUNDINGS * ROUNDING * row.size(p.x, p.params));
        });
      }),
      { numRuns: row.name === "truncatedNormal" ? 5 : 25 },
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
    void expectMean;
  });
});
