/** Schedules: the learning rate as a function of the step, counted from 0. A schedule is a pure function and composes as one. */
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";

/** Learning rate at a step, counted from 0. */
export type Schedule = (step: number) => number;

/** A number stands for a constant schedule. */
export type Rate = number | Schedule;

/** @throws `argument` when a constant rate is negative or not finite. */
export function toSchedule(rate: Rate): Schedule {
  if (typeof rate === "function") return rate;
  if (!(rate >= 0 && Number.isFinite(rate)))
    fail("argument", `learning rate: expected a non-negative number, got ${rate}`);
  return () => rate;
}

/** The same rate at every step. */
export const constant = (rate: number): Schedule => toSchedule(rate);

/**
 * Half a cosine from `from` at step 0 down to `to` (default 0) at `steps`, and `to` after that:
 * to + (from − to)(1 + cos(π t/steps))/2. (Loshchilov & Hutter 2017, without restarts.)
 *
 * @throws `argument` unless `steps` is a positive integer.
 */
export function cosineDecay({ from, to = 0, steps }: { from: number; to?: number; steps: number }): Schedule {
  checkWhole("cosineDecay", "steps", steps);
  return (step) => to + ((from - to) * (1 + Math.cos(Math.PI * Math.min(1, step / steps)))) / 2;
}

/**
 * `from`·`factor`^(step/steps): multiplied by `factor` every `steps` steps, smoothly.
 *
 * @throws `argument` unless `steps` is a positive integer.
 */
export function exponentialDecay({ from, factor, steps }: { from: number; factor: number; steps: number }): Schedule {
  checkWhole("exponentialDecay", "steps", steps);
  return (step) => from * factor ** (step / steps);
}

/**
 * Grows linearly from 0 over the first `steps` steps (the first step takes 1/steps of the rate), then follows `after`, whose
 * own clock starts when the warm-up ends.
 *
 * @throws `argument` unless `steps` is a positive integer.
 */
export function linearWarmup(steps: number, after: Rate): Schedule {
  checkWhole("linearWarmup", "steps", steps);
  const then = toSchedule(after);
  return (step) => (step < steps ? (then(0) * (step + 1)) / steps : then(step - steps));
}

/**
 * A step function: the rate of the last entry `[start, rate]` whose start is not after the step.
 *
 * @example piecewise([[0, 1e-3], [1000, 1e-4]])
 * @throws `argument` unless starts begin at 0 and increase.
 */
export function piecewise(pieces: readonly (readonly [start: number, rate: number])[]): Schedule {
  if (pieces[0]?.[0] !== 0 || pieces.some(([start], i) => i > 0 && !(start > (pieces[i - 1]?.[0] as number)))) {
    fail("argument", "piecewise: starts must begin at 0 and increase");
  }
  return (step) => (pieces.findLast(([start]) => start <= step) as readonly [number, number])[1];
}
