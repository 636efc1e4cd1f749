/**
 * What a sampler is: a kernel, two pure functions `init` and `step` over tensors of all chains. It names the noise that a step takes; the
 * driver draws that noise, compiles, repeats, adapts and reports. One kernel is one file that reads like its paper.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";

/** log p and its gradient at positions of all chains. */
export interface Evaluation {
  /** log p(x) up to a constant, `[chains]`. */
  readonly logp: tf.Tensor;
  /** ∇log p(x), `[chains, d]`. */
  readonly grad: tf.Tensor;
}

/** Evaluates unconstrained positions x `[chains, d]`, each chain independently. Neither density nor gradient need be finite. */
export interface Target {
  (x: tf.Tensor): Evaluation;
  /** The density alone, for kernels that follow no gradient. */
  logp(x: tf.Tensor): tf.Tensor;
  /** log of the density of the sites under their own distributions, `[chains]`, for kernels that propose from the prior. */
  logPrior(x: tf.Tensor): tf.Tensor;
}

/** What one step carries to the next: entries have chains on the first axis, except the step size. */
export interface KernelState {
  /** Unconstrained positions of all sites, `[chains, d]`. */
  readonly x: tf.Tensor;
  /** η, a scalar. The driver sets it and adapts it in warm-up. */
  readonly eta: tf.Tensor;
  readonly [name: string]: tf.Tensor;
}

/**
 * Kinds of noise: `normal`, standard and of the shape of x; `uniform` on (0, 1), `[chains]`; `prior`, positions drawn from the model's own
 * prior, of the shape of x.
 */
export type NoiseKind = "normal" | "uniform" | "prior";

/** Noise of a kernel, by name. The names are part of its random numbers: those of another name are others. */
export type NoiseKinds = { readonly [name: string]: NoiseKind };

/** What a step reports, `[chains]` each. */
export interface StepInfo {
  /**
   * Acceptance probability of each chain's proposal; it counts as 0 where the proposal was not finite, whatever stands here. Absent where a
   * kernel accepts every proposal.
   */
  readonly acceptance?: tf.Tensor;
  /** Whether the proposal's density and gradient were finite; a proposal that was not finite is rejected. */
  readonly finite: tf.Tensor;
}

/**
 * A sampler of p^{1/T}, as a value.
 *
 * @remarks Both functions are pure, synchronous and made of tensor operations alone: they run op by op, or are traced once and compiled.
 * A step that does not change an entry of the state returns the same tensor.
 */
export interface Kernel<S extends KernelState = KernelState, N extends NoiseKinds = NoiseKinds> {
  readonly name: string;
  readonly noise: N;
  /** The state at positions x, without the step size. */
  init(x: tf.Tensor, target: Target): Omit<S, "eta">;
  /** One step of every chain. */
  step(state: S, noise: { readonly [Name in keyof N]: tf.Tensor }, target: Target): readonly [S, StepInfo];
}

/** A transition kernel alone: the steps, without `init`. */
export type Transition<S extends KernelState = KernelState, N extends NoiseKinds = NoiseKinds> = Omit<
  Kernel<S, N>,
  "init"
>;

/** The state of kernels that follow a gradient. */
export interface GradientState extends KernelState {
  readonly logp: tf.Tensor;
  readonly grad: tf.Tensor;
}

/** A target from a function for density and gradient, and functions for the density alone and for the prior. */
export const targetOf = (
  evaluate: (x: tf.Tensor) => Evaluation,
  { logp = (x) => evaluate(x).logp, logPrior = noPrior }: Partial<Pick<Target, "logp" | "logPrior">> = {},
): Target => Object.assign((x: tf.Tensor) => evaluate(x), { logp, logPrior });

const noPrior = (): never => fail("unsupported", "this target has no prior to propose from");

/** `init` of kernels whose state holds density and gradient. */
export const gradientStateAt = (x: tf.Tensor, target: Target): Omit<GradientState, "eta"> => ({ x, ...target(x) });

/** Evaluates the target again at the chains' positions, after the target has changed. */
export const reevaluation: Transition<GradientState, {}> = {
  name: "reevaluate",
  noise: {},
  step(state, _, target) {
    const at = target(state.x);
    return [{ ...state, ...at }, { finite: eachFinite(at.logp) }];
  },
};

/** For each chain the row of `to` where `accepted` `[chains]` holds, else that of `from`. */
const choose = (accepted: tf.Tensor, to: tf.Tensor, from: tf.Tensor): tf.Tensor =>
  tf.where(tf.reshape(accepted, [accepted.size, ...to.shape.slice(1).map(() => 1)]), to, from);

/** The state after accept or reject: chains that accept are at their proposal y, with its density and gradient. */
export const moveTo = (accepted: tf.Tensor, y: tf.Tensor, to: Evaluation, from: GradientState): GradientState => ({
  ...from,
  x: choose(accepted, y, from.x),
  logp: choose(accepted, to.logp, from.logp),
  grad: choose(accepted, to.grad, from.grad),
});

/** Whether each entry is finite. */
export const eachFinite = (x: tf.Tensor): tf.Tensor => tf.less(tf.abs(x), Number.POSITIVE_INFINITY);

/** The mean acceptance probability over chains, a scalar; 1 for a kernel that accepts every proposal. */
export const meanAcceptance = ({ acceptance, finite }: StepInfo): tf.Tensor =>
  acceptance === undefined ? tf.scalar(1) : tf.mean(tf.where(finite, acceptance, tf.zerosLike(acceptance)));

/**
 * The Metropolis–Hastings rule: a proposal is accepted with probability min(1, r), and never where log r is not finite.
 *
 * @param logRatio - log r, `[chains]`.
 * @param u - Uniforms, `[chains]`.
 */
export function metropolis(
  logRatio: tf.Tensor,
  u: tf.Tensor,
): { readonly accepted: tf.Tensor; readonly info: StepInfo } {
  const finite = eachFinite(logRatio);
  const ratio = tf.exp(logRatio);
  const accepted = tf.logicalAnd(finite, tf.less(u, ratio));
  return { accepted, info: { acceptance: tf.minimum(ratio, 1), finite } };
}
