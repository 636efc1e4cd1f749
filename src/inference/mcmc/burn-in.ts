/**
 * The way from an overdispersed start to where the data put the mass, however far: the first part of a warm-up, which owes nothing to
 * detailed balance. Every coordinate of every chain has its own scale s and moves by ½s²∇log p, at most s, plus noise s√T ξ: unadjusted
 * Langevin dynamics with a diagonal preconditioner. As in resilient propagation (Riedmiller & Braun 1993) the scale grows while the
 * gradient keeps its sign and shrinks when the sign turns, so that a distance of D scales takes log D steps, and not D.
 *
 * The noise is what an optimiser lacks: chains arrive where the mass is, not at the mode, which may have none (a funnel's neck).
 */
import * as tf from "@tensorflow/tfjs-core";
import { TiltedError } from "../../core/errors.ts";
import type { Key } from "../../core/key.ts";
import { uniform } from "../../core/random/draws.ts";
import { eachFinite, type GradientState, moveTo, type Steps, type Target } from "./kernel.ts";

/** Chains on their way. */
export interface BurnInState extends GradientState {
  /** s of every coordinate, `[chains, d]`. */
  readonly scale: tf.Tensor;
}

/** While the gradient of more than one per scale keeps its sign. */
const GROWTH = 1.3;
/** While there is hardly any gradient. */
const SLOW_GROWTH = 1.15;
/** When the gradient turns, or a proposal has no density. */
const CUT = 0.4;

/** Where a site of the model has no finite density for some chain, every proposal counts as one without. */
function evaluateOrNot(x: tf.Tensor, target: Target): ReturnType<Target> {
  try {
    return target(x);
  } catch (error) {
    if (!(error instanceof TiltedError && error.code === "non-finite")) throw error;
    return { logp: tf.fill([x.shape[0] as number], Number.NaN), grad: tf.zerosLike(x) };
  }
}

/** Where a burn-in starts: every scale is the root of the step size. */
export const startBurnIn = (state: GradientState): BurnInState => ({
  ...state,
  scale: tf.mul(tf.onesLike(state.x), tf.sqrt(state.eta)),
});

/**
 * The steps of a burn-in, after {@link startBurnIn}.
 *
 * @param T - Temperature.
 */
export const burnIn = (T = 1): Steps<BurnInState, { readonly xi: "normal" }> => ({
  name: "burn-in",
  noise: { xi: "normal" },
  step(state, { xi }, target) {
    const { x, grad, scale } = state;
    const drift = tf.mul(tf.mul(0.5, tf.square(scale)), grad);
    const bounded = tf.maximum(tf.neg(scale), tf.minimum(scale, drift));
    const y = tf.add(tf.add(x, bounded), tf.mul(tf.mul(Math.sqrt(T), scale), xi));
    const to = evaluateOrNot(y, target);
    // A sum is finite where all of it is.
    const taken = eachFinite(tf.add(to.logp, tf.sum(to.grad, 1)));
    const keeps = tf.greater(tf.mul(grad, to.grad), 0);
    const steep = tf.greater(tf.mul(scale, tf.abs(to.grad)), 1);
    const full = (factor: number) => tf.fill(scale.shape, factor);
    const factor = tf.where(steep, tf.where(keeps, full(GROWTH), full(CUT)), full(SLOW_GROWTH));
    const each = tf.broadcastTo(tf.reshape(taken, [taken.size, 1]), scale.shape);
    const next = { ...moveTo(taken, y, to, state), scale: tf.mul(scale, tf.where(each, factor, full(CUT))) };
    return [next as BurnInState, { finite: taken }];
  },
});

/** Log-density below the median chain at which a chain is stuck, beside one for every dimension: places of no mass to speak of. */
const STUCK = 30;

/**
 * For each chain the chain whose place it takes: itself, or for one that did not arrive another that did. A chain is stuck when its density
 * is less than e^{−30 − d} of the median chain's: no mode that counts is that low, so no mode is lost with it.
 */
export function resampleStuckChains(logp: Float32Array, dimension: number, T: number, key: Key): Int32Array {
  const median = logp.slice().sort()[Math.floor(logp.length / 2)] as number;
  const least = median - T * (STUCK + dimension);
  const arrived = Array.from(logp.keys()).filter((c) => (logp[c] as number) >= least);
  const picks = uniform(key, logp.length);
  return Int32Array.from(logp, (l, c) =>
    l >= least ? c : (arrived[Math.floor((picks[c] as number) * arrived.length)] as number),
  );
}
