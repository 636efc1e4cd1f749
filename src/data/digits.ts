/** A set of labelled pictures, and taking rows of it. */
import { checkWhole } from "../core/check.ts";

/** Labelled pictures, one row each. */
export interface Digits {
  readonly name: string;
  /** `[count, rows × columns]` grey values in [0, 1], flat, each a multiple of 1/255: 0 is paper, 1 is ink. */
  readonly images: Float32Array;
  /** Class of each row. */
  readonly labels: Int32Array;
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
}

/**
 * The given rows, in the given order, copied.
 *
 * @throws `argument` for a row that does not exist.
 */
export function takeRows(digits: Digits, rows: ArrayLike<number>, name: string = digits.name): Digits {
  const size = digits.rows * digits.columns;
  const images = new Float32Array(rows.length * size);
  const labels = new Int32Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    checkWhole(`takeRows: "${digits.name}"`, "a row", row, 0, digits.count - 1);
    images.set(digits.images.subarray(row * size, (row + 1) * size), i * size);
    labels[i] = digits.labels[row] as number;
  }
  return { ...digits, name, images, labels, count: rows.length };
}

/** Rows of each of the given classes, in the order of the set. */
export const rowsByClass = (digits: Digits, classes: readonly number[]): number[][] => {
  const rows = new Map<number, number[]>(classes.map((c) => [c, []]));
  for (let i = 0; i < digits.count; i++) rows.get(digits.labels[i] as number)?.push(i);
  return classes.map((c) => rows.get(c) as number[]);
};

/** The rows of the given classes, in the order of the set. */
export function selectClasses(digits: Digits, classes: readonly number[]): Digits {
  const rows = rowsByClass(digits, classes)
    .flat()
    .sort((a, b) => a - b);
  return takeRows(digits, rows);
}

/** Number of rows of each of the given classes. */
export const classCounts = (labels: ArrayLike<number>, classes: readonly number[]): number[] => {
  const counts = new Map<number, number>(classes.map((c) => [c, 0]));
  for (let i = 0; i < labels.length; i++) {
    const c = labels[i] as number;
    const n = counts.get(c);
    if (n !== undefined) counts.set(c, n + 1);
  }
  return classes.map((c) => counts.get(c) as number);
};
