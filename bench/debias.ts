/**
 * The walkthrough over five seeds: mean total variation and ESS/n, for both samplers. `npm run bench -- debias [--latent 10]
 * [--seeds 5] [--first 1]`. One seed takes about two and a half minutes.
 */
import { parseArgs } from "node:util";
import { DEFAULTS } from "../examples/debias/options.ts";
import { debias } from "../examples/debias/pipeline.ts";
import { loadDigits } from "../examples/debias/sets.ts";

const { values } = parseArgs({
  options: {
    latent: { type: "string", default: "2" },
    seeds: { type: "string", default: "5" },
    first: { type: "string", default: "1" },
  },
});
const latent = values.latent === "10" ? 10 : 2;
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => Number(values.first) + i);
const loaded = await loadDigits(undefined)();
if (loaded._tag === "Left") throw loaded.left;

const rows: number[][] = [];
const show = (label: string, row: readonly number[]) =>
  console.log([label.padEnd(6), ...row.map((x) => x.toFixed(3).padStart(11))].join(""));
const columns = ["TV before", "TV snis", "ESS/n", "khat", "TV langevin", "R-hat", "TV prior", "ESS prior", "seconds"];
console.log(
  `${latent}-D latent, 10,000 classified samples\n${["seed".padEnd(6), ...columns.map((c) => c.padStart(11))].join("")}`,
);
for (const seed of seeds) {
  const o = await debias(loaded.right, { ...DEFAULTS, latent, seed }, { stage() {} }, false);
  const { prior, aggregate } = o.tilts;
  const row = [
    o.before.tv,
    aggregate.snis.tv,
    aggregate.snis.essRatio,
    aggregate.snis.khat,
    o.langevin.tv,
    o.langevin.rhat,
    prior.snis.tv,
    prior.snis.essRatio,
    o.seconds.total,
  ];
  rows.push(row);
  show(String(seed), row);
}
show(
  "mean",
  columns.map((_, j) => rows.reduce((s, row) => s + (row[j] as number), 0) / rows.length),
);
