/**
 * 3. One model, two methods. A straight line through noisy points, by importance sampling and by Langevin dynamics, beside the
 * least-squares answer. Only the second argument of `infer` changes.
 *
 *   npx tsx examples/03-regression.ts
 */
import * as tf from "@tensorflow/tfjs-core";
import { infer, langevin, model, ndarray, observe, plate, sample, snis } from "tilted";
import { exponential, normal } from "tilted/dist";

const x = [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5];
const y = [-2.7, -2.4, -0.6, -0.4, 0.9, 2.2, 2.4, 4.1, 4.6, 6.3];

const line = model(function* () {
  const slope = yield* sample("slope", normal(0, 5));
  const intercept = yield* sample("intercept", normal(0, 5));
  const sigma = yield* sample("sigma", exponential(1)); // positive: Langevin moves in log sigma, by itself
  yield* plate("points", x.length, function* () {
    const mean = tf.add(intercept, tf.mul(slope, x));
    yield* observe("y", normal(mean, sigma), ndarray(Float32Array.from(y)));
  });
});

const weighted = await infer(line, snis(200_000), { seed: 1 });
const chains = await infer(line, langevin({ chains: 100, steps: 600, stepSize: 0.02 }), { seed: 2 });

// Least squares, for comparison.
const n = x.length;
const mean = (v: number[]) => v.reduce((a, b) => a + b, 0) / n;
const [mx, my] = [mean(x), mean(y)];
const slope =
  x.reduce((s, xi, i) => s + (xi - mx) * ((y[i] ?? 0) - my), 0) / x.reduce((s, xi) => s + (xi - mx) ** 2, 0);
const fits = { slope, intercept: my - slope * mx };

console.log("             snis (200,000 draws)   langevin (100 chains)   least squares");
for (const name of ["slope", "intercept", "sigma"] as const) {
  const a = weighted.expectation(name);
  const b = chains.diagnostics[name];
  const show = (value = 0, error = 0) => `${value.toFixed(3)} ± ${error.toFixed(3)}`.padEnd(23);
  const exact = name === "sigma" ? "" : fits[name].toFixed(3);
  console.log(`${name.padEnd(12)} ${show(a.value, a.standardError)}${show(b.mean.data[0], b.mcse.data[0])} ${exact}`);
}
console.log(
  `\nsnis: ESS ${Math.round(weighted.ess)}, Pareto k ${weighted.khat.toFixed(2)}. The prior is wide, so most draws miss.`,
);
console.log(
  `langevin: R-hat ${chains.rhat.toFixed(3)}, ESS ${Math.round(chains.bulkEss)}, acceptance ${chains.acceptance.toFixed(2)} at an adapted step of ${chains.stepSize.toFixed(4)}.`,
);
