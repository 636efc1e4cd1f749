/** Training of an energy can diverge: the stop rule watches the gap between energies of data and of negatives, and finds the last good state. */
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import type { GoodState } from "../train/recovery.ts";

/** When to stop a training that diverges. */
export interface StopRule {
  /** Checks in a row over which the gap must have risen. Default 5. */
  readonly patience?: number;
  /** Least ratio of the gap to its smallest value so far. Default 4. */
  readonly growth?: number;
  /** Gaps below so many nats never stop a run. Default 2. */
  readonly floor?: number;
}

/** Energies at one check: means over the steps since the check before. */
export interface EnergyCheck {
  readonly step: number;
  /** Mean energy of data, E_q[E], and of negatives, E_{p_E}[E], without the arbitrary constant: negatives are at 0. */
  readonly target: number;
  readonly negatives: number;
  /** |E_q[E] − E_{p_E}[E]|: zero at the optimum. */
  readonly gap: number;
}

/** Why to stop, or undefined. */
export function divergence(checks: readonly EnergyCheck[], rule: StopRule = {}): string | undefined {
  const { patience = 5, growth = 4, floor = 2 } = rule;
  const last = checks[checks.length - 1];
  if (last === undefined || checks.length <= patience) return undefined;
  const recent = checks.slice(-patience - 1);
  const rising = recent.every((check, i) => i === 0 || check.gap > (recent[i - 1] as EnergyCheck).gap);
  const least = Math.min(...checks.map(({ gap }) => gap));
  if (!rising || last.gap < floor || last.gap < growth * least) return undefined;
  return `the gap |E_data − E_negatives| rose ${patience} checks in a row to ${last.gap.toPrecision(3)} nats, from ${least.toPrecision(3)} at its least: the negatives no longer follow the energy`;
}

/**
 * The newest good state from before the gap began to rise; the oldest if all are younger. A run that diverged between checks goes back to its
 * newest state.
 */
export function lastGood(
  good: readonly GoodState[],
  checks: readonly EnergyCheck[],
  rule: StopRule,
): GoodState | undefined {
  let last = checks.length;
  if (divergence(checks, rule) !== undefined) {
    last = checks.length - 1;
    while (last > 0 && (checks[last]?.gap as number) > (checks[last - 1]?.gap as number)) last--;
  }
  const most = checks[last]?.step ?? Number.POSITIVE_INFINITY;
  return good.findLast(({ step }) => step <= most) ?? good[0];
}

/** @throws `argument` on a rule out of range. */
export function checkStopRule(what: string, rule: StopRule): StopRule {
  const { patience = 1, growth = 1, floor = 0 } = rule;
  checkWhole(what, "stop.patience", patience);
  if (!(growth >= 1)) fail("argument", `${what}: stop.growth must be at least 1, got ${growth}`);
  if (!(floor >= 0)) fail("argument", `${what}: stop.floor must not be negative, got ${floor}`);
  return rule;
}
