/**
 * Milliseconds of a step of MALA, in warm-up and kept, op by op and compiled, and the ratio of the two: `npm run bench -- chains [rounds]`.
 *
 * Models and engines take turns; the fastest of the rounds (default 5) counts. A round has the median over its calls, so that neither
 * compiling nor diagnostics enter.
 */
import * as tf from "@tensorflow/tfjs-core";
import { infer, langevin, type Model, model, ndarray, observe, type Progress, plate, sample } from "tilted";
import { bernoulli, gamma, normal } from "tilted/dist";
import { median } from "./statistics.ts";

const CHAINS = 64;
const WARMUP = 1500;
const KEPT = 1500;

const gaussian = (d: number) =>
  model(function* () {
    yield* sample("z", normal(tf.zeros([d]), 1).event(1));
  });
const scale = model(function* () {
  const mu = yield* sample("mu", normal(0, 1));
  const s = yield* sample("s", gamma(3, 2));
  yield* plate("rows", 3, function* () {
    yield* observe("y", normal(mu, s), ndarray(Float32Array.of(0.3, -0.5, 1.2)));
  });
});
const ROWS = 1000;
const FEATURES = 20;
const features = ndarray(
  Float32Array.from({ length: ROWS * FEATURES }, (_, i) => Math.sin(1.7 * i)),
  [ROWS, FEATURES],
);
const labels = ndarray(Float32Array.from({ length: ROWS }, (_, i) => (i % 3 === 0 ? 1 : 0)));
const logistic = model(function* () {
  const beta = yield* sample("beta", normal(tf.zeros([FEATURES]), 1).event(1));
  const rows = tf.reshape(beta, [-1, FEATURES]) as tf.Tensor2D;
  const logits = tf.matMul(rows, features.tensor() as tf.Tensor2D, false, true);
  yield* observe("y", bernoulli({ logits: tf.reshape(logits, [...beta.shape.slice(0, -1), ROWS]) }).event(1), labels);
});

const MODELS: readonly (readonly [string, Model<[]>])[] = [
  ["1-D Gaussian", gaussian(1)],
  ["100-D Gaussian", gaussian(100)],
  ["two sites, one positive", scale],
  ["logistic, 1000 × 20", logistic],
];
const ENGINES = ["wasm", "compiled"] as const;

/** Milliseconds a step: the median over the calls between two reports. */
function perStep(reports: readonly { readonly step: number; readonly at: number }[]): number {
  const calls = reports.slice(1).map(({ step, at }, i) => {
    const before = reports[i] as (typeof reports)[number];
    return (at - before.at) / (step - before.step);
  });
  return median(calls);
}

async function measure(program: Model<[]>, engine: (typeof ENGINES)[number]) {
  const seen: { step: number; at: number }[] = [];
  const onProgress = ({ step }: Progress) => seen.push({ step, at: performance.now() });
  const method = langevin({ chains: CHAINS, warmup: WARMUP, steps: KEPT, stepSize: 0.1, thin: 100 });
  const { acceptance } = await infer(program, method, { seed: 1, engine, onProgress });
  return {
    warm: perStep(seen.filter(({ step }) => step <= WARMUP)),
    kept: perStep(seen.filter(({ step }) => step > WARMUP)),
    acceptance,
  };
}

const rounds = Number(process.argv[2] ?? 5);
const best = new Map<string, Awaited<ReturnType<typeof measure>>>();
for (let round = 0; round < rounds; round++) {
  for (const [name, program] of MODELS) {
    for (const engine of ENGINES) {
      const found = await measure(program, engine);
      const before = best.get(`${name} ${engine}`) ?? {
        warm: Number.POSITIVE_INFINITY,
        kept: Number.POSITIVE_INFINITY,
      };
      const [warm, kept] = [Math.min(before.warm, found.warm), Math.min(before.kept, found.kept)];
      best.set(`${name} ${engine}`, { ...found, warm, kept });
    }
  }
}

console.log("model                      engine     warm-up ms   kept ms   ratio   acceptance");
for (const [name] of MODELS)
  for (const engine of ENGINES) {
    const { warm, kept, acceptance } = best.get(`${name} ${engine}`) as Awaited<ReturnType<typeof measure>>;
    const cells = [warm.toFixed(4).padStart(10), kept.toFixed(4).padStart(9), (warm / kept).toFixed(2).padStart(7)];
    console.log(`${name.padEnd(26)} ${engine.padEnd(10)} ${cells.join(" ")} ${acceptance.toFixed(3).padStart(12)}`);
  }
