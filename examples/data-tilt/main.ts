/**
 * Tilts of data: densities of the plane as tilts of one Gaussian, what importance weights are worth by dimension, and a digit model
 * corrected in the space of its pictures. Figures go to `out/data-tilt`.
 *
 *   npx tsx examples/data-tilt/main.ts
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureEngine } from "tilted";
import { type Figure, toPng } from "tilted/plot";
import { collapse } from "./collapse.ts";
import { digits } from "./digits.ts";
import { plane } from "./plane.ts";

const OUT = join("out", "data-tilt");

await ensureEngine();
mkdirSync(OUT, { recursive: true });
const save = async (name: string, figure: Figure) => {
  writeFileSync(join(OUT, `${name}.svg`), figure.svg);
  writeFileSync(join(OUT, `${name}.png`), await toPng(figure));
};
// A part by its name, for instance `main.ts digits`; without one, all.
const only = process.argv[2];
if (only === undefined || only === "plane") await plane(save);
if (only === undefined || only === "collapse") await collapse(save);
if (only === undefined || only === "digits") await digits(save);
console.log(`\nFigures are in ${OUT}`);
