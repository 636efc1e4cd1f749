/**
 * Step-size adaptation by dual averaging (Nesterov 2009; Hoffman & Gelman 2014, section 3.2): pure functions of scalar tensors, so
 * that it runs inside a warm-up step, compiled or op by op.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { type KernelState, meanAcceptance, type NoiseKinds, type Transition } from "./kernel.ts";

/** State of the adaptation, scalars. The step size itself is the kernel's. */
export interface StepSizeState {
  /** The average that is used once warm-up is over. */
  readonly logAverage: tf.Tensor;
  /** Weighted mean of target − acceptance. */
  readonly error: tf.Tensor;
  readonly count: tf.Tensor;
  /** μ: the log step size towards which iterates shrink. */
  readonly centre: tf.Tensor;
}

const GAMMA = 0.05;
const T0 = 10;
const KAPPA = 0.75;
/** Least log step size: its exponential is far from the least number of single precision. */
const LEAST_LOG_STEP = -60;

/** Iterates shrink towards ten times the first step size: steps that are too large are cheap to detect, steps that are too small are not. */
const startStepSize = (step: tf.Tensor): StepSizeState => ({
  logAverage: tf.log(step),
  error: tf.zerosLike(step),
  count: tf.zerosLike(step),
  centre: tf.log(tf.mul(10, step)),
});

/** The adaptation after a step with this mean acceptance, a scalar, and the next step size. */
function adaptStepSize(
  state: StepSizeState,
  acceptance: tf.Tensor,
  target: number,
): { readonly adaptation: StepSizeState; readonly eta: tf.Tensor } {
  const count = tf.add(state.count, 1);
  const weight = tf.div(1, tf.add(count, T0));
  // (1 − w)e + w(δ − α)
  const error = tf.add(state.error, tf.mul(weight, tf.sub(tf.sub(target, acceptance), state.error)));
  const free = tf.sub(state.centre, tf.mul(tf.div(tf.sqrt(count), GAMMA), error));
  const logStep = tf.maximum(free, LEAST_LOG_STEP);
  const share = tf.pow(count, -KAPPA);
  const logAverage = tf.add(state.logAverage, tf.mul(share, tf.sub(logStep, state.logAverage)));
  return { adaptation: { ...state, count, error, logAverage }, eta: tf.exp(logStep) };
}

/** Entries of {@link StepSizeState}, which are carried next to those of a kernel's state. */
const ENTRIES = ["logAverage", "error", "count", "centre"] as const;
const named = (entry: (typeof ENTRIES)[number]) => `adaptation/${entry}`;

const entriesOf = (adaptation: StepSizeState) =>
  Object.fromEntries(ENTRIES.map((entry) => [named(entry), adaptation[entry]]));
const adaptationIn = (state: KernelState) =>
  Object.fromEntries(ENTRIES.map((entry) => [entry, state[named(entry)]])) as unknown as StepSizeState;

/** The state of a kernel with that of the adaptation, as {@link adapting} carries it. */
export const startAdapting = (state: KernelState): KernelState => ({
  ...state,
  ...entriesOf(startStepSize(state.eta)),
});

/** The state of the kernel at the end of a warm-up, with the averaged step size. */
export function endAdapting(state: KernelState): KernelState {
  const kept = Object.entries(state).filter(([name]) => !ENTRIES.some((entry) => named(entry) === name));
  return { ...Object.fromEntries(kept), eta: tf.exp(adaptationIn(state).logAverage) } as KernelState;
}

/**
 * The steps of a kernel, each of which adapts its step size to a mean acceptance, after {@link startAdapting}.
 *
 * @throws `argument` in a step of a kernel that accepts every proposal.
 */
export const adapting = <N extends NoiseKinds>(
  { name, noise, step }: Transition<KernelState, N>,
  target: number,
): Transition<KernelState, N> => ({
  name,
  noise,
  step(state, given, at) {
    const [next, info] = step(state, given, at);
    if (info.acceptance === undefined)
      fail(
        "argument",
        `${name}: every proposal is accepted, so that no step size follows from the acceptance; leave out targetAcceptance`,
      );
    const { adaptation, eta } = adaptStepSize(adaptationIn(state), meanAcceptance(info), target);
    // Entries that are not the kernel's are carried along.
    return [{ ...state, ...next, ...entriesOf(adaptation), eta }, info];
  },
});
