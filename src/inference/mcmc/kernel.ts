/**
 * What a sampler is: a kernel of two pure functions over tensors of all chains, `init` and `step`. It says what noise a step takes; the
 * driver makes that, compiles, repeats, adapts and reports. One kernel is one file that reads like its paper.
 */
import * as tf from "@tensorflow/tfjs-core";

/** log p and its gradient at positions of all chains. */
export interface Evaluation {
  /** log p(x) up to a constant, `[chains]`. */
  readonly logp: tf.Tensor;
  /** ∇log p(x), `[chains, d]`. */
  readonly grad: tf.Tensor;
}

/** Evaluates unconstrained positions x `[chains, d]`: every chain by itself. Neither density nor gradient need be finite. */
export interface Target {
  (x: tf.Tensor): Evaluation;
  /** The density alone, for kernels that follow no gradient. */
  logp(x: tf.Tensor): tf.Tensor;
}

/** What a step carries to the next: chains on the first axis, but for the step size. */
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

/** What one step was like, `[chains]` each. */
export interface StepInfo {
  /**
   * Acceptance probability of each chain's proposal; it counts as 0 where the proposal was not finite, whatever stands here. Absent where a
   * kernel takes all.
   */
  readonly acceptance?: tf.Tensor;
  /** Whether the proposal's density and gradient were finite; where they were not, it was not taken. */
  readonly finite: tf.Tensor;
}

/**
 * A sampler of p^{1/T}, as a value.
 *
 * @remarks Both functions are pure, synchronous and made of tensor operations alone: they run op by op, or are recorded once and compiled.
 * What leaves an entry of the state as it is returns that very tensor.
 */
export interface Kernel<S extends KernelState = KernelState, N extends NoiseKinds = NoiseKinds> {
  readonly name: string;
  readonly noise: N;
  /** The state at positions x, but for the step size. */
  init(x: tf.Tensor, target: Target): Omit<S, "eta">;
  /** One step of every chain. */
  step(state: S, noise: { readonly [Name in keyof N]: tf.Tensor }, target: Target): readonly [S, StepInfo];
}

/** The steps of a kernel without the way to their first state. */
export type Steps<S extends KernelState = KernelState, N extends NoiseKinds = NoiseKinds> = Omit<Kernel<S, N>, "init">;

/** What all kernels that follow a gradient carry. */
export interface GradientState extends KernelState {
  readonly logp: tf.Tensor;
  readonly grad: tf.Tensor;
}

/** A target, of its density and of both. */
export const targetOf = (evaluate: (x: tf.Tensor) => Evaluation, logp = (x: tf.Tensor) => evaluate(x).logp): Target =>
  Object.assign((x: tf.Tensor) => evaluate(x), { logp });

/** The state of a kernel that carries density and gradient. */
export const evaluated = (x: tf.Tensor, target: Target): Omit<GradientState, "eta"> => ({ x, ...target(x) });

/** Evaluates the target where the chains are, after it has changed. */
export const reevaluation: Steps<GradientState, {}> = {
  name: "reevaluate",
  noise: {},
  step(state, _, target) {
    const at = target(state.x);
    return [{ ...state, ...at }, { finite: eachFinite(at.logp) }];
  },
};

/** For each chain the row of `to` where it was taken, `[chains]`, else that of `from`. */
const choose = (taken: tf.Tensor, to: tf.Tensor, from: tf.Tensor): tf.Tensor =>
  tf.where(tf.reshape(taken, [taken.size, ...to.shape.slice(1).map(() => 1)]), to, from);

/** The state in which each chain that took its proposal is there, with what is known of that place. */
export const moveTo = (taken: tf.Tensor, y: tf.Tensor, to: Evaluation, from: GradientState): GradientState => ({
  ...from,
  x: choose(taken, y, from.x),
  logp: choose(taken, to.logp, from.logp),
  grad: choose(taken, to.grad, from.grad),
});

/** Whether each entry is finite. */
export const eachFinite = (x: tf.Tensor): tf.Tensor => tf.less(tf.abs(x), Number.POSITIVE_INFINITY);

/** The mean acceptance probability over chains, a scalar; 1 for a kernel that takes all. */
export const meanAcceptance = ({ acceptance, finite }: StepInfo): tf.Tensor =>
  acceptance === undefined ? tf.scalar(1) : tf.mean(tf.where(finite, acceptance, tf.zerosLike(acceptance)));

/**
 * The rule of Metropolis and Hastings: a proposal is taken with probability min(1, r). Where log r is not finite it never is.
 *
 * @param logRatio - log r, `[chains]`.
 * @param u - Uniforms, `[chains]`.
 */
export function metropolis(logRatio: tf.Tensor, u: tf.Tensor): { readonly taken: tf.Tensor; readonly info: StepInfo } {
  const finite = eachFinite(logRatio);
  const ratio = tf.exp(logRatio);
  const taken = tf.logicalAnd(finite, tf.less(u, ratio));
  return { taken, info: { acceptance: tf.minimum(ratio, 1), finite } };
}
