/** Ten million particles of a two-dimensional tilt: seconds, and the memory of the process. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { infer, model, sample, snis, tilt } from "tilted";
import { normal } from "tilted/dist";

const base = model(function* () {
  return yield* sample("x", normal(tf.zeros([2]), 1).event(1));
});
const tilted = pipe(
  base,
  tilt("x", (x) => tf.mul(0.5, tf.sum(tf.square(x), -1))),
);

console.log("particles     seconds   peak MiB   log Z (exact −0.6931)   ESS/n (exact .75)");
for (const n of [10_000, 100_000, 1_000_000, 10_000_000]) {
  const began = performance.now();
  const { logEvidence, essRatio } = await infer(tilted, snis(n), { seed: 1 });
  const seconds = (performance.now() - began) / 1000;
  const peak = process.resourceUsage().maxRSS / 1024;
  console.log(
    `${String(n).padStart(9)} ${seconds.toFixed(2).padStart(11)} ${peak.toFixed(0).padStart(10)}   ${logEvidence.value.toFixed(4).padStart(9)}               ${essRatio.toFixed(4)}`,
  );
}
