/** Optimisers as updates of flat buffers, (state, params, gradients) → state: parameters and slots are written in place. */
import { fail } from "../../core/errors.ts";
import type { ArrayTree } from "../../core/tree.ts";
import { adamUpdate } from "../../engine/wasm/adam.ts";
import { sgdUpdate } from "../../engine/wasm/sgd.ts";
import { type Layout, layoutOf, lengthOf } from "./flat.ts";
import { type Rate, type Schedule, toSchedule } from "./schedules.ts";

/** State of an optimiser: plain data, so that it can be stored and a run resumed bit for bit. */
export interface OptimizerState {
  /** Updates made so far. */
  readonly step: number;
  /** Buffers as long as all parameters together, by name: `m`, `v`. */
  readonly slots: { readonly [name: string]: Float32Array };
}

/** An optimiser, as a value. It minimises. */
export interface Optimizer {
  readonly name: string;
  init(params: ArrayTree): OptimizerState;
  /** One update, for a loop that owns its buffers: `params` and the slots of `state` are overwritten, `grads` are left alone. */
  update(state: OptimizerState, params: Float32Array, grads: Float32Array, layout: Layout): Updated;
  /** Whether `update` reports gradients that are not finite, so that the caller need not check them. */
  readonly checksFinite?: boolean;
}

/** A state after an update in place. */
export interface Updated extends OptimizerState {
  /** False where a gradient, or its square, is not finite: if a gradient is not, parameters and slots are invalid. */
  readonly finite?: boolean;
}

/** One update in place. `rate` is the learning rate, `step` counts from 0. Rules that check gradients return a number that is finite if all of them are. */
type Rule = (
  slots: OptimizerState["slots"],
  params: Float32Array,
  grads: Float32Array,
  step: number,
  rate: number,
  layout: Layout,
) => number | undefined;

function optimizer(
  name: string,
  slotNames: readonly string[],
  schedule: Schedule,
  rule: Rule,
  checksFinite = false,
): Optimizer {
  const update: Optimizer["update"] = (state, params, grads, layout) => {
    const found = rule(state.slots, params, grads, state.step, schedule(state.step), layout);
    const next = { step: state.step + 1, slots: state.slots };
    return found === undefined ? next : { ...next, finite: Number.isFinite(found) };
  };
  return {
    name,
    update,
    checksFinite,
    init(params) {
      const n = lengthOf(layoutOf(params));
      return { step: 0, slots: Object.fromEntries(slotNames.map((slot) => [slot, new Float32Array(n)])) };
    },
  };
}

/** A copy that shares no memory. */
export const copyState = ({ step, slots }: OptimizerState): OptimizerState => ({
  step,
  slots: Object.fromEntries(Object.entries(slots).map(([name, slot]) => [name, slot.slice()])),
});

const inUnit = (what: string, x: number) =>
  x >= 0 && x < 1 ? x : fail("argument", `${what} must lie in [0, 1), got ${x}`);

/**
 * A decay rounded to single precision: then 1 − β is exact, and the bias correction is that of the decay in use.
 */
const singleBelowOne = (beta: number): number => Math.min(Math.fround(beta), 1 - 2 ** -24);

/** The least normal number of single precision: a smaller ε might be 0 there, and 0/0 not a number. */
const LEAST_EPSILON = 2 ** -126;

/** Options of {@link adam}. */
export interface AdamOptions {
  /** Decay of the mean of gradients. Default .9. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients. Default .999. */
  readonly beta2?: number;
  /** Added to the root of the second moment. Default 1e-8. */
  readonly epsilon?: number;
}

/** Options of {@link adamw}. */
export interface AdamWOptions extends AdamOptions {
  /** λ of the decoupled decay p ← p − rate·λ·p. Default .01. */
  readonly weightDecay?: number;
  /** Which parameters decay. Default: all. Biases and scales are often left out. */
  readonly decays?: (name: string) => boolean;
}

function adamFamily(name: string, rate: Rate, options: AdamWOptions): Optimizer {
  const { weightDecay = 0, epsilon = 1e-8, decays = () => true } = options;
  const beta1 = singleBelowOne(inUnit(`${name}: beta1`, options.beta1 ?? 0.9));
  const beta2 = singleBelowOne(inUnit(`${name}: beta2`, options.beta2 ?? 0.999));
  if (!(weightDecay >= 0)) fail("argument", `${name}: weightDecay must be non-negative, got ${weightDecay}`);
  if (!(epsilon > 0)) fail("argument", `${name}: epsilon must be positive, got ${epsilon}`);
  return optimizer(
    name,
    ["m", "v"],
    toSchedule(rate),
    (slots, p, g, step, lr, layout) => {
      const m = slots.m as Float32Array;
      const v = slots.v as Float32Array;
      const rate1 = lr / (1 - beta1 ** (step + 1));
      const correction2 = 1 / (1 - beta2 ** (step + 1));
      let most = 0;
      for (const segment of layout) {
        const decay = decays(segment.name) ? lr * weightDecay : 0;
        const end = segment.offset + segment.size;
        const largest = adamUpdate(p, g, m, v, segment.offset, end, {
          beta1,
          beta2,
          rate: rate1,
          correction: correction2,
          epsilon: Math.max(epsilon, LEAST_EPSILON),
          decay,
        });
        most = Math.max(most, largest);
      }
      return most;
    },
    true,
  );
}

/**
 * Adam (Kingma & Ba 2015): p ← p − rate·m̂/(√v̂ + ε), with bias-corrected running means m̂ of g and v̂ of g².
 *
 * @throws `argument` for a negative rate or epsilon, or betas outside [0, 1).
 */
export const adam = (rate: Rate, options: AdamOptions = {}): Optimizer =>
  adamFamily("adam", rate, { ...options, weightDecay: 0 });

/**
 * Adam with decoupled weight decay (Loshchilov & Hutter 2019): p ← p − rate·(m̂/(√v̂ + ε) + λp).
 *
 * @throws `argument` as {@link adam}, and for a negative decay.
 */
export const adamw = (rate: Rate, options: AdamWOptions = {}): Optimizer =>
  adamFamily("adamw", rate, { weightDecay: 0.01, ...options });

/** Options of {@link sgd}. */
export interface SgdOptions {
  /** Decay of the velocity. Default 0: plain gradient descent. */
  readonly momentum?: number;
  /** Looks ahead along the velocity (Nesterov). Default false. */
  readonly nesterov?: boolean;
}

/**
 * Stochastic gradient descent: u ← momentum·u + g, p ← p − rate·u; with `nesterov`, p ← p − rate·(g + momentum·u).
 *
 * @throws `argument` for a negative rate, or a momentum outside [0, 1).
 */
export function sgd(rate: Rate, options: SgdOptions = {}): Optimizer {
  const momentum = inUnit("sgd: momentum", options.momentum ?? 0);
  const { nesterov = false } = options;
  return optimizer("sgd", momentum > 0 ? ["u"] : [], toSchedule(rate), ({ u }, p, g, _step, rate) => {
    sgdUpdate(p, g, u, { rate, momentum, nesterov });
    return undefined;
  });
}
