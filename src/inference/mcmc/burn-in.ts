/**
 * Burn-in: from an overdispersed start to the bulk of the posterior, however far. It is the first part of a warm-up and need not keep
 * detailed balance. Every coordinate of every chain has its own scale s and moves by ½s²∇log p, at most s, plus noise s√T ξ: unadjusted
 * Langevin dynamics with a diagonal preconditioner. As in resilient propagation (Riedmiller & Braun 1993) the scale grows while the
 * gradient keeps its sign and shrinks when the sign turns, so that a distance of D scales takes log D steps instead of D.
 *
 * The noise is the difference to an optimiser: chains arrive at the bulk of the mass, not at the mode, which may hold none (a funnel's neck).
 */
import * as tf from "@tensorflow/tfjs-core";
import { TiltedError } from "../../core/errors.ts";
import type { Key } from "../../core/key.ts";
import { uniform } from "../../core/random/draws.ts";
import { eachFinite, type GradientState, moveTo, type Target, type Transition } from "./kernel.ts";

/** State of the burn-in. */
export interface BurnInState extends GradientState {
  /** s of every coordinate, `[chains, d]`. */
  readonly scale: tf.Tensor;
}

/** Growth of a scale while the gradient, more than one per scale, keeps its sign. */
const GROWTH = 1.3;
/** Growth of a scale while the gradient is less than one per scale. */
const SLOW_GROWTH = 1.15;
/** Factor on a scale when the gradient changes sign, or a proposal has no finite density. */
const CUT = 0.4;

/** The target, or NaN for every proposal where the model throws because some chain's density is not finite. */
function evaluateOrNan(x: tf.Tensor, target: Target): ReturnType<Target> {
  try {
    return target(x);
  } catch (error) {
    if (!(error instanceof TiltedError && error.code === "non-finite")) throw error;
    return { logp: tf.fill([x.shape[0] as number], Number.NaN), grad: tf.zerosLike(x) };
  }
}

/** The first state of a burn-in: every scale is the square root of the step size. */
export const startBurnIn = (state: GradientState): BurnInState => ({
  ...state,
  scale: tf.mul(tf.onesLike(state.x), tf.sqrt(state.eta)),
});

/**
 * The steps of a burn-in, after {@link startBurnIn}.
 *
 * @param T - Temperature.
 */
export const burnIn = (T = 1): Transition<BurnInState, { readonly xi: "normal" }> => ({
  name: "burn-in",
  noise: { xi: "normal" },
  step(state, { xi }, target) {
    const { x, grad, scale } = state;
    const drift = tf.mul(tf.mul(0.5, tf.square(scale)), grad);
    const bounded = tf.maximum(tf.neg(scale), tf.minimum(scale, drift));
    const y = tf.add(tf.add(x, bounded), tf.mul(tf.mul(Math.sqrt(T), scale), xi));
    const to = evaluateOrNan(y, target);
    // The sum is finite only where every term is.
    const accepted = eachFinite(tf.add(to.logp, tf.sum(to.grad, 1)));
    const keeps = tf.greater(tf.mul(grad, to.grad), 0);
    const steep = tf.greater(tf.mul(scale, tf.abs(to.grad)), 1);
    const full = (factor: number) => tf.fill(scale.shape, factor);
    const factor = tf.where(steep, tf.where(keeps, full(GROWTH), full(CUT)), full(SLOW_GROWTH));
    const each = tf.broadcastTo(tf.reshape(accepted, [accepted.size, 1]), scale.shape);
    const next = { ...moveTo(accepted, y, to, state), scale: tf.mul(scale, tf.where(each, factor, full(CUT))) };
    return [next as BurnInState, { finite: accepted }];
  },
});

/** Nats below the median chain's log-density, besides one per dimension, from which a chain counts as stuck: regions of negligible mass. */
const STUCK = 30;

/**
 * For each chain the index of the chain whose position it takes: its own, or for a stuck chain that of one that is not. A chain is stuck when
 * its density is less than e^{−30 − d} of the median chain's: no mode of any weight is that low, so none is lost.
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
