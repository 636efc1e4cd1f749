/** Draws of a model's encoder with their importance weights: what every estimate of log p(x) and of its score is made of. */
import * as tf from "@tensorflow/tfjs-core";
import { normal } from "../dist/index.ts";
import type { ParamEffect, Program } from "../effects/effects.ts";
import type { Generative } from "./generative.ts";
import type { Entries } from "./likelihoods.ts";

/** Draws z_k ~ q(z|x), `[K, n, latent]`, with log p(x, z_k)/q(z_k|x), `[K, n]`. */
export interface WeighedDraws {
  readonly z: tf.Tensor;
  readonly logWeights: tf.Tensor;
  /** p(x|z_k), one number an event. */
  readonly dist: Entries["dist"];
}

/** The draws of standard noise `[K, n, latent]`, for rows x `[n, features]`. */
export function* weighedDraws(
  { encode, decode }: Pick<Generative, "encode" | "decode">,
  x: tf.Tensor,
  noise: tf.Tensor,
): Program<ParamEffect, WeighedDraws> {
  const { loc, scale } = yield* encode(x);
  const z = tf.add(loc, tf.mul(scale, noise));
  const { dist } = yield* decode(z);
  const ratio = tf.sub(normal(0, 1).logProb(z), normal(loc, scale).logProb(z));
  return { z, dist, logWeights: tf.add(dist.event(1).logProb(x), tf.sum(ratio, -1)) };
}
