/** Disjoint splits by a seed: a biased and a balanced set of digits, and training against validation rows. */
import { checkWhole } from "../core/check.ts";
import { fail } from "../core/errors.ts";
import { fold, rootKey, type Seed } from "../core/key.ts";
import { permutation } from "../core/random/discrete.ts";
import { type Digits, rowsByClass, takeRows } from "./digits.ts";

/** What {@link biasedSplit} takes. */
export interface BiasedSplitOptions {
  /** Classes kept; the others are dropped. */
  readonly classes: readonly number[];
  /** Share of each class in the biased set, summing to one. */
  readonly shares: readonly number[];
  /** Size of the biased set as a share of all rows of these classes, in (0, 1]. */
  readonly keep: number;
  readonly seed: Seed;
}

/** Three sets with no row in common. */
export interface BiasedSplit {
  readonly biased: Digits;
  readonly unbiased: Digits;
  /** Rows of the classes that are in neither set. */
  readonly rest: Digits;
  /** Rows of each class, in the order of `classes`. */
  readonly biasedCounts: readonly number[];
  readonly unbiasedCounts: readonly number[];
}

/** How far the shares may be from summing to one. */
const SUM_TOLERANCE = 1e-6;

/** Whole part of a product of decimals: .29 × 100 must be 29 although it is 28.999…96 in binary. */
const whole = (x: number): number => Math.floor(x + 1e-9);

/**
 * Numbers of rows in the two sets. With N rows of the classes: n = ⌊keep·N⌋ rows are meant for the biased set, ⌊shareₖ·n⌋ of class k;
 * the unbiased set takes from every class what is left of the scarcest.
 *
 * @throws `argument` for shares that are not a distribution over the classes, or a class with too few rows.
 */
export function splitCounts(
  available: readonly number[],
  { classes, shares, keep }: Omit<BiasedSplitOptions, "seed">,
): { readonly biased: number[]; readonly unbiased: number[] } {
  if (classes.length === 0 || new Set(classes).size !== classes.length)
    fail("argument", `biasedSplit: expected distinct classes, got [${classes.join(", ")}]`);
  if (shares.length !== classes.length)
    fail("argument", `biasedSplit: ${shares.length} shares for ${classes.length} classes`);
  const sum = shares.reduce((a, b) => a + b, 0);
  if (!(shares.every((s) => s >= 0) && Math.abs(sum - 1) <= SUM_TOLERANCE))
    fail(
      "argument",
      `biasedSplit: shares must be zero or more and sum to 1, got [${shares.join(", ")}] with sum ${sum}`,
    );
  if (!(keep > 0 && keep <= 1)) fail("argument", `biasedSplit: keep must be in (0, 1], got ${keep}`);
  const n = whole(keep * available.reduce((a, b) => a + b, 0));
  const biased = shares.map((share) => whole(share * n));
  biased.forEach((count, k) => {
    if (count > (available[k] as number))
      fail(
        "argument",
        `biasedSplit: class ${classes[k]} has ${available[k]} rows, the biased set needs ${count}; keep less`,
      );
  });
  const left = Math.min(...biased.map((count, k) => (available[k] as number) - count));
  return { biased, unbiased: biased.map(() => left) };
}

/**
 * A biased set in the given shares, and a smaller balanced one from the rows that are left; no row is in both. Which rows, and
 * their order, depend on the seed alone.
 *
 * @throws `argument` as {@link splitCounts}.
 */
export function biasedSplit(digits: Digits, options: BiasedSplitOptions): BiasedSplit {
  const byClass = rowsByClass(digits, options.classes);
  const counts = splitCounts(
    byClass.map((rows) => rows.length),
    options,
  );
  const key = fold(rootKey(options.seed), "biasedSplit");
  const shuffled = byClass.map((rows, k) => {
    const order = permutation(fold(fold(key, "class"), k), rows.length);
    return Array.from(order, (i) => rows[i] as number);
  });
  const [first, second] = [counts.biased, counts.unbiased];
  const end = (k: number) => (first[k] as number) + (second[k] as number);
  const gather = (name: string, part: (rows: number[], k: number) => number[]): Digits => {
    const rows = shuffled.flatMap(part);
    const order = permutation(fold(key, name), rows.length);
    return takeRows(
      digits,
      Array.from(order, (i) => rows[i] as number),
      `${digits.name}, ${name}`,
    );
  };
  return {
    biased: gather("biased", (rows, k) => rows.slice(0, first[k])),
    unbiased: gather("unbiased", (rows, k) => rows.slice(first[k], end(k))),
    rest: gather("rest", (rows, k) => rows.slice(end(k))),
    biasedCounts: first,
    unbiasedCounts: second,
  };
}

/** Row numbers of two disjoint parts that together are all rows. */
export interface TrainValidationSplit {
  readonly train: Int32Array;
  readonly validation: Int32Array;
}

/**
 * Splits rows 0 … n − 1 at random into training and validation rows, none in both.
 *
 * @param fraction - Share of the validation rows, in (0, 1): ⌊fraction·n⌋ of them, but at least one on either side.
 * @throws `argument` when n < 2 or the fraction is out of range.
 */
export function trainValidationSplit(n: number, fraction: number, seed: Seed): TrainValidationSplit {
  checkWhole("trainValidationSplit", "n", n, 2);
  if (!(fraction > 0 && fraction < 1))
    fail("argument", `trainValidationSplit: fraction must be in (0, 1), got ${fraction}`);
  const order = permutation(fold(rootKey(seed), "trainValidationSplit"), n);
  const held = Math.min(n - 1, Math.max(1, whole(fraction * n)));
  return { train: order.slice(held), validation: order.slice(0, held) };
}
