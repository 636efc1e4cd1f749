/**
 * What is missing, imputed: penguins with real gaps, and digits with a square cut out. Figures go to `out/missing`.
 *
 *   npx tsx examples/missing/main.ts
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureEngine } from "tilted";
import { type Figure, toPng } from "tilted/plot";
import { digits } from "./digits.ts";
import { penguins } from "./penguins.ts";

const OUT = join("out", "missing");
if (process.argv.length > 2) {
  console.log("npx tsx examples/missing/main.ts takes no options; it runs for a minute or two");
  process.exit(1);
}

await ensureEngine();
mkdirSync(OUT, { recursive: true });
const save = async (figures: { readonly [name: string]: Figure }) => {
  for (const [name, figure] of Object.entries(figures)) {
    writeFileSync(join(OUT, `${name}.svg`), figure.svg);
    writeFileSync(join(OUT, `${name}.png`), await toPng(figure));
  }
};
console.log("1. Penguins");
await save(await penguins());
console.log("2. Digits");
await save(await digits());
console.log(`Figures are in ${OUT}`);
