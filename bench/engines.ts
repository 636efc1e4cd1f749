/**
 * What compiling gains: the same steps op by op on the wasm engine and compiled, in one process, taking turns. `tsx bench/engines.ts
 * [rounds]` prints medians and their ratio.
 *
 * - vae: 784-1024-512-256-2, batch 128, Adam.
 * - energy: 2-256-128-1, logistic loss with a penalty on the gradient in the input (double back-propagation), 1024 points, Adam.
 * - langevin: MALA on the tilt of a 2-D normal by that energy, 1000 chains.
 * - snis: the same tilt; a step is a chunk of 8192 particles.
 */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import {
  type EngineInfo,
  elbo,
  infer,
  langevin,
  model,
  ndarray,
  rootKey,
  sample,
  snis,
  tilt,
  train,
  useEngine,
} from "tilted";
import { normal } from "tilted/dist";
import { vae } from "tilted/models";
import { adam } from "tilted/optim";
import { median } from "./statistics.ts";

const rounds = Number(process.argv[2] ?? 3);
type Engine = "wasm" | "compiled";

/** A run in steps; it is given what to call with how many are done, after each or after some. */
type Workload = (
  engine: Engine,
  tick: (progress: { readonly step: number }) => void,
) => Promise<EngineInfo["compiled"]>;

const noise = (n: number, seed: number): Float32Array => {
  let state = seed * 7919 + 17;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 31 - 1;
  });
};

const rows = 1280;
const images = ndarray(noise(rows * 784, 1).map(Math.abs), [rows, 784]);
const digits = vae({ features: 784, latent: 2, hidden: [1024, 512, 256], batch: 128 });

const weight = (seed: number, from: number, to: number) =>
  ndarray(
    noise(from * to, seed).map((u) => u * Math.sqrt(3 / from)),
    [from, to],
  );
const network = { w0: weight(2, 2, 256), w1: weight(3, 256, 128), w2: weight(4, 128, 1) };
const energyOf = (w: { readonly [name: string]: tf.Tensor }, z: tf.Tensor): tf.Tensor => {
  const layer = (x: tf.Tensor, name: string) => tf.matMul(x, w[name] as tf.Tensor);
  const silu = (x: tf.Tensor) => tf.mul(x, tf.sigmoid(x));
  return layer(silu(layer(silu(layer(z, "w0")), "w1")), "w2");
};
const points = noise(2 * 1024, 5);

const fixed = Object.fromEntries(Object.entries(network).map(([name, array]) => [name, array]));
const tilted = pipe(
  model(function* () {
    yield* sample("z", normal(tf.zeros([2]), 1).event(1));
  }),
  tilt("z", (z) => {
    const w = Object.fromEntries(Object.entries(fixed).map(([name, array]) => [name, array.tensor()]));
    return tf.reshape(energyOf(w, tf.reshape(z, [-1, 2])), z.shape.slice(0, -1));
  }),
);

const CHUNK = 8192;

const WORKLOADS: { readonly [name: string]: Workload } = {
  vae: async (engine, tick) => {
    const method = elbo(digits.guide, { steps: 14, optimizer: adam(1e-3), boundDraws: 1 });
    const fit = await infer(digits.model, method, { args: [images], seed: 1, engine, onProgress: tick });
    return fit.engine.compiled;
  },
  energy: async (engine, tick) => {
    const fit = await train({
      params: network,
      optimizer: adam(1e-3),
      steps: 40,
      key: rootKey(1),
      engine,
      tick: async (progress) => tick(progress),
      loss(w) {
        const z = tf.tensor2d(points, [1024, 2]);
        const slope = tf.grad((x: tf.Tensor) => tf.sum(energyOf(w, x)))(z);
        return tf.add(tf.mean(tf.softplus(energyOf(w, z))), tf.mean(tf.sum(tf.square(slope), 1)));
      },
    });
    return fit.compiled;
  },
  langevin: async (engine, tick) => {
    const chain = await infer(tilted, langevin({ chains: 1000, steps: 120, warmup: 0 }), {
      seed: 1,
      engine,
      onProgress: tick,
    });
    return chain.engine.compiled;
  },
  snis: async (engine, tick) => {
    const draws = await infer(tilted, snis(12 * CHUNK, { chunk: CHUNK }), {
      seed: 1,
      engine,
      onProgress: ({ step }) => tick({ step: step / CHUNK }),
    });
    return draws.engine.compiled;
  },
};

await useEngine("wasm");
console.log(`Node ${process.version}, ${rounds} rounds, ms a step: median (least)`);
for (const [name, run] of Object.entries(WORKLOADS)) {
  const times: Record<Engine, number[]> = { wasm: [], compiled: [] };
  let note = "";
  for (let round = 0; round < rounds; round++) {
    for (const engine of ["wasm", "compiled"] as const) {
      const steps: number[] = [];
      let last = performance.now();
      let done = 0;
      const info = await run(engine, ({ step }) => {
        const now = performance.now();
        // What comes after the last step (a bound, diagnostics) is not one.
        if (step > done) steps.push((now - last) / (step - done));
        done = step;
        last = now;
      });
      times[engine].push(...steps.slice(2));
      if (info?.used)
        note = `${info.operations} ops, ${info.threads} threads, compiled in ${info.compileMs.toFixed(0)} ms`;
    }
  }
  const show = (xs: readonly number[]) => `${median(xs).toFixed(2)} (${Math.min(...xs).toFixed(2)})`;
  const ratio = median(times.wasm) / median(times.compiled);
  console.log(
    `${name.padEnd(9)} wasm ${show(times.wasm).padEnd(17)} compiled ${show(times.compiled).padEnd(17)} ${ratio.toFixed(2)}×  ${note}`,
  );
}
