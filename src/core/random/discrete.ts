/** Choices among finitely many things: classes and orders. */
import seedrandom from "seedrandom";
import { checkWhole } from "../check.ts";
import { fail } from "../errors.ts";
import type { Key } from "../key.ts";
import { gumbel } from "./draws.ts";

/**
 * Indices of classes with probabilities ∝ exp(logits): the largest of logit + Gumbel noise. Row i depends on (key, offset + i)
 * and its own logits only.
 *
 * @param logits `[rows, k]`, up to a constant for each row; −∞ for a class that is never drawn.
 * @throws `argument` for a row without a finite logit, or with one that is NaN or +∞.
 */
export function categorical(key: Key, logits: ArrayLike<number>, rows: number, k: number, offset = 0): Int32Array {
  if (logits.length !== rows * k) fail("argument", `categorical: expected ${rows}·${k} logits, got ${logits.length}`);
  const noise = gumbel(key, rows * k, offset * k);
  return Int32Array.from({ length: rows }, (_, row) => {
    let best = Number.NEGATIVE_INFINITY;
    let chosen = -1;
    for (let j = 0; j < k; j++) {
      const logit = logits[row * k + j] as number;
      if (!(logit < Number.POSITIVE_INFINITY))
        fail("argument", `categorical: logit ${j} of row ${row} is ${logit}; expected a finite number or −∞`);
      const score = logit + (noise[row * k + j] as number);
      if (score > best) [best, chosen] = [score, j];
    }
    return chosen < 0 ? fail("argument", `categorical: every logit of row ${row} is −∞`) : chosen;
  });
}

/** A uniformly random order of 0 … n − 1 (Fisher & Yates), by `seedrandom`. */
export function permutation(key: Key, n: number): Int32Array {
  checkWhole("permutation", "n", n, 0);
  const random = seedrandom(`${key.hi}:${key.lo}`);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}
