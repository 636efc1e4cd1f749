/** The workloads in plain tfjs wasm, as one writes them with tfjs alone: variables, `tf.train.adam`, no repair. */
import "@tensorflow/tfjs-backend-wasm";
import { createRequire } from "node:module";
import * as tf from "@tensorflow/tfjs-core";
import { type Contestant, stepping, whole } from "./contestant.ts";
import { ENERGY_SHAPE, type Inputs, IWAE_SHAPE, REGRESSION_SHAPE, VAE_SHAPE, WINE_SHAPE } from "./inputs.ts";

// What @tensorflow/tfjs registers; as an ES module of its own Node cannot load it.
createRequire(import.meta.url)("@tensorflow/tfjs-core/dist/register_all_gradients.js");
await tf.setBackend("wasm");

export const version = `tfjs ${tf.version_core} (wasm)`;

type Tensors = { readonly [name: string]: tf.Tensor };

const tensors = (inputs: Inputs): Tensors =>
  Object.fromEntries(Object.entries(inputs).map(([name, { data, shape }]) => [name, tf.tensor(data, [...shape])]));

const silu = (x: tf.Tensor) => tf.mul(x, tf.sigmoid(x));

function layer(p: Tensors, name: string, x: tf.Tensor): tf.Tensor {
  const weight = p[`${name}/weight`] as tf.Tensor2D;
  const flat = tf.reshape(x, [-1, weight.shape[0]]) as tf.Tensor2D;
  return tf.reshape(tf.add(tf.matMul(flat, weight), p[`${name}/bias`] as tf.Tensor), [
    ...x.shape.slice(0, -1),
    weight.shape[1],
  ]);
}

function mlp(p: Tensors, name: string, depth: number, x: tf.Tensor, act = silu, last = false): tf.Tensor {
  let h = x;
  for (let i = 0; i < depth; i++) {
    h = layer(p, `${name}/${i}`, h);
    if (i < depth - 1 || last) h = act(h);
  }
  return h;
}

function encode(p: Tensors, depth: number, x: tf.Tensor, act = silu) {
  const h = mlp(p, "encoder", depth, x, act, true);
  return { loc: layer(p, "encoder/loc", h), scale: tf.add(tf.softplus(layer(p, "encoder/scale", h)), 1e-4) };
}

const LOG_2PI = Math.log(2 * Math.PI);
const normalLogProb = (x: tf.Tensor, loc: tf.Tensor | number, scale: tf.Tensor | number) =>
  tf.sub(tf.sub(tf.mul(-0.5, tf.square(tf.div(tf.sub(x, loc), scale))), tf.log(scale as tf.Tensor)), 0.5 * LOG_2PI);

/** log mean over the particles, then the mean over rows, negated. */
const bound = (logWeights: tf.Tensor, k: number) => tf.neg(tf.mean(tf.sub(tf.logSumExp(logWeights, 0), Math.log(k))));

const DATA = ["x", "y", "observed", "target", "base"];

function training(inputs: Inputs, loss: (all: Tensors) => tf.Tensor, timedSteps = 10): Contestant {
  const all = tensors(inputs);
  const optimizer = tf.train.adam(1e-3);
  const variables = Object.fromEntries(
    Object.entries(all).map(([name, value]) => [name, DATA.includes(name) ? value : tf.variable(value)]),
  );
  return stepping(
    async (steps, { onProgress }) => {
      for (let i = 0; i < steps; i++) {
        const cost = optimizer.minimize(() => loss(variables) as tf.Scalar, true) as tf.Scalar;
        onProgress({ step: i + 1, metrics: { loss: cost.dataSync()[0] as number } });
        cost.dispose();
      }
    },
    { timedSteps },
  );
}

const vaeStep = (inputs: Inputs) =>
  training(
    inputs,
    (p) => {
      const x = p.x as tf.Tensor;
      const { loc, scale } = encode(p, 3, x);
      const z = tf.add(loc, tf.mul(scale, tf.randomNormal(loc.shape)));
      const logits = mlp(p, "decoder", 4, z);
      const entropy = tf.sum(tf.sub(tf.softplus(logits), tf.mul(logits, x)));
      const kl = tf.sum(tf.sub(tf.mul(0.5, tf.add(tf.square(loc), tf.sub(tf.square(scale), 1))), tf.log(scale)));
      return tf.div(tf.add(entropy, kl), VAE_SHAPE.batch);
    },
    3,
  );

