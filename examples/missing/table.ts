/** The penguins of Palmer station (Gorman, Williams & Fraser 2014), from the npm package `vega-datasets`: real gaps and all. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { type NdArray, ndarray } from "tilted";
import type { ColumnKind } from "tilted/models";

/** Columns of numbers, with their units. */
export const MEASURES = ["Beak Length (mm)", "Beak Depth (mm)", "Flipper Length (mm)", "Body Mass (g)"] as const;
/** Columns of classes, and what they may hold. */
export const CLASSES = {
  Species: ["Adelie", "Chinstrap", "Gentoo"],
  Island: ["Biscoe", "Dream", "Torgersen"],
  Sex: ["FEMALE", "MALE"],
} as const;

export const KINDS: readonly ColumnKind[] = [
  ...MEASURES.map(() => "real" as const),
  ...Object.values(CLASSES).map(({ length }) => ({ classes: length })),
];

/** The table, `[344, 7]`: numbers, then class indices; the mask is 0, and the entry NaN, where the record has a gap. */
export function readPenguins(): { readonly x: NdArray; readonly mask: NdArray } {
  // The package exports its programs only; its data files lie beside them.
  const path = new URL("../data/penguins.json", pathToFileURL(createRequire(import.meta.url).resolve("vega-datasets")));
  const records = JSON.parse(readFileSync(path, "utf8")) as readonly { readonly [column: string]: unknown }[];
  const rows = records.map((record) => [
    ...MEASURES.map((name) => (typeof record[name] === "number" ? record[name] : Number.NaN)),
    ...Object.entries(CLASSES).map(([name, known]) => {
      // One bird's sex is written as a dot.
      const at = (known as readonly unknown[]).indexOf(record[name]);
      return at < 0 ? Number.NaN : at;
    }),
  ]);
  const flat = Float32Array.from(rows.flat());
  const shape = [rows.length, KINDS.length];
  return {
    x: ndarray(flat, shape),
    mask: ndarray(
      flat.map((v) => (Number.isNaN(v) ? 0 : 1)),
      shape,
    ),
  };
}
