/**
 * Reservoir sampling: unweighted draws from a stream of weighted ones, which is not stored (Chao 1982, one slot at a time). Each slot holds one
 * draw, which every part of the stream replaces with probability (weight of the part)/(weight so far).
 */
import { fold, type Key } from "../../core/key.ts";
import { uniform } from "../../core/random/draws.ts";
import type { PartWeights } from "../numeric/weighted-moments.ts";

/** A slot whose draw is replaced: draw `draw` of this part, row `row`. */
export interface Replacement {
  readonly slot: number;
  readonly row: number;
  readonly draw: number;
}

/**
 * Replacements by one part, for every row: after all parts, slots hold independent multinomial draws.
 *
 * @param key - Must differ between parts.
 */
export function replacements(slots: number, { draws, weights, sum }: PartWeights, key: Key): Replacement[] {
  const rows = sum.length;
  const found: Replacement[] = [];
  const [taken, picked] = ["take", "pick"].map((name) => uniform(fold(key, name), slots * rows)) as [
    Float32Array,
    Float32Array,
  ];
  const cumulative = new Float64Array(draws);
  for (let row = 0; row < rows; row++) {
    let total = 0;
    for (let i = 0; i < draws; i++) {
      total += weights[i * rows + row] as number;
      cumulative[i] = total;
    }
    for (let slot = 0; slot < slots; slot++) {
      if (!((taken[slot * rows + row] as number) * (sum[row] as number) < total)) continue;
      const point = (picked[slot * rows + row] as number) * total;
      let [low, high] = [0, draws - 1];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((cumulative[middle] as number) > point) high = middle;
        else low = middle + 1;
      }
      found.push({ slot, row, draw: low });
    }
  }
  return found;
}