const energyStep = (inputs: Inputs) =>
  training(inputs, (p) => {
    const network = (x: tf.Tensor) => tf.squeeze(mlp(p, "energy", 3, x), [-1]);
    const [e, f] = [network(p.target as tf.Tensor), network(p.base as tf.Tensor)];
    const slope = tf.grad((v: tf.Tensor) => tf.sum(network(v)))(p.target as tf.Tensor);
    const sizes = tf.add(tf.mean(tf.square(e)), tf.mean(tf.square(f)));
    const gap = tf.sub(tf.mean(e), tf.mean(f));
    return tf.add(tf.add(gap, tf.mul(0.25, sizes)), tf.mul(0.1, tf.mean(tf.sum(tf.square(slope), -1))));
  });

const CHAINS = 1000;

function langevin(inputs: Inputs): Contestant {
  const p = tensors(inputs);
  let square = 0;
  const slope = tf.grad((z: tf.Tensor) =>
    tf.neg(tf.add(tf.sum(mlp(p, "energy", ENERGY_SHAPE.widths.length - 1, z)), tf.mul(0.5, tf.sum(tf.square(z))))),
  );
  return stepping(
    async (steps, { onProgress }) => {
      let z = tf.randomNormal([CHAINS, 2]) as tf.Tensor;
      for (let i = 0; i < steps; i++) {
        const next = tf.tidy(() =>
          tf.add(tf.add(z, tf.mul(0.01, slope(z))), tf.mul(Math.sqrt(0.02), tf.randomNormal([CHAINS, 2]))),
        );
        z.dispose();
        z = next;
        onProgress({ step: i + 1 });
      }
      square = tf.tidy(() => tf.sum(tf.square(z)).dataSync()[0] as number) / CHAINS;
      z.dispose();
    },
    { checkSteps: 1000, timedSteps: 50, check: () => ({ square }) },
  );
}

const snis = (): Contestant =>
  whole(async () =>
    tf.tidy(() => {
      const z = tf.randomNormal([1_000_000, 2]);
      const logW = tf.mul(-0.5, tf.sum(tf.square(z), -1));
      const w = tf.softmax(logW);
      const read = (x: tf.Tensor) => x.dataSync()[0] as number;
      return {
        logZ: read(tf.logSumExp(logW)) - Math.log(1_000_000),
        ess: 1 / read(tf.sum(tf.square(w))) / 1_000_000,
        square: read(tf.sum(tf.mul(w, tf.sum(tf.square(z), -1)))),
      };
    }),
  );

const iwaeStep = (inputs: Inputs) =>
  training(inputs, (p) => {
    const { k } = IWAE_SHAPE;
    const x = p.x as tf.Tensor;
    const { loc, scale } = encode(p, 2, x, tf.tanh);
    const z = tf.add(loc, tf.mul(scale, tf.randomNormal([k, ...loc.shape])));
    const logits = mlp(p, "decoder", 3, z, tf.tanh);
    const logX = tf.sum(tf.sub(tf.mul(logits, x), tf.softplus(logits)), -1);
    return bound(tf.add(logX, tf.sum(tf.sub(normalLogProb(z, 0, 1), normalLogProb(z, loc, scale)), -1)), k);
  });

const notMiwaeStep = (inputs: Inputs) =>
  training(inputs, (p) => {
    const { k } = WINE_SHAPE;
    const [x, s] = [p.x, p.observed] as [tf.Tensor, tf.Tensor];
    const { loc, scale } = encode(p, 2, x, tf.tanh);
    const z = tf.add(loc, tf.mul(scale, tf.randomNormal([k, ...loc.shape])));
    const mean = mlp(p, "decoder", 3, z, tf.tanh);
    const sd = tf.add(tf.softplus(p["decoder/log-scale"] as tf.Tensor), 1e-3);
    // Products, because tfjs has no gradient of `where` on a comparison.
    const filled = tf.add(tf.mul(s, x), tf.mul(tf.sub(1, s), tf.add(mean, tf.mul(sd, tf.randomNormal(mean.shape)))));
    const slope = tf.softplus(p["mask/slope"] as tf.Tensor);
    const logits = tf.mul(slope, tf.sub(filled, p["mask/shift"] as tf.Tensor));
    const logS = tf.neg(tf.sum(tf.softplus(tf.mul(logits, tf.sub(tf.mul(2, s), 1))), -1));
    const logX = tf.sum(tf.mul(normalLogProb(x, mean, sd), s), -1);
    const logZ = tf.sum(tf.sub(normalLogProb(z, 0, 1), normalLogProb(z, loc, scale)), -1);
    return bound(tf.add(tf.add(logX, logS), logZ), k);
  });

/** What a run of all particles takes minutes for is told from a part of it. */
const PART = 20;

