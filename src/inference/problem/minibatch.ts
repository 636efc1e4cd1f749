/** Minibatches: every plate goes through a fresh shuffle of its rows in each epoch, the same in model and guide. */
import { fold, type Key } from "../../core/key.ts";
import { permutation } from "../../core/random/discrete.ts";
import type { ChooseRows } from "../../effects/run-handlers.ts";

/** Chooses `rows` of the `size` rows of a plate, as {@link withRows} asks. */
export type Subsample = ChooseRows;

/** Whole minibatches in one pass over a plate. Rows left over are not in that epoch; the shuffle decides which. */
export const batchesPerEpoch = (size: number, rows: number): number => Math.max(1, Math.floor(size / rows));

/**
 * Rows for every step: batch `step mod n` of the shuffle number `⌊step / n⌋`, n = {@link batchesPerEpoch}.
 *
 * @remarks Rows depend on the key, the plate's name and the step alone, so that a resumed run sees the same batches. All batches
 * have the same length; each row is equally likely to be in each, so that size/rows is the unbiased scale.
 */
export function minibatches(key: Key): (step: number) => Subsample {
  // A cache of the shuffle of each plate's current epoch; results do not depend on it.
  const shuffles = new Map<string, { readonly epoch: number; readonly size: number; readonly order: Int32Array }>();
  return (step) => (name, size, rows) => {
    const perEpoch = batchesPerEpoch(size, rows);
    const epoch = Math.floor(step / perEpoch);
    let shuffle = shuffles.get(name);
    if (shuffle === undefined || shuffle.epoch !== epoch || shuffle.size !== size) {
      shuffle = { epoch, size, order: permutation(fold(fold(key, name), epoch), size) };
      shuffles.set(name, shuffle);
    }
    const from = (step % perEpoch) * rows;
    return shuffle.order.slice(from, from + rows);
  };
}

/** All rows of every plate. */
export const allRows: Subsample = (_, size) => Int32Array.from({ length: size }, (__, i) => i);
