/** Methods, results, handlers and models as exported constants: what `declaration: true` must be able to name. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import {
  block,
  condition,
  deterministic,
  elbo,
  factor,
  fitTilt,
  fold,
  handler,
  infer,
  intervene,
  iwae,
  langevin,
  logDensities,
  mask,
  model,
  ndarray,
  observe,
  param,
  plate,
  predictive,
  replay,
  rootKey,
  sample,
  scale,
  scope,
  seed,
  snis,
  snisOutputs,
  substitute,
  tilt,
  tiltLikelihood,
  trace,
  uncondition,
  useEngine,
} from "tilted";
import { beta, binomial, normal } from "tilted/dist";

const rows = ndarray(new Float32Array(4), [4]);

export const coin = model(function* (heads: number) {
  const p = yield* sample("p", beta(1, 1));
  yield* observe("heads", binomial(10, { probs: p }), heads);
  return p;
});
export const guide = model(function* (_heads: number) {
  yield* sample("p", beta(yield* param("a", 1), 1));
});
export const nested = model(function* () {
  const mu = yield* sample("mu", normal(0, 1));
  const inner = yield* plate("rows", 4, { subsample: 2 }, function* ({ gather }) {
    const z = yield* sample("z", normal(mu, 1));
    yield* observe("x", normal(z, 1), gather(rows));
    return yield* deterministic("double", tf.mul(z, 2));
  });
  yield* factor("nudge", tf.neg(mu));
  return inner;
});
export const energy = (z: tf.Tensor) => tf.square(z);
export function* learnt(z: tf.Tensor) {
  return tf.mul(yield* param("w", 1), tf.square(z));
}

export const conditioned = pipe(coin, condition({ p: 0.5 }));
export const intervened = pipe(coin, intervene({ p: 0.5 }));
export const substituted = pipe(coin, substitute({ p: 0.5 }));
export const blocked = pipe(nested, block("z"));
export const prior = pipe(coin, uncondition());
export const scoped = pipe(nested, scope("a"));
export const scaled = pipe(nested, scale(0.5), mask(1), seed(1));
export const tilted = pipe(nested, tilt("z", energy));
export const twice = pipe(nested, tilt("z", learnt), tilt("mu", energy));
export const traced = trace(coin, { args: [3], seed: 1 });
export const replayed = pipe(coin, replay(traced));
export const quiet = handler(
  () =>
    function* (effect) {
      return yield effect;
    },
);
export const silenced = quiet(coin);
export const halve = condition({ p: 0.5 });
export const moved = tilt("z", energy);
export const key = fold(rootKey(1), "a");

export const together = snis(100);
export const guided = snis(100, { proposal: guide });
export const each = snis(100, { rows: "each", keep: ["z"] });
export const outputs = snisOutputs(10);
export const chains = langevin();
export const moving = langevin({ sites: ["z"], chains: 4 });
export const bound = elbo(guide);
export const weighted = iwae(guide, 5);
export const fit = fitTilt("z", energy, rows);
export const likelihood = tiltLikelihood("z", learnt, rows, { steps: 3 });

export const posterior = () => infer(coin, together, { args: [3], seed: 1 });
export const byRow = () => infer(nested, each, { seed: 1 });
export const drawn = () => infer(nested, outputs, { seed: 1 });
export const path = () => infer(nested, chains, { seed: 1 });
export const pathOfZ = () => infer(nested, moving, { seed: 1 });
export const raised = () => infer(coin, bound, { args: [3], seed: 1 });
export const sharper = () => infer(coin, weighted, { args: [3], seed: 1 });
export const fitted = () => infer(nested, fit, { seed: 1 });
export const learned = () => infer(nested, likelihood, { seed: 1 });
export const predicted = (p: typeof rows) => predictive(coin, { posterior: { p }, args: [3], seed: 1 });
export const scores = (draws: { readonly p: typeof rows }) => logDensities(coin, draws, { args: [3] });
export const engine = () => useEngine("wasm");
