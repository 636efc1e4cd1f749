/**
 * One point of the scaling curves, in a process of its own: `scaling-point.ts KIND SIZE ENGINE` prints milliseconds, peak MiB, and the
 * size itself, which for networks is counted in parameters.
 */
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { elbo, ensureEngine, type InferOptions, infer, langevin, model, ndarray, sample, snis, tilt } from "tilted";
import { normal } from "tilted/dist";
import { vae } from "tilted/models";
import { adam } from "tilted/optim";

type Engine = NonNullable<InferOptions<[]>["engine"]>;

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
const FEATURES = 196;
const LATENT = 2;

/** Weights and biases of that VAE: encoder with two heads, and decoder. */
const parameters = (width: number): number =>
  (FEATURES + 1) * width +
  2 * (width + 1) * width +
  2 * (width + 1) * LATENT +
  (LATENT + 1) * width +
  (width + 1) * FEATURES;

async function training(rows: number, width: number, engine: Engine): Promise<void> {
  const net = vae({ features: FEATURES, latent: LATENT, hidden: [width, width] });
  const x = ndarray(
    Float32Array.from({ length: rows * FEATURES }, (_, i) => (Math.sin(i) + 1) / 2),
    [rows, FEATURES],
  );
  await infer(net.model, elbo(net.guide, { optimizer: adam(1e-3), steps: TRAINING_STEPS }), {
    args: [x],
    seed: 1,
    engine,
  });
}

interface Kind {
  readonly work: (size: number, engine: Engine) => Promise<unknown>;
  /** What the size counts, where it is not the size itself. */
  readonly counted?: (size: number) => number;
}

/** Work by kind; one unit grows with the size. */
const KINDS: { readonly [kind: string]: Kind } = {
  particles: { work: (n, engine) => infer(plane(2), snis(n), { seed: 1, engine }) },
  dimensions: { work: (d, engine) => infer(plane(d), snis(PARTICLES), { seed: 1, engine }) },
  chains: {
    work: (chains, engine) =>
      infer(plane(2), langevin({ chains, steps: CHAIN_STEPS, warmup: 0, thin: CHAIN_STEPS, stepSize: 0.1 }), {
        seed: 1,
        engine,
      }),
  },
  batch: { work: (rows, engine) => training(rows, 128, engine) },
  parameters: { work: (width, engine) => training(ROWS, width, engine), counted: parameters },
};

const [kind = "", size = "", engine = "wasm"] = process.argv.slice(2);
const chosen = KINDS[kind];
if (chosen === undefined) throw new Error(`no curve "${kind}"; there are ${Object.keys(KINDS).join(", ")}`);
const { work, counted = (n: number) => n } = chosen;
await ensureEngine();
const timed = async (): Promise<number> => {
  const start = performance.now();
  await work(Number(size), engine as Engine);
  return performance.now() - start;
};
/** Runs, the first of which is not counted; of one that takes so long, in milliseconds, fewer. */
const [REPEATS, LONG] = [3, 5000];
const first = await timed();
let best = first > LONG ? first : Number.POSITIVE_INFINITY;
for (let i = 0; i < (first > LONG ? 1 : REPEATS); i++) best = Math.min(best, await timed());
const kib = /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
console.log(JSON.stringify({ size: counted(Number(size)), ms: best, MiB: Number(kib) / 1024 }));
