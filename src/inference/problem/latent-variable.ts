/**
 * Latent-variable models: one latent, a decoder and an encoder. For estimates of log p(x) and of its score: draws of the encoder with their
 * importance weights, and the terms whose gradient in x is a score.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import type { Distribution } from "../../dist/distribution.ts";
import { normal } from "../../dist/index.ts";
import type { ParamEffect, Program } from "../../effects/effects.ts";

/** A Gaussian for each row: means and standard deviations, `[n, latent]`. */
export interface Posteriors<T = NdArray> {
  readonly loc: T;
  readonly scale: T;
}

/** z ~ N(0, I), x ~ p(x|z), and an encoder q(z|x). A `generative` is one. */
export interface LatentVariableModel {
  readonly features: number;
  readonly latent: number;
  /** p(x|z), `[...batch, features]`, with scalar events. */
  readonly decode: (z: tf.Tensor) => Program<ParamEffect, { readonly dist: Distribution }>;
  /** Parameters of q(z|x). */
  readonly encode: (x: tf.Tensor) => Program<ParamEffect, Posteriors<tf.Tensor>>;
}

/** Draws z_k ~ q(z|x), `[K, n, latent]`, with log p(x, z_k)/q(z_k|x), `[K, n]`. */
export interface EncoderDraws {
  readonly z: tf.Tensor;
  readonly logWeights: tf.Tensor;
  /** p(x|z_k), with scalar events. */
  readonly dist: Distribution;
}

/** The draws of standard noise `[K, n, latent]`, for rows x `[n, features]`. */
export function* encoderDraws(
  { encode, decode }: LatentVariableModel,
  x: tf.Tensor,
  noise: tf.Tensor,
): Program<ParamEffect, EncoderDraws> {
  const { loc, scale } = yield* encode(x);
  const z = tf.add(loc, tf.mul(scale, noise));
  const { dist } = yield* decode(z);
  const ratio = tf.sub(normal(0, 1).logProb(z), normal(loc, scale).logProb(z));
  return { z, dist, logWeights: tf.add(dist.event(1).logProb(x), tf.sum(ratio, -1)) };
}

/** A number for each draw, `[K, n]`, whose gradient in x at fixed noise is taken. */
export type ScoreTerm = (x: tf.Tensor, z: tf.Tensor, noise: tf.Tensor) => Program<ParamEffect, tf.Tensor>;

/** log p(x|z) at fixed z: its weighted gradient is the score, by Fisher's identity. */
export const likelihoodTerm = (net: LatentVariableModel): ScoreTerm =>
  function* (x, z) {
    return (yield* net.decode(z)).dist.event(1).logProb(x);
  };

/** log p(x, z)/q(z|x), z a function of x through the encoder: its mean gradient is that of the ELBO. */
export const elboTerm = (net: LatentVariableModel): ScoreTerm =>
  function* (x, _, noise) {
    return (yield* encoderDraws(net, x, noise)).logWeights;
  };

/** @throws `not-differentiable` for a likelihood that cannot be differentiated in x. */
export function checkSmooth(what: string, { discrete, family }: Distribution): void {
  if (discrete || family === "bernoulli")
    fail(
      "not-differentiable",
      `${what}: a likelihood of the family ${family} has no gradient in x; run chains over its noise, with inNoise("x")`,
      { site: "x" },
    );
}
