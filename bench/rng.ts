/**
 * A million standard normal draws, `tf.randomNormal` against `normal(0, 1).sample`, both as tensors on the wasm engine.
 *
 * `tsx bench/rng.ts [rounds]` prints the median milliseconds of each, taking turns, and their ratio.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fold, rootKey, tensorScope, useEngine } from "tilted";
import { normal } from "tilted/dist";
import { median } from "./statistics.ts";

const COUNT = 1_000_000;
const WARM_UP = 3;
const rounds = Number(process.argv[2] ?? 21);
await useEngine("wasm");

const milliseconds = (run: () => tf.Tensor): number =>
  tensorScope(() => {
    const start = performance.now();
    run().dataSync();
    return performance.now() - start;
  });

const key = rootKey(1);
const [theirs, ours]: [number[], number[]] = [[], []];
for (let round = -WARM_UP; round < rounds; round++) {
  const a = milliseconds(() => tf.randomNormal([COUNT], 0, 1, "float32", round));
  const b = milliseconds(() => normal(0, 1).sample(fold(key, round + WARM_UP), [COUNT]));
  if (round < 0) continue;
  theirs.push(a);
  ours.push(b);
}
const [slow, fast] = [median(theirs), median(ours)];
console.log(
  `tf.randomNormal ${slow.toFixed(1)} ms, tilted ${fast.toFixed(1)} ms, ${(slow / fast).toFixed(1)} times as fast`,
);
