/** A run of draws that is recorded once and stands for many: its key, its first draw and its rows are read anew in every run. */
import { fail } from "../../core/errors.ts";
import { fold, type Key, tracedKey } from "../../core/key.ts";
import { currentTracer, currentValue, type MaybeTraced } from "../../core/tracing.ts";
import type { Subsample } from "../problem/minibatch.ts";

/** What differs between runs of draws of one size. */
export interface DrawRun {
  readonly key: Key;
  /** Index of the first draw. Default 0. */
  readonly first?: MaybeTraced;
  readonly subsample?: Subsample;
}

/** Draws so far apart have nothing in common. */
const APART = 1_000_003;

/**
 * A run that stands for all of its size.
 *
 * @param other - A run of other rows than `first`, where there is one: what the rows decide must not be frozen.
 */
export function tracedRun<R extends DrawRun>(what: string, first: R, other: R) {
  let now = first;
  const onHost = <T>(value: () => T): T =>
    currentTracer() === undefined ? value() : fail("trace", `${what}: the words of a key are read in the model`);
  const standIn: R = {
    ...first,
    key: tracedKey(() => onHost(() => now.key)),
    first: () => onHost(() => currentValue(now.first ?? 0)),
    ...(first.subsample && {
      subsample: (...plate: Parameters<Subsample>) => (now.subsample as Subsample)(...plate),
    }),
  };
  return {
    /** To be recorded. */
    standIn,
    /** What it stands for from now on. */
    set(run: R): void {
      now = run;
    },
    /** For `compileStep`: brings it to one of two places that have nothing in common. */
    vary(state: 0 | 1): void {
      now = { ...(state === 0 ? first : other), key: fold(first.key, `record ${state}`), first: state * APART };
    },
  };
}
