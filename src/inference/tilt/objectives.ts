/**
 * Objectives that fit the energy of a tilt, p_E = e^{−E} p / Z, to draws of a target q. Each is a loss of two batches of
 * energies, at draws of q and of the base p, and states its exact optimum.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { logSumExp, softplus } from "../../engine/ops.ts";

/** Energies of one batch, shape `[n]`, and optionally their weights (summing to 1; default 1/n each). */
export interface Energies {
  readonly energy: tf.Tensor;
  readonly weights?: tf.Tensor;
}

/** A loss to be minimised over E. */
export interface TiltObjective {
  readonly name: string;
  /** Scalar, from energies at draws of the target q and of the base p. */
  loss(target: Energies, base: Energies): tf.Tensor;
  /** What e^{−E} is at the optimum. `ratio`: q/p. `ratio-up-to-constant`: c·q/p. `biased`: something else, see the docstring. */
  readonly optimum: "ratio" | "ratio-up-to-constant" | "biased";
}

const mean = (x: tf.Tensor, { weights }: Energies): tf.Tensor =>
  weights === undefined ? tf.mean(x) : tf.sum(tf.mul(x, weights));

/** log E[e^{−E}]. */
const logMeanExpNeg = ({ energy, weights }: Energies): tf.Tensor => {
  const logWeights = weights === undefined ? -Math.log(energy.size) : tf.log(weights);
  return logSumExp(tf.sub(logWeights, energy), 0);
};

/**
 * The logistic density ratio: E_q[softplus(E)] + E_p[softplus(−E)], the loss of a classifier of q against p with logit −E.
 *
 * Optimum E = −log(q/p), where the loss is 2 log 2 − 2 JS(q, p). Never unbounded below, so it needs no regulariser against
 * runaway energies. (Sugiyama et al. 2012; noise-contrastive estimation, Gutmann & Hyvärinen 2012.)
 */
export const logistic = (): TiltObjective => ({
  name: "logistic",
  optimum: "ratio",
  loss: (q, p) => tf.add(mean(softplus(q.energy), q), mean(softplus(tf.neg(p.energy)), p)),
});

/**
 * SNIS maximum likelihood: E_q[E] + log E_p[e^{−E}], the Donsker–Varadhan form of −KL(q ‖ p).
 *
 * Optimum E = −log(q/p) + c for any c, where the loss is −KL(q ‖ p). With n base draws the log of a mean is optimistic by
 * Var(w)/(2nZ²).
 */
export const snisLikelihood = (): TiltObjective => ({
  name: "snis-likelihood",
  optimum: "ratio-up-to-constant",
  loss: (q, p) => tf.add(mean(q.energy, q), logMeanExpNeg(p)),
});

/**
 * The self-normalised lower bound: E_q[E] + E_p[e^{−E}] − 1.
 *
 * From −log Z ≥ 1 − b − e^{−b}Z, tight at b = log Z, with b absorbed into E: every gradient is unbiased, whatever the number
 * of base draws. Optimum E = −log(q/p), normalised (Z = 1), where the loss is −KL(q ‖ p).
 */
export const selfNormalized = (): TiltObjective => ({
  name: "self-normalized",
  optimum: "ratio",
  loss: (q, p) => tf.sub(tf.add(mean(q.energy, q), mean(tf.exp(tf.neg(p.energy)), p)), 1),
});

/** The only λ of the surrogate whose tilt has unit slope in log(q/p) near q = p. */
const UNIT_SLOPE = 1 / 4;

/**
 * The contrastive surrogate: E_q[E] − E_p[E] + λ(E_q[E²] + E_p[E²]).
 *
 * Optimum E = −(1/2λ)·(q − p)/(q + p), so |E| ≤ 1/(2λ), where the loss is −Δ/(4λ), Δ = ∫(q − p)²/(q + p). This is no density
 * ratio: near q = p the tilt is (q/p)^{1/(4λ)}, and the customary λ = .1 over-corrects to the power 2.5.
 *
 * @throws `argument` unless λ is positive.
 */
export function contrastive(lambda = UNIT_SLOPE): TiltObjective {
  if (!(lambda > 0)) fail("argument", `contrastive: lambda must be positive, got ${lambda}`);
  const term = (e: Energies) => mean(tf.square(e.energy), e);
  return {
    name: `contrastive(${lambda})`,
    optimum: "biased",
    loss: (q, p) => tf.add(tf.sub(mean(q.energy, q), mean(p.energy, p)), tf.mul(lambda, tf.add(term(q), term(p)))),
  };
}
