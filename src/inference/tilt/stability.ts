/** Training of an energy can run away: this watches the gap between energies of data and of negatives, and keeps the last good states. */
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";

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

/** @throws `argument` on a rule out of range. */
export function checkStopRule(what: string, rule: StopRule): StopRule {
  const { looks = 1, growth = 1, floor = 0 } = rule;
  checkWhole(what, "stop.looks", looks);
  if (!(growth >= 1)) fail("argument", `${what}: stop.growth must be at least 1, got ${growth}`);
  if (!(floor >= 0)) fail("argument", `${what}: stop.floor must not be negative, got ${floor}`);
  return rule;
}

/** A state worth going back to. */
export interface RingEntry {
  readonly step: number;
  readonly params: Float32Array;
}

/** The last `size` states, oldest first. */
export interface Ring {
  push(entry: RingEntry): void;
  readonly entries: readonly RingEntry[];
  /** The newest one of at most this step; the oldest if all are younger. */
  before(step: number): RingEntry | undefined;
}

/** A ring of states: when it is full, the oldest goes. Entries are copied. */
export function ring(size: number): Ring {
  let entries: readonly RingEntry[] = [];
  return {
    push: ({ step, params }) => {
      entries = [...entries, { step, params: params.slice() }].slice(-size);
    },
    get entries() {
      return entries;
    },
    before: (step) => entries.filter((e) => e.step <= step).at(-1) ?? entries[0],
  };
}
