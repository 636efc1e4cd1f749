/** Shapes: small pure functions on `readonly number[]`; broadcasting aligns on the right, as NumPy's does. */
import { fail } from "./errors.ts";

export type Shape = readonly number[];

/** Number of elements: the product of the axes. */
export const sizeOf = (shape: Shape): number => shape.reduce((n, d) => n * d, 1);

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

/** `[2, 3]`, as errors print it. */
export const showShape = (shape: Shape): string => `[${shape.join(", ")}]`;

/** The common shape of two, or `undefined` when they do not broadcast. */
export function tryBroadcast(a: Shape, b: Shape): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const out: number[] = [];
  for (let i = 0; i < rank; i++) {
    const da = a[a.length - rank + i] ?? 1;
    const db = b[b.length - rank + i] ?? 1;
    if (da !== db && da !== 1 && db !== 1) return undefined;
    out.push(da === 1 ? db : da);
  }
  return out;
}

/**
 * The shape to which all the given shapes broadcast.
 *
 * @throws `shape` when there is none.
 */
export function broadcastShapes(...shapes: readonly Shape[]): number[] {
  let out: number[] = [];
  for (const shape of shapes) {
    const next = tryBroadcast(out, shape);
    if (next === undefined)
      return fail("shape", `shapes ${shapes.map(showShape).join(", ")} do not broadcast together`);
    out = next;
  }
  return out;
}
