/** Estimates of ∇ log p(x) as drifts of `langevin`: chains over x alone, p(x) e^{−E(x)}/Z, with the latent integrated out. */
import * as tf from "@tensorflow/tfjs-core";
import { checkWhole } from "../../core/check.ts";
import { fold, rootKey } from "../../core/key.ts";
import { normal } from "../../dist/index.ts";
import { interpret } from "../../effects/interpret.ts";
import { logSumExp, stopGradient } from "../../engine/ops.ts";
import {
  checkSmooth,
  elboTerm,
  encoderDraws,
  type LatentVariableModel,
  likelihoodTerm,
  type ScoreTerm,
} from "../problem/latent-variable.ts";
import type { Drift, DriftEstimate } from "./pseudo-marginal.ts";

/** Options of {@link fisherDrift} and {@link elboDrift}. */
export interface DriftOptions {
  /** K, draws of q(z|x) for each chain in each step. Default 64. */
  readonly particles?: number;
}

const PARTICLES = 64;

/**
 * ∇_x log p(x) ≈ Σ_k w_k ∇_x log p(x|z_k), z_k ~ q(z|x) afresh in every step, w_k ∝ p(x, z_k)/q(z_k|x) (Fisher's identity, as
 * `fisherScore`).
 *
 * @remarks With `adjusted` (the default of `langevin`) the acceptance uses p̂(x) = mean_k p(x, z_k)/q(z_k|x), which is unbiased: chains are
 * pseudo-marginal, with stationary distribution e^{−E(x)} p(x)/Z at any K. With `adjusted: false` neither p(x) nor p̂(x) enters: x' = x + η(ŝ(x) − ∇E) +
 * √(2η) ξ, with a bias of the order of η and of 1/K.
 * @example
 * const tilted = pipe(net.base, tilt("x", energy));
 * const chains = await infer(tilted, langevin({ drift: fisherDrift(net), stepSize: 0.1 }), { params, seed: 1 });
 * @throws `argument` unless particles is a positive integer; in the run `not-differentiable` for a discrete likelihood.
 */
export const fisherDrift = (net: LatentVariableModel, options: DriftOptions = {}): Drift<"x"> =>
  driftOf("fisher", net, options, likelihoodTerm, (terms, logWeights) => {
    const weights = stopGradient(tf.softmax(tf.transpose(logWeights)));
    return tf.sum(tf.mul(tf.transpose(weights), terms));
  });

/**
 * **An approximation**: ∇_x ELBO(x), as `elboScore`. Without Metropolis the stationary distribution is not the tilted model,
 * and the result says so; with it they are exact, since the acceptance uses p̂(x), not the drift.
 *
 * @throws As {@link fisherDrift}.
 */
export const elboDrift = (net: LatentVariableModel, options: DriftOptions = {}): Drift<"x"> =>
  driftOf("elbo-approximation", net, options, elboTerm, (terms) => tf.sum(tf.mean(terms, 0)));

/** Σ over chains of the number whose gradient in x is the drift, from `terms` `[K, chains]` and detached log-weights. */
type Combine = (terms: tf.Tensor, logWeights: tf.Tensor) => tf.Tensor;

function driftOf(
  name: Drift["name"],
  net: LatentVariableModel,
  { particles = PARTICLES }: DriftOptions,
  term: (net: LatentVariableModel) => ScoreTerm,
  combine: Combine,
): Drift<"x"> {
  checkWhole(`${name} drift`, "particles", particles);
  return {
    name,
    site: "x",
    particles,
    at(x, key, params): DriftEstimate {
      // Parameters that are not given take the same initial values in every step.
      const given = { params, key: rootKey(name) };
      const noise = normal(tf.zeros([x.shape[0] as number, net.latent]), 1).sample(fold(key, "noise"), [particles]);
      const { z, dist, logWeights } = interpret(encoderDraws(net, x, noise), given).result;
      checkSmooth(name, dist);
      // z is held fixed; `term` decides which part of it depends on x.
      const gradient = tf.grad((at: tf.Tensor) =>
        combine(interpret(term(net)(at, z, noise), given).result, logWeights),
      )(x);
      const norm = logSumExp(logWeights, 0);
      const squares = logSumExp(tf.mul(2, logWeights), 0);
      return {
        gradient,
        logDensity: tf.sub(norm, Math.log(particles)),
        essRatio: tf.div(tf.exp(tf.sub(tf.mul(2, norm), squares)), particles),
      };
    },
  };
}
