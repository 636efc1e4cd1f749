/** Fits of a tilt that run away: stopped, with the last good parameters and a message; clipped gradients; base draws too few. */
import * as tf from "@tensorflow/tfjs-core";
import { fitTilt, fold, infer, model, ndarray, param, rootKey, sample } from "tilted";
import { normal } from "tilted/dist";
import { piecewise, sgd } from "tilted/optim";
import { selfNormalized, snisLikelihood } from "tilted/tilt";
import { describe, expect, it } from "vitest";
import { normal as draws } from "../../../src/core/random/draws.ts";

const base = model(function* () {
  yield* sample("x", normal(0, 1));
});
const line = function* (x: tf.Tensor) {
  return tf.add(tf.mul(yield* param("slope", 0), x), yield* param("shift", 0));
};
/** N(1, 1), for which E = ½ − x. */
const target = ndarray(draws(fold(rootKey(1), "target"), 4000).map((z) => z + 1));
/** A step that is fine for 200 steps, and then is not. */
const EXPLODES = piecewise([
  [0, 0.1],
  [200, 1e4],
]);

describe("a fit that explodes", () => {
  it.each([
    ["with held-out rows", 0.2],
    ["without", 0],
  ] as const)("%s: ends with the last good energy and says what happened", async (_, holdout) => {
    const options = { objective: selfNormalized(), optimizer: sgd(EXPLODES), steps: 1000, holdout };
    const fit = await infer(base, fitTilt("x", line, target, options), { seed: 1 });
    expect(fit.stopped).toBe("diverged");
    expect(fit.warnings[0]).toMatch(
      /fitTilt diverged at step 2\d\d: .*(loss|gradient).*; the parameters kept are those after step \d+/,
    );
    expect(fit.steps).toBeLessThanOrEqual(200);
    expect(Math.abs((fit.params.slope?.data[0] as number) + 1)).toBeLessThan(0.2);
    expect(Math.abs(fit.logZ.lower.value)).toBeLessThan(0.2);
  });

  it("before the first validation there is nothing to go back to: an error", async () => {
    const options = { objective: selfNormalized(), optimizer: sgd(1e6), steps: 100 };
    await expect(infer(base, fitTilt("x", line, target, options), { seed: 1 })).rejects.toMatchObject({
      code: "non-finite",
    });
  });

  it("does not with clipped gradients", async () => {
    const bold = piecewise([
      [0, 0.1],
      [200, 20],
    ]);
    const options = { objective: selfNormalized(), optimizer: sgd(bold), steps: 400 };
    const free = await infer(base, fitTilt("x", line, target, options), { seed: 1 });
    expect(free.stopped).toBe("diverged");
    const fit = await infer(base, fitTilt("x", line, target, { ...options, clip: { norm: 0.002 } }), { seed: 1 });
    expect(fit.stopped).toBe("finished");
    expect(fit.warnings).toEqual([]);
  });
});

it("warns when base draws are too few for the tilt", async () => {
  const away = ndarray(draws(fold(rootKey(1), "away"), 2000).map((z) => z + 6));
  const options = { objective: snisLikelihood(), optimizer: sgd(0.05), steps: 800 };
  const fit = await infer(base, fitTilt("x", line, away, options), { seed: 1 });
  expect(fit.warnings).toHaveLength(1);
  expect(fit.warnings[0]).toContain("of the weight");
});
