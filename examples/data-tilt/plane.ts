/**
 * The plane: nine Gaussians, two rings and a checkerboard as tilts of N(0, I) by an energy of two small layers. Every answer is known: the
 * entropy of each density is the ceiling of the log-likelihood, and log Z comes from a grid.
 */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import {
  fitTilt,
  fold,
  infer,
  langevin,
  logDensities,
  model,
  type NdArray,
  ndarray,
  progressBar,
  rootKey,
  sample,
  snisOutputs,
  tilt,
} from "tilted";
import { checkerboard, nineGaussians, twoRings } from "tilted/data";
import { normal } from "tilted/dist";
import { energy } from "tilted/models";
import { silu, tanh } from "tilted/nn";
import { adam, cosineDecay } from "tilted/optim";
import { boundsOf, energySurface, evaluateGrid, type Figure, samplesOverlay } from "tilted/plot";
import { snisLikelihood } from "tilted/tilt";

/** Base draws behind one estimate of log Z in training, and proposals behind one output. */
const K = 1024;
const TRAINING = 200_000;
const HELD_OUT = 20_000;
const SHOWN = 1500;
/** Sides of the square over which log Z is integrated, and its cells. */
const SIDE = 5;
const CELLS = 500;
/** A checkerboard has edges, which a small smooth network learns last: it takes a few more units of the steeper kind, larger steps and more of them. */
const DENSITIES = [
  {
    density: nineGaussians(),
    widths: [20, 20],
    ceiling: -0.43,
    steps: 4000,
    rate: 1e-2,
    activation: silu,
    name: "nine-gaussians",
  },
  { density: twoRings(), widths: [20, 20], ceiling: -1.514, steps: 4000, rate: 1e-2, activation: silu, name: "rings" },
  {
    density: checkerboard(),
    widths: [32, 32],
    ceiling: -2.079,
    steps: 20_000,
    rate: 5e-2,
    activation: tanh,
    name: "checkerboard",
  },
];

const base = model(function* () {
  return yield* sample("x", normal(tf.zeros([2]), 1).event(1));
});
const points = (data: Float32Array): NdArray => ndarray(data, [data.length / 2, 2]);
const AXES = { xLabel: "x₁", yLabel: "x₂" };
const nats = (value: number) => value.toFixed(3).replace("-", "−");
const mean = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0) / values.length;

export async function plane(save: (name: string, figure: Figure) => Promise<void>): Promise<void> {
  console.log(`\nThe plane: N(0, I) tilted by an energy of two layers, K = ${K}; nats per point`);
  console.log("density          layers  ceiling  held out    gap   log Z: grid   between            ESS/n");
  for (const { density, widths, ceiling, steps, rate, activation, name } of DENSITIES) {
    const key = rootKey(name);
    const target = points(density.sample(fold(key, "training"), TRAINING).points);
    const test = points(density.sample(fold(key, "held out"), HELD_OUT).points);
    const learn = fitTilt("x", energy(2, { hidden: widths, activation }), target, {
      objective: snisLikelihood(),
      optimizer: adam(cosineDecay({ from: rate, steps })),
      steps,
      batch: K,
      negatives: K,
      holdout: 0,
      every: 500,
    });
    const fit = await infer(base, learn, { seed: 1, onProgress: progressBar() });
    const tilted = pipe(base, tilt("x", fit.energy));
    // Conditioned on x, the model's density is log p(x) − E(x), which is log p_E(x) + log Z.
    const unnormalised = (x: NdArray) => logDensities(tilted, { x }, { params: fit.params }).data;
    const cell = (2 * SIDE) / CELLS;
    const square = { x: [-SIDE, SIDE] as const, y: [-SIDE, SIDE] as const };
    const { values } = evaluateGrid(square, (at) => unnormalised(points(at)) as Float32Array, CELLS);
    const logs = Array.from(values);
    const top = logs.reduce((a, b) => Math.max(a, b));
    const logZ = top + Math.log(logs.reduce((s, v) => s + Math.exp(v - top), 0) * cell * cell);
    const heldOut = mean(unnormalised(test)) - logZ;
    const { lower, upper } = fit.logZ;
    console.log(
      `${density.name.padEnd(16)} ${widths.join("-").padEnd(6)}  ${ceiling.toFixed(3)}   ${heldOut.toFixed(3)}   ${(ceiling - heldOut).toFixed(3)}   ${logZ.toFixed(3).padStart(8)}   ${lower.value.toFixed(3)} … ${upper.value.toFixed(3)} (± ${lower.standardError.toFixed(3)})   ${fit.essRatio.toFixed(3)}`,
    );

    const outputs = await infer(tilted, snisOutputs(SHOWN, { proposals: K }), { params: fit.params, seed: 2 });
    const chains = await infer(tilted, langevin({ chains: 150, steps: 3000, thin: 60, stepSize: 0.01, jumpEvery: 2 }), {
      params: fit.params,
      seed: 3,
    });
    console.log(
      `  SNIS, ${outputs.scheme}: worth ${outputs.essPerOutput.toFixed(0)} of ${outputs.proposals}; MALA in x: R-hat ${chains.rhat.toFixed(3)}, acceptance ${chains.acceptance.toFixed(2)}, jumps ${chains.jumpAcceptance?.toFixed(2)}`,
    );
    for (const warning of [...outputs.warnings, ...chains.warnings]) console.log(`    warning: ${warning}`);
    const bounds = boundsOf([test.data as Float32Array]);
    await save(
      `${name}-density`,
      energySurface({
        title: `${density.name}: log p_E(x) = −E(x) + log p(x) − log Z`,
        subtitle: `${nats(heldOut)} nats per held-out point; the density itself has ${nats(ceiling)}`,
        ...AXES,
        grid: evaluateGrid(bounds, (at) => (unnormalised(points(at)) as Float32Array).map((v) => v - logZ), 160),
        depth: 6,
        valueLabel: "log p_E, nats",
      }),
    );
    await save(
      `${name}-draws`,
      samplesOverlay({
        title: `${density.name}: draws of the tilt`,
        subtitle: `importance resampling, ${K} fresh proposals for each output; MALA in x, 150 chains`,
        bounds,
        ...AXES,
        clouds: [
          { name: "importance resampling", points: outputs.sites.x.data as Float32Array },
          { name: "MALA", points: chains.sites.x.data as Float32Array },
        ],
      }),
    );
  }
}
