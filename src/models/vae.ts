/** The variational autoencoder as two programs, a model and a guide (Kingma & Welling 2014). */
import * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../core/array.ts";
import type { Tree } from "../core/tree.ts";
import { bernoulli, normal } from "../dist/index.ts";
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
import { mapRows } from "../effects/map-rows.ts";
import { plate } from "../effects/plate.ts";
import type { Posteriors } from "../inference/problem/latent-variable.ts";
import { type Activation, heNormal, mlp, type Network, silu } from "../nn/layers.ts";
import { dataPlate, encoderHead, type InDataPlate, standardNormal } from "./gaussian-latent.ts";

/** Sizes of a {@link vae}. */
export interface VaeOptions {
  /** Features of a datum. */
  readonly features: number;
  /** Dimensions of the latent. */
  readonly latent: number;
  /** Hidden widths of the encoder, from data to latent; the decoder mirrors them. */
  readonly hidden: readonly number[];
  /** Rows of a minibatch; default: all rows. */
  readonly batch?: number;
  /** Default {@link silu}. */
  readonly activation?: Activation;
}

/** Model and guide of a variational autoencoder, and their halves. */
export interface Vae {
  /** p(z) = N(0, I), p(x|z) = Bernoulli(decoder(z)): sites `z` and `x` in the plate `data`. Takes rows `[n, features]` in [0, 1]. */
  readonly model: Model<[x: NdArray], InDataPlate<SampleEffect<"z"> | ObserveEffect<"x">>, void>;
  /** q(z|x) = N(loc(x), scale(x)²), diagonal. */
  readonly guide: Model<[x: NdArray], InDataPlate<SampleEffect<"z">>, void>;
  /** Logits of the pixels given z. */
  readonly decoder: Network;
  /** Parameters of q(z|x). */
  readonly encoder: (x: tf.Tensor) => Program<ParamEffect, Posteriors<tf.Tensor>>;
  readonly options: VaeOptions;
}

/**
 * A VAE with a Bernoulli decoder (on grey values: the cross-entropy) and a diagonal Gaussian encoder.
 *
 * @example
 * const digits = vae({ features: 784, latent: 2, hidden: [1024, 512, 256], batch: 128 });
 * const fit = await infer(digits.model, elbo(digits.guide, { optimizer: adam(1e-3), epochs: 30 }), { args: [x], seed: 1 });
 */
export function vae(options: VaeOptions): Vae {
  const { features, latent, hidden, batch, activation = silu } = options;
  // SiLU about halves the variance, as a rectifier does: weights of variance 2/fanIn keep the signal.
  const layers = { activation, weightInit: heNormal };
  const decoder = mlp("decoder", [latent, ...[...hidden].reverse(), features], layers);
  const trunk = mlp("encoder", [features, ...hidden], { ...layers, output: activation });
  const width = hidden[hidden.length - 1] ?? features;
  const head = encoderHead(width, latent, heNormal);
  const encoder: Vae["encoder"] = function* (x) {
    return yield* head(yield* trunk(x));
  };
  const rows = (x: NdArray) => dataPlate("vae", { data: x }, features, batch);
  return {
    decoder,
    encoder,
    options,
    model: model(function* (x: NdArray) {
      yield* plate("data", ...rows(x), function* ({ gather }) {
        const z = yield* sample("z", standardNormal(latent));
        const logits = yield* decoder(z);
        yield* observe("x", bernoulli({ logits }, { grey: true }).event(1), gather(x));
      });
    }),
    guide: model(function* (x: NdArray) {
      yield* plate("data", ...rows(x), function* ({ gather }) {
        const { loc, scale } = yield* encoder(gather(x));
        yield* sample("z", normal(loc, scale).event(1));
      });
    }),
  };
}

/** Parameters of q(z|x) for every row of `x`. */
export const encode = ({ encoder }: Pick<Vae, "encoder">, params: Tree<NdArray>, x: NdArray): Posteriors =>
  mapRows(x, params, encoder);

/** Means of the pixels, E[x|z], for every row of `z` `[n, latent]`: shape `[n, features]`, in [0, 1]. */
export const decode = ({ decoder }: Vae, params: Tree<NdArray>, z: NdArray): NdArray =>
  mapRows(z, params, function* (rows) {
    return tf.sigmoid(yield* decoder(rows));
  });
