/** Runs all of them and prints what they found, as JSON. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { infer, mcmc, model, ndarray, observe, plate, rootKey, sample, snis, tensorScope, useEngine } from "tilted";
import { gamma, normal } from "tilted/dist";
import { defensive } from "./defensive.ts";
import { powerPosterior } from "./power-posterior.ts";
import { randomWalk } from "./random-walk.ts";
import { zeroInflatedPoisson } from "./zero-inflated-poisson.ts";

/** μ ~ N(0, 1), x ~ N(μ, 1). */
const shift = model(function* (x: number) {
  const mu = yield* sample("mu", normal(0, 1));
  yield* observe("x", normal(mu, 1), x);
  return mu;
});
/** The posterior's mean, at a third of its scale. */
const narrow = model(function* (x: number) {
  yield* sample("mu", normal(x / 2, Math.SQRT1_2 / 3));
});

function counts(rate: number, excess: number, draws: number) {
  return tensorScope(() => {
    const dist = zeroInflatedPoisson(rate, excess);
    const values = [...dist.sample(rootKey(7), [draws]).dataSync()];
    const support = Array.from({ length: 40 }, (_, k) => k);
    const slope = tf.grads((r, e) => tf.sum(zeroInflatedPoisson(r, e).logProb(tf.tensor1d([0, 0, 3]))));
    return {
      values,
      parts: [...dist.sample(rootKey(7), [3], 2).dataSync()],
      logProb: [...dist.logProb(ndarray(Float32Array.from([...support, -1, 0.5]))).dataSync()],
      mean: dist.mean().dataSync()[0],
      variance: dist.variance().dataSync()[0],
      slope: slope([tf.scalar(rate), tf.scalar(excess)]).map((g) => g.dataSync()[0]),
    };
  });
}

/** How likely a share of zeros is, seen through rows of counts: the family inside a model. */
const zeros = model(function* (data: typeof rows) {
  const excess = yield* sample("logit", normal(0, 1));
  yield* plate("rows", 4, function* ({ gather }) {
    yield* observe("count", zeroInflatedPoisson(2, tf.sigmoid(excess)), gather(data));
  });
});
const rows = ndarray(Float32Array.from([0, 3, 0, 1]));

async function weighted(seeds: number) {
  const runs = [];
  for (let seed = 0; seed < seeds; seed++) {
    const found = await infer(shift, defensive(narrow, 4000), { args: [2], seed });
    const mu = found.sites.mu.data;
    runs.push({
      evidence: Math.exp(found.logEvidence.value),
      mean: found.weights.reduce((sum, w, i) => sum + w * (mu[i] as number), 0),
      largest: found.largestLogWeight,
      of: found.logEvidence.of,
      ess: found.ess,
    });
  }
  return runs;
}

/** A site on the line, with data, and one that must be positive. */
const pair = model(function* (x: number) {
  const mu = yield* shift(x);
  yield* sample("lambda", gamma(2, 1));
  return mu;
});

async function walked(engine: "wasm" | "compiled", steps: number) {
  const method = mcmc(randomWalk(), { chains: 64, steps, stepSize: 0.5, targetAcceptance: 0.44 });
  const {
    sites,
    acceptance,
    rhat,
    nonFinite,
    engine: used,
  } = await infer(pair, method, { args: [2], seed: 3, engine });
  return { mu: sites.mu.data, lambda: sites.lambda.data, acceptance, rhat, nonFinite, compiled: used.compiled?.used };
}

await useEngine("wasm");
const before = tf.memory().numTensors;
const half = await infer(pipe(shift, powerPosterior(0.5)), snis(100_000), { args: [2], seed: 1 });
const seen = await infer(zeros, snis(100_000), { args: [rows], seed: 1 });
const found = {
  counts: counts(2, 0.3, 40_000),
  zeros: seen.logEvidence,
  half: { mean: half.mean("mu"), evidence: half.logEvidence },
  weighted: await weighted(200),
  walks: { short: await walked("wasm", 50), again: await walked("compiled", 50), long: await walked("compiled", 2000) },
  leaked: tf.memory().numTensors - before,
};
console.log(JSON.stringify(found, (_, value) => (value instanceof Float32Array ? [...value] : value)));