/** Evidence of 128 digits, 20 particles for each at a time; a twentieth of the particles that the others take. */
function snisVae(inputs: Inputs): Contestant {
  const { x, ...p } = tensors(inputs) as Tensors & { readonly x: tf.Tensor };
  const [rows, chunk, total] = [VAE_SHAPE.batch, 20, 10_000 / PART];
  const weights = () =>
    tf.tidy(() => {
      const z = tf.randomNormal([chunk, rows, VAE_SHAPE.latent]);
      const logits = mlp(p, "decoder", 4, z);
      return tf.sum(tf.sub(tf.mul(logits, x), tf.softplus(logits)), -1);
    });
  const estimate = () => {
    const parts = Array.from({ length: total / chunk }, weights);
    const logEvidence = tf.tidy(() => -(bound(tf.concat(parts), total).dataSync()[0] as number));
    tf.dispose(parts);
    return { logEvidence };
  };
  return {
    first: async () => estimate(),
    async run() {
      const start = performance.now();
      estimate();
      return PART * (performance.now() - start);
    },
  };
}

/** MALA of 64 chains; decisions are read, as the steps of a user's loop are. */
function mala(logProb: (z: tf.Tensor) => tf.Tensor, dim: number, step: number, checkSteps: number): Contestant {
  const chains = 64;
  const slope = tf.grad((z: tf.Tensor) => tf.sum(logProb(z)));
  let found = { acceptance: Number.NaN, square: Number.NaN };
  const cost = (to: tf.Tensor, from: tf.Tensor, g: tf.Tensor) =>
    tf.div(tf.sum(tf.square(tf.sub(tf.sub(to, from), tf.mul(step, g))), -1), 4 * step);
  return stepping(
    async (steps, { onProgress }) => {
      let state = tf.tidy(() => {
        const z = tf.randomNormal([chains, dim]) as tf.Tensor;
        return { z, v: logProb(z), g: slope(z) };
      });
      const sums = { acceptance: 0, square: 0 };
      for (let i = 0; i < steps; i++) {
        const { z, v, g } = state;
        const next = tf.tidy(() => {
          const y = tf.add(tf.add(z, tf.mul(step, g)), tf.mul(Math.sqrt(2 * step), tf.randomNormal([chains, dim])));
          const [w, h] = [logProb(y), slope(y)];
          const ratio = tf.add(tf.sub(tf.sub(w, v), cost(z, y, h)), cost(y, z, g));
          const take = tf.less(tf.log(tf.randomUniform([chains])), ratio);
          const row = tf.expandDims(take, 1);
          const share = tf.mean(tf.cast(take, "float32"));
          const chosen = tf.where(row, y, z);
          return {
            z: chosen,
            v: tf.where(take, w, v),
            g: tf.where(row, h, g),
            share,
            square: tf.mean(tf.square(chosen)),
          };
        });
        sums.acceptance += (next.share.dataSync()[0] as number) / steps;
        if (i >= steps >> 1) sums.square += (next.square.dataSync()[0] as number) / (steps - (steps >> 1));
        tf.dispose([state, next.share, next.square]);
        state = { z: next.z, v: next.v, g: next.g };
        onProgress({ step: i + 1 });
      }
      tf.dispose(state);
      found = sums;
    },
    { checkSteps, timedSteps: 100, check: () => found },
  );
}

const malaGaussian = (): Contestant => mala((z) => tf.mul(-0.5, tf.sum(tf.square(z), -1)), 100, 0.1, 1000);

function malaLogistic(inputs: Inputs): Contestant {
  const { x, y } = tensors(inputs) as { readonly x: tf.Tensor2D; readonly y: tf.Tensor };
  const logProb = (beta: tf.Tensor) => {
    const logits = tf.matMul(beta as tf.Tensor2D, x, false, true);
    const likelihood = tf.sum(tf.sub(tf.mul(logits, y), tf.softplus(logits)), -1);
    return tf.sub(likelihood, tf.mul(0.5, tf.sum(tf.square(beta), -1)));
  };
  return mala(logProb, REGRESSION_SHAPE.features, 0.002, 500);
}

/** Contestants by workload. */
export const PLAIN: { readonly [workload: string]: (inputs: Inputs) => Contestant | Promise<Contestant> } = {
  "vae-step": vaeStep,
  "energy-step": energyStep,
  langevin,
  snis,
  "snis-vae": snisVae,
  "iwae-step": iwaeStep,
  "notmiwae-step": notMiwaeStep,
  "mala-gaussian": malaGaussian,
  "mala-logistic": malaLogistic,
};
