/** A density of the plane learned as a tilt of N(0, I), by SNIS maximum likelihood with K = 1024: its likelihood against the ceiling. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { fitTilt, fold, infer, logDensities, model, ndarray, rootKey, sample, tilt } from "tilted";
import { twoRings } from "tilted/data";
import { normal } from "tilted/dist";
import { energy } from "tilted/models";
import { adam, cosineDecay } from "tilted/optim";
import { snisLikelihood } from "tilted/tilt";
import { expect, it } from "vitest";

const CEILING = -1.514;
/** Nats for which `bench/data-tilt.ts` trains ten times as long. */
const GOAL = 0.05;
/** Midpoints of a grid over [−SIDE, SIDE]², beyond which N(0, I) holds nothing. */
const [SIDE, CELLS] = [5, 250];

const base = model(function* () {
  return yield* sample("x", normal(tf.zeros([2]), 1).event(1));
});
const mean = (xs: ArrayLike<number>) => Array.from(xs).reduce((s, x) => s + x, 0) / xs.length;

it("two rings: within .05 nats of the ceiling, log Z by a grid", async () => {
  const density = twoRings();
  const drawn = (name: string, n: number) => ndarray(density.sample(fold(rootKey(1), name), n).points, [n, 2]);
  const steps = 800;
  const learn = fitTilt("x", energy(2, { hidden: [64, 64] }), drawn("train", 50_000), {
    objective: snisLikelihood(),
    optimizer: adam(cosineDecay({ from: 0.01, steps })),
    steps,
    batch: 512,
    negatives: 1024,
    holdout: 0,
  });
  const { energy: fitted, params, logZ } = await infer(base, learn, { seed: 1 });
  const log = (x: ReturnType<typeof drawn>) => logDensities(pipe(base, tilt("x", fitted)), { x }, { params }).data;
  const at = (i: number) => -SIDE + ((i + 0.5) * 2 * SIDE) / CELLS;
  const points = Float32Array.from({ length: 2 * CELLS ** 2 }, (_, i) =>
    at(i % 2 === 0 ? (i >> 1) % CELLS : Math.floor((i >> 1) / CELLS)),
  );
  const grid = Array.from(log(ndarray(points, [CELLS ** 2, 2])));
  const top = grid.reduce((a, b) => Math.max(a, b));
  const exact = top + Math.log(grid.reduce((s, v) => s + Math.exp(v - top), 0)) + 2 * Math.log((2 * SIDE) / CELLS);
  const test = drawn("test", 20_000);
  const likelihood = mean(log(test)) - exact;
  expect(likelihood).toBeGreaterThan(CEILING - GOAL);
  // Nothing can beat the density itself on its own points, but for their noise.
  expect(likelihood).toBeLessThan(mean(density.logDensity(test.data)) + 0.01);
  expect(Math.abs(logZ.lower.value - exact)).toBeLessThan(6 * logZ.lower.standardError);
});
