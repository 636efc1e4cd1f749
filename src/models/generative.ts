/** A variational autoencoder with any likelihood, as programs: the model of data, the guide, and the base, which draws (z, x) afresh. */
import type * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../core/array.ts";
import { normal } from "../dist/index.ts";
import {
  type Model,
  model,
  type ObserveEffect,
  observe,
  type ParamEffect,
  type Program,
  type SampleEffect,
  sample,
} from "../effects/effects.ts";
import { plate } from "../effects/plate.ts";
import type { LatentVariableModel } from "../inference/problem/latent-variable.ts";
import { type Activation, heNormal, mlp, silu } from "../nn/layers.ts";
import { dataPlate, encoderHead, type InDataPlate, standardNormal } from "./gaussian-latent.ts";
import { binary, binaryEntries, type Entries, type Likelihood } from "./likelihoods.ts";
import type { Vae } from "./vae.ts";

/** Sizes and parts of a {@link generative}. */
export interface GenerativeOptions {
  readonly features: number;
  readonly latent: number;
  /** Hidden widths of the encoder; the decoder mirrors them. `[]` makes both linear: with one Gaussian scale, probabilistic PCA. */
  readonly hidden: readonly number[];
  /** p(x|z). Default {@link binary}. */
  readonly likelihood?: Likelihood;
  /** Rows of a minibatch. Default: all. */
  readonly batch?: number;
  /** Default {@link silu}. */
  readonly activation?: Activation;
}

/** Sites of a base: the latent and the datum it makes. */
export type BaseEffects = SampleEffect<"z"> | SampleEffect<"x"> | ParamEffect;
/** A model that draws one datum: z ~ p(z), x ~ p(x|z). Returns x. */
export type Base = Model<[], BaseEffects, tf.Tensor>;

/** What a tilt of data needs of a latent-variable model. */
export interface Generative extends LatentVariableModel {
  readonly decode: (z: tf.Tensor) => Program<ParamEffect, Entries>;
  /** Draws one datum: `pipe(net.base, tilt("x", energy))` is the tilted model. */
  readonly base: Base;
  /** Rows of data, `[n, features]`: sites `z` and `x` in the plate `data`. */
  readonly model: Model<[x: NdArray], InDataPlate<SampleEffect<"z"> | ObserveEffect<"x">>, void>;
  readonly guide: Model<[x: NdArray], InDataPlate<SampleEffect<"z">>, void>;
}

/** z ~ N(0, I), x ~ p(x|z). */
const baseOf = (latent: number, decode: Generative["decode"]): Base =>
  model(function* () {
    const z = yield* sample("z", standardNormal(latent));
    return yield* sample("x", (yield* decode(z)).dist.event(1));
  });

/**
 * A variational autoencoder with a Gaussian, Student-t or Bernoulli decoder.
 *
 * @example
 * const net = generative({ features: 2, latent: 2, hidden: [64, 64], likelihood: gaussian(), batch: 128 });
 * const fit = await infer(net.model, elbo(net.guide, { epochs: 100 }), { args: [x], seed: 1 });
 * const tilted = pipe(net.base, tilt("x", energy(2)));
 */
export function generative(options: GenerativeOptions): Generative {
  const { features, latent, hidden, likelihood = binary(), activation = silu, batch } = options;
  const layers = { activation, weightInit: heNormal, output: activation };
  const through = (name: string, widths: readonly number[]) =>
    widths.length < 2 ? undefined : mlp(name, widths, layers);
  const trunk = through("encoder", [features, ...hidden]);
  const body = through("decoder", [latent, ...[...hidden].reverse()]);
  const heads = likelihood(hidden[0] ?? latent, features);
  const width = hidden[hidden.length - 1] ?? features;
  const head = encoderHead(width, latent, heNormal);

  function* decode(z: tf.Tensor): Program<ParamEffect, Entries> {
    return yield* heads(body === undefined ? z : yield* body(z));
  }
  const encode: Generative["encode"] = function* (x) {
    return yield* head(trunk === undefined ? x : yield* trunk(x));
  };
  const rows = (x: NdArray) => dataPlate("generative", { data: x }, features, batch);
  return {
    features,
    latent,
    decode,
    encode,
    base: baseOf(latent, decode),
    model: model(function* (x: NdArray) {
      yield* plate("data", ...rows(x), function* ({ gather }) {
        const z = yield* sample("z", standardNormal(latent));
        yield* observe("x", (yield* decode(z)).dist.event(1), gather(x));
      });
    }),
    guide: model(function* (x: NdArray) {
      yield* plate("data", ...rows(x), function* ({ gather }) {
        const q = yield* encode(gather(x));
        yield* sample("z", normal(q.loc, q.scale).event(1));
      });
    }),
  };
}

/** A {@link Vae} as a base of data tilts. */
export function fromVae(net: Vae): Generative {
  const { features, latent } = net.options;
  function* decode(z: tf.Tensor): Program<ParamEffect, Entries> {
    return binaryEntries(yield* net.decoder(z));
  }
  return {
    features,
    latent,
    decode,
    encode: net.encoder,
    base: baseOf(latent, decode),
    model: net.model,
    guide: net.guide,
  };
}
