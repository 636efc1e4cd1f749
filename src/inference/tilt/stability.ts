/** Training of an energy can run away: this watches the gap between energies of data and of negatives, and finds the last good state. */
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import type { GoodState } from "../train/recovery.ts";

/** When to stop an energy that runs away. */
export interface StopRule {
  /** Looks in a row over which the gap must have risen. Default 5. */
  readonly looks?: number;
  /** How many times its least value so far the gap must have become. Default 4. */
  readonly growth?: number;
  /** Gaps below so many nats never stop a run. Default 2. */
  readonly floor?: number;
}

/** What is seen at a look: means over the steps since the one before. */
export interface EnergyLook {
  readonly step: number;
  /** Mean energy of data, E_q[E], and of negatives, E_{p_E}[E], after the constant of the run is taken out. */
  readonly target: number;
  readonly negatives: number;
  /** |E_q[E] − E_{p_E}[E]|: zero at the optimum. */
  readonly gap: number;
}

/** Why to stop, or undefined. */
export function divergence(looks: readonly EnergyLook[], rule: StopRule = {}): string | undefined {
  const { looks: patience = 5, growth = 4, floor = 2 } = rule;
  const last = looks[looks.length - 1];
  if (last === undefined || looks.length <= patience) return undefined;
  const recent = looks.slice(-patience - 1);
  const rising = recent.every((look, i) => i === 0 || look.gap > (recent[i - 1] as EnergyLook).gap);
  const least = Math.min(...looks.map(({ gap }) => gap));
  if (!rising || last.gap < floor || last.gap < growth * least) return undefined;
  return `the gap |E_data − E_negatives| rose ${patience} looks in a row to ${last.gap.toPrecision(3)} nats, from ${least.toPrecision(3)} at its least: the negatives no longer follow the energy`;
}

/**
 * The newest good state from before the gap began to rise; the oldest if all are younger. A run that blew up between looks goes back to its
 * newest state.
 */
export function lastGood(
  good: readonly GoodState[],
  looks: readonly EnergyLook[],
  rule: StopRule,
): GoodState | undefined {
  let last = looks.length;
  if (divergence(looks, rule) !== undefined) {
    last = looks.length - 1;
    while (last > 0 && (looks[last]?.gap as number) > (looks[last - 1]?.gap as number)) last--;
  }
  const most = looks[last]?.step ?? Number.POSITIVE_INFINITY;
  return good.findLast(({ step }) => step <= most) ?? good[0];
}

/** @throws `argument` on a rule out of range. */
export function checkStopRule(what: string, rule: StopRule): StopRule {
  const { looks = 1, growth = 1, floor = 0 } = rule;
  checkWhole(what, "stop.looks", looks);
  if (!(growth >= 1)) fail("argument", `${what}: stop.growth must be at least 1, got ${growth}`);
  if (!(floor >= 0)) fail("argument", `${what}: stop.floor must not be negative, got ${floor}`);
  return rule;
}
