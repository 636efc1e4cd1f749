/** A run of draws that is traced once and run many times: its key, first draw and rows are inputs, read anew in every run. */
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

/** Index of the first draw in the second of the two traces that are compared: no draw is in both. */
const UNRELATED_OFFSET = 1_000_003;

/**
 * A traced run that stands for all runs of its size.
 *
 * @param other - A run of other rows than `first`, where there is one: what depends on the rows must not become a constant.
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
    /** The run to trace. */
    standIn,
    /** Sets the run that its inputs are read from. */
    set(run: R): void {
      now = run;
    },
    /** For `compileStep`: sets one of two runs that have no draw in common. */
    vary(state: 0 | 1): void {
      now = {
        ...(state === 0 ? first : other),
        key: fold(first.key, `record ${state}`),
        first: state * UNRELATED_OFFSET,
      };
    },
  };
}
