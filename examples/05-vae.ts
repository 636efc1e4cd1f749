/**
 * 5. A variational autoencoder is two programs: a model that makes digits from latents, and a guide that guesses latents from
 * digits. Both are ordinary generator functions; the networks inside yield `param`.
 *
 *   npx tsx examples/05-vae.ts
 */
import * as tf from "@tensorflow/tfjs-core";
import {
  deterministic,
  elbo,
  infer,
  iwae,
  model,
  type NdArray,
  ndarray,
  observe,
  plate,
  predictive,
  sample,
  showBound,
  trace,
} from "tilted";
import { loadMnistPackage, selectClasses } from "tilted/data";
import { bernoulli, normal } from "tilted/dist";
import { heNormal, linear, mlp } from "tilted/nn";
import { adam } from "tilted/optim";

const LATENT = 2;
const PIXELS = 28 * 28;
const decoder = mlp("decoder", [LATENT, 128, PIXELS], { weightInit: heNormal });
const trunk = mlp("trunk", [PIXELS, 128], { output: tf.tanh });
const [loc, logScale] = [linear("loc", 128, LATENT), linear("logScale", 128, LATENT)];

const digits = model(function* (x: NdArray) {
  yield* plate("data", x.shape[0] ?? 0, { subsample: 50 }, function* ({ gather }) {
    const z = yield* sample("z", normal(tf.zeros([LATENT]), 1).event(1));
    const logits = yield* decoder(z);
    yield* observe("x", bernoulli({ logits }, { grey: true }).event(1), gather(x));
    yield* deterministic("picture", tf.sigmoid(logits));
  });
});

// The guide has the same latent sites; if "z" were missing or misspelt, `infer` would not compile.
const guide = model(function* (x: NdArray) {
  yield* plate("data", x.shape[0] ?? 0, { subsample: 50 }, function* ({ gather }) {
    const h = yield* trunk(gather(x));
    yield* sample("z", normal(yield* loc(h), tf.exp(yield* logScale(h))).event(1));
  });
});

const loaded = await loadMnistPackage()();
if (loaded._tag === "Left") throw loaded.left;
const threes = selectClasses(loaded.right, [3]);
const rows = (from: number, to: number) =>
  ndarray(threes.images.slice(from * PIXELS, to * PIXELS), [to - from, PIXELS]);
const [training, test] = [rows(0, 800), rows(800, 1000)];

const fit = await infer(digits, elbo(guide, { optimizer: adam(3e-3), epochs: 60 }), { args: [training], seed: 1 });
console.log("training loss, nats per digit:", [0, 9, 29, 59].map((e) => fit.history.train[e]?.toFixed(1)).join(" → "));

// Held-out digits: more particles, a tighter bound on the same quantity.
const options = { args: [test] as [NdArray], params: fit.params, seed: 2 };
for (const k of [1, 10, 100]) {
  const { bound, rows: n } = await infer(digits, iwae(guide, k, { steps: 0 }), options);
  console.log(
    `K = ${String(k).padEnd(3)} ${showBound({ ...bound, value: bound.value / n, standardError: bound.standardError / n })} per digit`,
  );
}

// A held-out digit and what is left of it after two numbers: the guide draws z, the model decodes it.
const one = rows(801, 802);
const { z } = trace(guide, { args: [one], params: fit.params, seed: 3 }).latents;
const posterior = { z: ndarray(z.data, [1, 1, LATENT]) };
const seen = predictive(digits, { args: [one], params: fit.params, posterior, seed: 4 }).picture;
const shades = " .:-=+*#%@";
for (let r = 3; r < 26; r += 2) {
  const line = (x: NdArray) => Array.from({ length: 28 }, (_, c) => shades[Math.round(9 * (x.data[r * 28 + c] ?? 0))]);
  console.log(`${line(one).join("")}   ${line(seen).join("")}`);
}
