/**
 * 2. A tilt whose answer is known. p = N(0, I) in d dimensions, E(x) = ½a|x|² − b·x₁: the tilt is a Gaussian again, and its
 * normaliser, its mean and the worth of a weighted draw have closed forms. Watch the last one fall with d.
 *
 *   npx tsx examples/02-gaussian-tilt.ts
 */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { infer, model, sample, snis, tilt } from "tilted";
import { normal } from "tilted/dist";

const [a, b, n] = [1, 0.5, 50_000];

console.log("  d    log Z (exact)        E[x₁] (exact)        ESS/n (exact)   Pareto k");
for (const d of [1, 2, 10, 50]) {
  const base = model(function* () {
    return yield* sample("x", normal(tf.zeros([d]), 1).event(1));
  });

  // The tilt is a handler: it puts factor(−E(x)) right after the site "x".
  const axis = Array.from({ length: d }, (_, i) => (i === 0 ? 1 : 0));
  const energy = (x: tf.Tensor) => tf.sum(tf.sub(tf.mul(a / 2, tf.square(x)), tf.mul(b, tf.mul(axis, x))), -1);
  const tilted = pipe(base, tilt("x", energy));

  // A factor leaves the target unnormalised; the evidence of this model *is* log Z, and its type says so.
  const draws = await infer(tilted, snis(n), { seed: 1 });
  const x1 = draws.expectation(({ x }) => tf.sum(tf.mul(x, axis), -1));

  const logZ = (-d / 2) * Math.log(1 + a) + (b * b) / (2 * (1 + a));
  const ess = ((1 + 2 * a) / (1 + a) ** 2) ** (d / 2) * Math.exp(-(b * b) / ((1 + a) * (1 + 2 * a)));
  const cell = (x: number, exact: number) => `${x.toFixed(3)} (${exact.toFixed(3)})`.padStart(17);
  console.log(
    `${String(d).padStart(3)} ${cell(draws.logEvidence.value, logZ)}    ${cell(x1.value, b / (1 + a))}    ` +
      `${cell(draws.essRatio, ess)}     ${draws.khat.toFixed(2)}${draws.trusted ? "" : "  ← do not trust this row"}`,
  );
}
console.log("\nEach dimension costs a constant factor: self-normalised importance sampling is for few dimensions.");
