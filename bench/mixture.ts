/**
 * The log-density of a mixture of thousands of diagonal normals with its gradient in the points, as one step of Langevin
 * dynamics over an aggregated posterior takes it: `tilted/dist` against the same formula in tfjs's ops, on the wasm engine.
 *
 * `tsx bench/mixture.ts [components] [rounds]` prints time and memory for many points; then the median milliseconds of each for few,
 * taking turns, and their ratio.
 */
import * as tf from "@tensorflow/tfjs-core";
import { ndarray, rootKey, tensorScope, useEngine } from "tilted";
import { mixtureSameFamily, normal } from "tilted/dist";
import { median } from "./statistics.ts";

const K = Number(process.argv[2] ?? 3000);
const ROUNDS = Number(process.argv[3] ?? 9);
const WARM_UP = 2;
await useEngine("wasm");

const draws = (name: string, shape: number[]) => {
  const data = tensorScope(() => Float32Array.from(normal(0, 1).sample(rootKey(name), shape).dataSync()));
  return { ...ndarray(data, shape), data };
};
/** The largest memory of the process so far, in MiB. */
const peak = (): number => process.resourceUsage().maxRSS / 1024;

/** Parameters of a mixture in d dimensions, and its log-density in two ways. */
function mixtureOf(d: number) {
  const loc = draws("loc", [K, d]);
  const scale = ndarray(
    draws("scale", [K, d]).data.map((z) => 0.1 * Math.exp(0.3 * z)),
    [K, d],
  );
  const ours = (x: tf.Tensor): tf.Tensor =>
    mixtureSameFamily(tf.fill([K], 1 / K), normal(loc, scale).event(1)).logProb(x);
  const composed = (x: tf.Tensor): tf.Tensor => {
    const z = tf.div(tf.sub(tf.expandDims(x, 1), loc.tensor()), scale.tensor());
    const constant = tf.add(tf.sum(tf.log(scale.tensor()), 1), (d / 2) * Math.log(2 * Math.PI) + Math.log(K));
    return tf.logSumExp(tf.sub(tf.mul(tf.sum(tf.square(z), 2), -0.5), constant), 1);
  };
  return { ours, composed };
}

const step = (logProb: (x: tf.Tensor) => tf.Tensor, points: tf.Tensor): number => {
  const start = performance.now();
  tensorScope(() =>
    tf
      .valueAndGrad((x: tf.Tensor) => tf.sum(logProb(x)))(points)
      .grad.dataSync(),
  );
  return performance.now() - start;
};

// Memory first: a peak never falls.
const plane = mixtureOf(2);
const before = peak();
for (const n of [10_000, 100_000]) {
  const time = tensorScope(() => step(plane.ours, draws("x", [n, 2]).tensor()));
  console.log(
    `${n} points × ${K} components in the plane, value and gradient: ${(time / 1000).toFixed(2)} s, peak ${Math.round(peak() - before)} MiB over the start`,
  );
}

for (const [n, d] of [
  [64, 2],
  [256, 2],
  [1000, 2],
  [256, 10],
] as const) {
  const { ours, composed } = mixtureOf(d);
  tensorScope(() => {
    const x = draws("x", [n, d]).tensor();
    const times = [composed, ours].map(() => [] as number[]);
    for (let round = -WARM_UP; round < ROUNDS; round++) {
      [composed, ours].forEach((logProb, i) => {
        const time = step(logProb, x);
        if (round >= 0) times[i]?.push(time);
      });
    }
    const [slow, fast] = times.map(median) as [number, number];
    console.log(
      `${n} points × ${K} components in ${d}-D: in ops ${slow.toFixed(1)} ms, tilted ${fast.toFixed(2)} ms, ${(slow / fast).toFixed(1)} times as fast`,
    );
  });
}
