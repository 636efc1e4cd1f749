/** A density of the plane as a tilt of N(0, I): its fit, and the exact log-likelihood, with log Z from a grid. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import {
  fitTilt,
  fold,
  infer,
  logDensities,
  model,
  type NdArray,
  ndarray,
  rootKey,
  sample,
  type TiltFit,
  tilt,
} from "tilted";
import type { PlaneDensity } from "tilted/data";
import { normal } from "tilted/dist";
import { energy } from "tilted/models";
import type { Activation } from "tilted/nn";
import { adam, cosineDecay } from "tilted/optim";
import { snisLikelihood } from "tilted/tilt";

const K = 1024;
const TRAINING = 200_000;
const HELD_OUT = 20_000;
const SIDE = 5;
const CELLS = 500;

export interface PlaneFit {
  readonly fit: TiltFit;
  /** log Z by integration over a grid. */
  readonly logZ: number;
  /** E_q[log p_E] on held-out points, less E_q[log q] on the same ones: −KL(q ‖ p_E), free of the noise of the points' entropy. */
  readonly gap: number;
}

const base = model(function* () {
  return yield* sample("x", normal(tf.zeros([2]), 1).event(1));
});
const points = (data: Float32Array): NdArray => ndarray(data, [data.length / 2, 2]);

/** An energy of two layers, of 20 unless told, by SNIS maximum likelihood with K = 1024. */
export async function fitPlane(
  density: PlaneDensity,
  how: {
    readonly steps: number;
    readonly rate: number;
    readonly activation: Activation;
    readonly hidden?: readonly number[];
  },
): Promise<PlaneFit> {
  const { steps, rate, activation, hidden = [20, 20] } = how;
  const key = rootKey(density.name);
  const test = density.sample(fold(key, "held out"), HELD_OUT).points;
  const fit = await infer(
    base,
    fitTilt("x", energy(2, { hidden, activation }), points(density.sample(fold(key, "training"), TRAINING).points), {
      objective: snisLikelihood(),
      optimizer: adam(cosineDecay({ from: rate, steps })),
      steps,
      batch: K,
      negatives: K,
      holdout: 0,
      every: 500,
    }),
    { seed: 1 },
  );
  const tilted = pipe(base, tilt("x", fit.energy));
  const unnormalised = (x: Float32Array) =>
    Array.from(logDensities(tilted, { x: points(x) }, { params: fit.params }).data);
  const cell = (2 * SIDE) / CELLS;
  const grid = Float32Array.from({ length: 2 * CELLS * CELLS }, (_, i) => {
    const at = i % 2 === 0 ? Math.floor(i / 2) % CELLS : Math.floor(i / 2 / CELLS);
    return -SIDE + (at + 0.5) * cell;
  });
  const logs = unnormalised(grid);
  const top = logs.reduce((a, b) => Math.max(a, b));
  const logZ = top + Math.log(logs.reduce((s, v) => s + Math.exp(v - top), 0) * cell ** 2);
  const exact = density.logDensity(test);
  const gap = unnormalised(test).reduce((s, v, i) => s + (exact[i] as number) - (v - logZ), 0) / HELD_OUT;
  return { fit, logZ, gap };
}
