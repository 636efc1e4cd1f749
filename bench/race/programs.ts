/** The workloads as programs of this library: what its users write. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import {
  elbo,
  type InferOptions,
  infer,
  iwae,
  langevin,
  model,
  ndarray,
  observe,
  param,
  plate,
  rootKey,
  sample,
  snis,
  tilt,
  train,
} from "tilted";
import { bernoulli, normal } from "tilted/dist";
import { vae } from "tilted/models";
import { mlp, silu, tanh } from "tilted/nn";
import { adam } from "tilted/optim";
import { type Contestant, type Stepper, stepping, whole } from "./contestant.ts";
import { ENERGY_SHAPE, type Inputs, IWAE_SHAPE, REGRESSION_SHAPE, VAE_SHAPE, WINE_SHAPE } from "./inputs.ts";

export type Engine = NonNullable<InferOptions<[]>["engine"]>;

const arrays = (inputs: Inputs) =>
  Object.fromEntries(Object.entries(inputs).map(([name, { data, shape }]) => [name, ndarray(data, shape)]));

const DATA = new Set(["x", "y", "observed", "target", "base"]);

/** Parameters apart from data. */
function parts(inputs: Inputs) {
  const all = Object.entries(arrays(inputs));
  return {
    params: Object.fromEntries(all.filter(([name]) => !DATA.has(name))),
    data: Object.fromEntries(all.filter(([name]) => DATA.has(name))) as {
      readonly [name: string]: ReturnType<typeof ndarray>;
    },
  };
}

const optimizer = adam(1e-3);

function meanSquare(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) ** 2;
  return sum / values.length;
}

function vaeStep(inputs: Inputs, engine: Engine): Contestant {
  const { params, data } = parts(inputs);
  const net = vae({ features: VAE_SHAPE.features, latent: VAE_SHAPE.latent, hidden: VAE_SHAPE.hidden });
  return stepping(async (steps, { onProgress }) => {
    await infer(net.model, elbo(net.guide, { optimizer, steps }), {
      args: [data.x as never],
      params,
      seed: 1,
      engine,
      onProgress,
    });
  });
}

/** Steps of a timed run of small steps: memory and machine code of the first few are new, and peers keep theirs from run to run. */
const SMALL_STEPS = { timedSteps: 60 } as const;

function energyStep(inputs: Inputs, engine: Engine): Contestant {
  const { params, data } = parts(inputs);
  const [target, base] = [data.target, data.base] as [ReturnType<typeof ndarray>, ReturnType<typeof ndarray>];
  const network = (p: { readonly [name: string]: tf.Tensor }, x: tf.Tensor) => {
    const layer = (i: number, h: tf.Tensor) =>
      tf.add(tf.matMul(h as tf.Tensor2D, p[`energy/${i}/weight`] as tf.Tensor2D), p[`energy/${i}/bias`] as tf.Tensor);
    return tf.squeeze(layer(2, silu(layer(1, silu(layer(0, x))))), [-1]);
  };
  return stepping(async (steps, { onProgress }) => {
    await train({
      params,
      optimizer,
      steps,
      engine,
      key: rootKey(1),
      loss: (p) => {
        const x = target.tensor();
        const [e, f] = [network(p as never, x), network(p as never, base.tensor())];
        const slope = tf.grad((v: tf.Tensor) => tf.sum(network(p as never, v)))(x);
        const sizes = tf.add(tf.mean(tf.square(e)), tf.mean(tf.square(f)));
        return tf.add(
          tf.add(tf.sub(tf.mean(e), tf.mean(f)), tf.mul(0.25, sizes)),
          tf.mul(0.1, tf.mean(tf.sum(tf.square(slope), -1))),
        );
      },
      tick: async (progress) => onProgress(progress),
    });
  }, SMALL_STEPS);
}

const plane = model(function* () {
  return yield* sample("z", normal(tf.zeros([2]), 1).event(1));
});

const CHAINS = 1000;
const STEPS = 1000;

function langevinChains(inputs: Inputs, engine: Engine): Contestant {
  const { params } = parts(inputs);
  const network = mlp("energy", ENERGY_SHAPE.widths, { activation: silu });
  const tilted = pipe(
    plane,
    tilt("z", function* (z) {
      return tf.squeeze(yield* network(z), [-1]);
    }),
  );
  let square = 0;
  const run: Stepper = async (steps, { onProgress }) => {
    const method = langevin({ chains: CHAINS, steps, stepSize: 0.01, adjusted: false, warmup: 0, thin: steps });
    const { sites } = await infer(tilted, method, { params, seed: 1, engine, onProgress });
    square = meanSquare(sites.z.data) * 2;
  };
  return stepping(run, { checkSteps: STEPS, timedSteps: STEPS, check: () => ({ square }) });
}

function snisMillion(_: Inputs, engine: Engine): Contestant {
  const tilted = pipe(
    plane,
    tilt("z", (z: tf.Tensor) => tf.mul(0.5, tf.sum(tf.square(z), -1))),
  );
  let seed = 0;
  return whole(async () => {
    const result = await infer(tilted, snis(1_000_000), { seed: ++seed, engine });
    const square = result.expectation(({ z }) => tf.sum(tf.square(z), -1)).value;
    return { logZ: result.logEvidence.value, ess: result.essRatio, square };
  });
}

