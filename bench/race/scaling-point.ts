/** One point of the scaling curves, in a process of its own: `scaling-point.ts KIND SIZE` prints milliseconds and peak MiB. */
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/function";
import { adam, elbo, ensureEngine, infer, langevin, model, ndarray, sample, snis, tilt } from "tilted";
import { normal } from "tilted/dist";
import { vae } from "tilted/models";

const plane = (dimensions: number) =>
  pipe(
    model(function* () {
      return yield* sample("z", normal(tf.zeros([dimensions]), 1).event(1));
    }),
    tilt("z", (z: tf.Tensor) => tf.mul(0.5, tf.sum(tf.square(z), -1))),
  );

const PARTICLES = 20_000;
const CHAIN_STEPS = 200;
const TRAINING_STEPS = 20;
const ROWS = 128;

async function trainingStep(rows: number, width: number): Promise<void> {
  const features = 196;
  const net = vae({ features, latent: 2, hidden: [width, width] });
  const x = ndarray(
    Float32Array.from({ length: rows * features }, (_, i) => (Math.sin(i) + 1) / 2),
    [rows, features],
  );
  await infer(net.model, elbo(net.guide, { optimizer: adam(1e-3), steps: TRAINING_STEPS }), {
    args: [x],
    seed: 1,
    engine: "wasm",
  });
}

/** Work by kind; one unit grows with the size. */
const KINDS: { readonly [kind: string]: (size: number) => Promise<unknown> } = {
  particles: (n) => infer(plane(2), snis(n), { seed: 1 }),
  dimensions: (d) => infer(plane(d), snis(PARTICLES), { seed: 1 }),
  chains: (chains) =>
    infer(plane(2), langevin({ chains, steps: CHAIN_STEPS, warmup: 0, thin: CHAIN_STEPS, stepSize: 0.1 }), {
      seed: 1,
      engine: "wasm",
    }),
  batch: (rows) => trainingStep(rows, 128),
  parameters: (width) => trainingStep(ROWS, width),
};

const [kind = "", size = ""] = process.argv.slice(2);
const work = KINDS[kind];
if (work === undefined) throw new Error(`no curve "${kind}"; there are ${Object.keys(KINDS).join(", ")}`);
await ensureEngine();
await work(Number(size));
let best = Number.POSITIVE_INFINITY;
for (let i = 0; i < 3; i++) {
  const start = performance.now();
  await work(Number(size));
  best = Math.min(best, performance.now() - start);
}
const kib = /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
console.log(JSON.stringify({ ms: best, MiB: Number(kib) / 1024 }));
