/**
 * Densities of the plane as tilts of N(0, I): `npm run bench -- data-tilt [--steps 6000] [--only rings]`. The energy is fitted by
 * SNIS maximum likelihood on fresh draws of the target; log Z comes from a grid, so that the log-likelihood is exact up to the
 * held-out points on which it is taken; KL, from the exact density of the same points, is free of their noise.
 */
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { fitTilt, fold, infer, type Key, logDensities, model, ndarray, rootKey, sample, snis, tilt } from "tilted";
import { checkerboard, nineGaussians, type PlaneDensity, twoRings } from "tilted/data";
import { normal } from "tilted/dist";
import { energy } from "tilted/models";
import { adam, cosineDecay } from "tilted/optim";
import { snisLikelihood } from "tilted/tilt";

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "6000" },
    width: { type: "string", default: "128" },
    layers: { type: "string", default: "3" },
    rate: { type: "string", default: "0.005" },
    batch: { type: "string", default: "1024" },
    only: { type: "string", default: "" },
    seed: { type: "string", default: "1" },
  },
});
const [steps, width, layers] = [values.steps, values.width, values.layers].map(Number) as [number, number, number];
const seed = Number(values.seed);

/** K of the SNIS objective: base draws behind one estimate of log Z. */
const K = 1024;
/** Points for training and for testing. */
const POINTS = 100_000;
const HELD_OUT = 50_000;
/** The grid for log Z: midpoints of [−SIDE, SIDE]². */
const SIDE = 6;
const CELLS = 600;

const base = model(function* () {
  return yield* sample("x", normal(tf.zeros([2]), 1).event(1));
});
const drawn = (density: PlaneDensity, key: Key, n: number) => ndarray(density.sample(key, n).points, [n, 2]);
const grid = (() => {
  const at = (i: number) => -SIDE + ((i + 0.5) * 2 * SIDE) / CELLS;
  const data = new Float32Array(2 * CELLS * CELLS);
  for (let i = 0; i < CELLS * CELLS; i++) data.set([at(i % CELLS), at(Math.floor(i / CELLS))], 2 * i);
  return ndarray(data, [CELLS * CELLS, 2]);
})();
const mean = (xs: ArrayLike<number>) => Array.from(xs).reduce((s, x) => s + x, 0) / xs.length;
const logSum = (xs: ArrayLike<number>) => {
  let top = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < xs.length; i++) top = Math.max(top, xs[i] as number);
  let sum = 0;
  for (let i = 0; i < xs.length; i++) sum += Math.exp((xs[i] as number) - top);
  return top + Math.log(sum);
};

console.log(
  `energy ${Array(layers).fill(width).join("-")}, ${steps} steps, K = ${K}; nats per point, on ${HELD_OUT} held-out points`,
);
console.log(
  "density            N(0,I)   ceiling   fitted      gap       KL   grid log Z   estimated log Z    ESS/n   seconds",
);
const densities = [
  { density: nineGaussians(), ceiling: -0.43 },
  { density: twoRings(), ceiling: -1.514 },
  { density: checkerboard(), ceiling: -2.079 },
].filter(({ density }) => density.name.includes(values.only));
for (const { density, ceiling } of densities) {
  const began = performance.now();
  const target = drawn(density, fold(rootKey(seed), "train"), POINTS);
  const test = drawn(density, fold(rootKey(seed), "test"), HELD_OUT);
  const learn = fitTilt("x", energy(2, { hidden: Array<number>(layers).fill(width) }), target, {
    objective: snisLikelihood(),
    optimizer: adam(cosineDecay({ from: Number(values.rate), steps })),
    steps,
    batch: Number(values.batch),
    negatives: K,
    holdout: 0.02,
    every: 250,
  });
  const fit = await infer(base, learn, { seed });
  const tilted = pipe(base, tilt("x", fit.energy));
  // Conditioned on x, the tilted model's density is log p(x) − E(x), without the normaliser.
  const log = (x: typeof grid) => logDensities(tilted, { x }, { params: fit.params }).data;
  const logZ = logSum(log(grid)) + 2 * Math.log((2 * SIDE) / CELLS);
  const fitted = mean(log(test)) - logZ;
  const plain = mean(logDensities(base, { x: test }).data);
  const { essRatio } = await infer(tilted, snis(100_000), { params: fit.params, seed: seed + 1 });
  const { lower, upper } = fit.logZ;
  const cells = [
    density.name.padEnd(16),
    plain.toFixed(3).padStart(9),
    ceiling.toFixed(3).padStart(10),
    fitted.toFixed(3).padStart(9),
    (ceiling - fitted).toFixed(3).padStart(9),
    (mean(density.logDensity(test.data)) - fitted).toFixed(3).padStart(9),
    logZ.toFixed(3).padStart(13),
    `${lower.value.toFixed(3)}…${upper.value.toFixed(3)}`.padStart(18),
    essRatio.toFixed(3).padStart(9),
    ((performance.now() - began) / 1000).toFixed(0).padStart(10),
  ];
  console.log(cells.join(""));
}