function snisVae(inputs: Inputs, engine: Engine): Contestant {
  const { params, data } = parts(inputs);
  const net = vae({ features: VAE_SHAPE.features, latent: VAE_SHAPE.latent, hidden: VAE_SHAPE.hidden });
  return whole(async () => {
    const result = await infer(net.model, snis(10_000, { rows: "each", keep: false }), {
      args: [data.x as never],
      params,
      seed: 1,
      engine,
    });
    return { logEvidence: result.logEvidence.value / VAE_SHAPE.batch };
  });
}

function iwaeStep(inputs: Inputs, engine: Engine): Contestant {
  const { params, data } = parts(inputs);
  const { features, latent, hidden, k } = IWAE_SHAPE;
  const net = vae({ features, latent, hidden, activation: tanh });
  return stepping(async (steps, { onProgress }) => {
    await infer(net.model, iwae(net.guide, k, { optimizer, steps }), {
      args: [data.x as never],
      params,
      seed: 1,
      engine,
      onProgress,
    });
  });
}

/** not-MIWAE: what is missing is drawn from the decoder, through noise that is a latent of its own and cancels in the weight. */
function notMiwaeStep(inputs: Inputs, engine: Engine): Contestant {
  const { params, data } = parts(inputs);
  const { features, latent, hidden, k, batch } = WINE_SHAPE;
  const net = vae({ features, latent, hidden, activation: tanh });
  const standard = (n: number) => normal(tf.zeros([n]), 1).event(1);
  const [x, s] = [data.x, data.observed] as [ReturnType<typeof ndarray>, ReturnType<typeof ndarray>];
  const wine = model(function* () {
    yield* plate("data", batch, function* () {
      const z = yield* sample("z", standard(latent));
      const noise = yield* sample("noise", standard(features));
      const mean = yield* net.decoder(z);
      const sd = tf.add(tf.softplus(yield* param("decoder/log-scale", ndarray(new Float32Array(1)))), 1e-3);
      yield* observe("x", normal(mean, sd).event(1), x, { mask: s });
      const seen = s.tensor();
      const filled = tf.where(tf.cast(seen, "bool"), x.tensor(), tf.add(mean, tf.mul(sd, noise)));
      const slope = tf.softplus(yield* param("mask/slope", ndarray(new Float32Array(features).fill(1))));
      const shift = yield* param("mask/shift", ndarray(new Float32Array(features)));
      yield* observe("s", bernoulli({ logits: tf.neg(tf.mul(slope, tf.sub(filled, shift))) }).event(1), s);
    });
  });
  const guide = model(function* () {
    yield* plate("data", batch, function* () {
      const { loc, scale } = yield* net.encoder(x.tensor());
      yield* sample("z", normal(loc, scale).event(1));
      yield* sample("noise", standard(features));
    });
  });
  return stepping(async (steps, { onProgress }) => {
    await infer(wine, iwae(guide, k, { optimizer, steps }), { params, seed: 1, engine, onProgress });
  }, SMALL_STEPS);
}

function mala(
  target: Parameters<typeof infer>[0],
  site: string,
  settings: { readonly stepSize: number; readonly steps: number },
  engine: Engine,
): Contestant {
  let found = { acceptance: 0, square: 0 };
  const run: Stepper = async (steps, { onProgress }) => {
    const method = langevin({ chains: 64, ...settings, steps, warmup: 0 });
    const { sites, acceptance } = await infer(target as typeof plane, method, { seed: 1, engine, onProgress });
    const { data, shape } = (sites as unknown as { readonly [name: string]: ReturnType<typeof ndarray> })[
      site
    ] as ReturnType<typeof ndarray>;
    const late = data.subarray(
      data.length - (data.length / (shape[0] as number)) * Math.ceil((shape[0] as number) / 2),
    );
    found = { acceptance, square: meanSquare(late) };
  };
  return stepping(run, { checkSteps: settings.steps, timedSteps: settings.steps, check: () => found });
}

const malaGaussian = (_: Inputs, engine: Engine): Contestant =>
  mala(
    model(function* () {
      return yield* sample("z", normal(tf.zeros([100]), 1).event(1));
    }),
    "z",
    { stepSize: 0.1, steps: 1000 },
    engine,
  );

function malaLogistic(inputs: Inputs, engine: Engine): Contestant {
  const { x, y } = arrays(inputs) as { readonly [name: string]: ReturnType<typeof ndarray> };
  const { rows, features } = REGRESSION_SHAPE;
  const regression = model(function* () {
    const beta = yield* sample("beta", normal(tf.zeros([features]), 1).event(1));
    const flat = tf.reshape(beta, [-1, features]) as tf.Tensor2D;
    const logits = tf.matMul(flat, (x as ReturnType<typeof ndarray>).tensor() as tf.Tensor2D, false, true);
    const shaped = tf.reshape(logits, [...beta.shape.slice(0, -1), rows]);
    yield* observe("y", bernoulli({ logits: shaped }).event(1), y as ReturnType<typeof ndarray>);
  });
  return mala(regression, "beta", { stepSize: 0.002, steps: 500 }, engine);
}

/** Programs by workload. */
export const PROGRAMS: { readonly [workload: string]: (inputs: Inputs, engine: Engine) => Contestant } = {
  "vae-step": vaeStep,
  "energy-step": energyStep,
  langevin: langevinChains,
  snis: snisMillion,
  "snis-vae": snisVae,
  "iwae-step": iwaeStep,
  "notmiwae-step": notMiwaeStep,
  "mala-gaussian": malaGaussian,
  "mala-logistic": malaLogistic,
};
