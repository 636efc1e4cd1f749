/** Outputs by resampling, in its two ways. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { infer, model, sample, snisOutputs, tilt } from "tilted";
import { normal } from "tilted/dist";
import { beforeAll, describe, expect, it } from "vitest";
import { useEngine } from "../../../src/engine/engine.ts";
import { expectEstimate, meanOf } from "../../support/statistics.ts";

beforeAll(() => useEngine("wasm"));

describe("outputs by resampling", () => {
  const base = model(function* () {
    yield* sample("x", normal(0, 1));
  });
  const tilted = pipe(
    base,
    tilt("x", (x) => tf.neg(x)),
  );

  it("from fresh proposals are independent and follow N(1, 1), the tilt of N(0, 1) by −x", async () => {
    const out = await infer(tilted, snisOutputs(4000, { proposals: 64 }), { seed: 1 });
    expect(out.scheme).toBe("fresh proposals for each output");
    expect(out.distinct).toBe(4000);
    // SNIS of 64 has the bias −e/64 of the exact formula, −b e^{b²}/n at b = 1.
    const estimate = meanOf(out.sites.x.data);
    expectEstimate(estimate, 1 - Math.E / 64, { detects: 0.2 });
    expect(out.warnings).toEqual([]);
    // E e^x = √e.
    const { lower, upper } = out.evidence as NonNullable<typeof out.evidence>;
    expect(lower.of).toBe("log Z");
    expect(Math.abs(lower.value - 0.5)).toBeLessThan(6 * lower.standardError);
    expect(upper.value).toBeGreaterThanOrEqual(lower.value);
  });

  it("from one pool repeat, and say so", async () => {
    const out = await infer(tilted, snisOutputs(400, { from: "pool", proposals: 500 }), { seed: 2 });
    expect(out.scheme).toBe("one pool");
    expect(out.distinct).toBeLessThan(400);
    expect(out.trusted).toBe(false);
    expect(out.warnings.join()).toMatch(/not independent/);
  });

  it("in 784 dimensions the weights collapse, and the result says so", async () => {
    const wide = model(function* () {
      yield* sample("x", normal(tf.zeros([784]), 1).event(1));
    });
    const out = await infer(
      pipe(
        wide,
        tilt("x", (x) => tf.mul(0.5, tf.sum(tf.square(x), -1))),
      ),
      snisOutputs(16),
      { seed: 3 },
    );
    expect(out.essPerOutput).toBeLessThan(2);
    expect(out.trusted).toBe(false);
    expect(out.warnings.join()).toMatch(/collapsed/);
  });
});
