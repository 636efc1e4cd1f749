/** A latent-variable model with its latent integrated out: a program of x alone, whose drift is Fisher's identity with importance weights. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";
import { fold, type Key, rootKey, type Seed } from "../core/key.ts";
import { normal as normals } from "../core/random/draws.ts";
import { improper, normal, real } from "../dist/index.ts";
import {
  type FactorEffect,
  factor,
  type Model,
  model,
  type ParamEffect,
  type Program,
  type SampleEffect,
  sample,
} from "../effects/effects.ts";
import { logSumExp, stopGradient } from "../engine/ops.ts";
import type { Score } from "./fisher.ts";
import type { Generative } from "./generative.ts";

/** Options of {@link marginal}. */
export interface MarginalOptions {
  /** Of the noise behind the draws of q(z|x), which is the same at every x. */
  readonly seed: Seed | Key;
  /** K, draws of q(z|x) at every x. Default 64. */
  readonly particles?: number;
  /**
   * `fisher` (default): log p̂(x) by importance weights, and its drift Σ w_k ∇_x log p(x|z_k), which tends to ∇ log p(x).
   * `elbo-approximation`: the ELBO in its place. Chains then sample e^{ELBO(x)}, which is not p(x) however many draws are taken.
   */
  readonly method?: Score["method"];
}

/** Effects of a {@link marginal}: the name of its factor says what its log-density is. */
export type MarginalEffects = SampleEffect<"x"> | FactorEffect<`log p(x): ${Score["method"]}`> | ParamEffect;

/**
 * p(x) = ∫ p(z) p(x|z) dz as a program of x alone, for `langevin` in x: `pipe(marginal(net, { seed }), tilt("x", energy))` is the tilted
 * model without its latent.
 *
 * log p̂(x) = log (1/K) Σ_k w_k, w_k = p(x, z_k)/q(z_k|x), z_k = μ_q(x) + σ_q(x)·ε_k with ε_k fixed by the seed. The slope in x is taken
 * with z_k and q held: Σ_k w̃_k ∇_x log p(x|z_k), Fisher's identity with self-normalised weights. MALA is exact for p̂ whatever its
 * drift; p̂ tends to p as 1/K, at once where the encoder is exact.
 *
 * @remarks Chains need `init: { x }`, rows of data for instance: x has no prior to start from. For sampling; a program with the
 *   slope of another function is not to be trained.
 * @throws `not-differentiable` for a discrete likelihood: run chains in (z, ε) with `inNoise("x")`; `argument` unless K is a
 *   positive integer.
 */
export function marginal(net: Generative, options: MarginalOptions): Model<[], MarginalEffects, tf.Tensor> {
  const { particles = 64, method = "fisher" } = options;
  if (!Number.isInteger(particles) || particles < 1)
    fail("argument", `marginal: particles must be a positive integer, got ${particles}`);
  const key = typeof options.seed === "object" ? options.seed : rootKey(options.seed);
  const noise = normals(fold(key, "marginal"), particles * net.latent);
  const name = `log p(x): ${method}` as const;
  return model(function* () {
    const x = yield* sample("x", improper(real, [net.features]).event(1));
    const lead = x.shape.slice(0, -1);
    const rows = tf.reshape(x, [-1, net.features]);
    const logDensity = yield* (method === "fisher" ? importance : bound)(net, rows, noiseOf(noise, net.latent));
    yield* factor(name, tf.reshape(logDensity, lead));
    return x;
  });
}

const noiseOf = (noise: Float32Array, latent: number): tf.Tensor =>
  tf.tensor(noise, [noise.length / latent, 1, latent]);

/** log p(x|z), `[K, n]`. @throws `not-differentiable`. */
function* likelihood(net: Generative, x: tf.Tensor, z: tf.Tensor): Program<ParamEffect, tf.Tensor> {
  const { dist } = yield* net.decode(z);
  if (dist.discrete || dist.family === "bernoulli")
    fail(
      "not-differentiable",
      `marginal: a likelihood of the family ${dist.family} has no gradient in x; run chains over its noise, with inNoise("x")`,
      { site: "x" },
    );
  return dist.event(1).logProb(x);
}

function* importance(net: Generative, x: tf.Tensor, noise: tf.Tensor): Program<ParamEffect, tf.Tensor> {
  const q = yield* net.encode(x);
  const [loc, scale] = [stopGradient(q.loc), stopGradient(q.scale)];
  const z = tf.add(loc, tf.mul(scale, noise));
  const ratio = tf.sum(tf.sub(normal(0, 1).logProb(z), normal(loc, scale).logProb(z)), -1);
  const logWeights = tf.add(yield* likelihood(net, x, z), ratio);
  return tf.sub(logSumExp(logWeights, 0), Math.log(noise.shape[0] as number));
}

function* bound(net: Generative, x: tf.Tensor, noise: tf.Tensor): Program<ParamEffect, tf.Tensor> {
  const { loc, scale } = yield* net.encode(x);
  const z = tf.add(loc, tf.mul(scale, noise));
  const ratio = tf.sum(tf.sub(normal(0, 1).logProb(z), normal(loc, scale).logProb(z)), -1);
  return tf.mean(tf.add(yield* likelihood(net, x, z), ratio), 0);
}
