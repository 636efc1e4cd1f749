/**
 * Tilts of data: densities of the plane as tilts of one Gaussian, what importance weights are worth by dimension, and a digit model
 * corrected in the space of its pictures. Figures go to `out/data-tilt`.
 *
 *   npx tsx examples/data-tilt/main.ts [plane | collapse | digits]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureEngine } from "tilted";
import { type Figure, toPng } from "tilted/plot";
import { collapse } from "./collapse.ts";
import { digits } from "./digits.ts";
import { plane } from "./plane.ts";

const OUT = join("out", "data-tilt");
const PARTS = { plane, collapse, digits };

const asked = process.argv[2];
if (asked !== undefined && !(asked in PARTS)) {
  console.log(
    `npx tsx examples/data-tilt/main.ts [${Object.keys(PARTS).join(" | ")}]: a part by its name; without one, all`,
  );
  process.exit(1);
}
await ensureEngine();
mkdirSync(OUT, { recursive: true });
const save = async (name: string, figure: Figure) => {
  writeFileSync(join(OUT, `${name}.svg`), figure.svg);
  writeFileSync(join(OUT, `${name}.png`), await toPng(figure));
};
for (const [part, run] of Object.entries(PARTS)) if (asked === undefined || asked === part) await run(save);
console.log(`\nFigures are in ${OUT}`);
