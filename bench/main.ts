/** `npm run bench -- NAME [options]`: runs one benchmark of this folder, or lists them. Options alone are for the race. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const BENCHMARKS: Readonly<Record<string, string>> = {
  rng: "bulk draws against tf.randomNormal",
  "vae-step": "a VAE training step against plain tfjs wasm",
  mixture: "log-density and gradient of a mixture of thousands of normals, against the formula in ops",
  chains: "a step of MALA in warm-up and kept, op by op and compiled",
  snis: "time and memory of ten million particles of a 2-D tilt",
  "data-tilt": "densities of the plane as tilts of N(0, I), against their ceilings",
  debias: "the walkthrough over five seeds",
  scaling: "time and memory against particles, dimensions, chains, batch and parameters",
  engines: "the same steps op by op and compiled, taking turns",
  race: "the same work here and in the peers, one table",
};

const isHelp = (arg: string) => arg === "--help" || arg === "-h";
const fileOf = (name: string) => fileURLToPath(new URL(`./${name}.ts`, import.meta.url));

/** How a benchmark is called is said in the comment that its file begins with. */
const usage = (name: string): string => {
  const [comment = ""] = /\/\*\*[\s\S]*?\*\//.exec(readFileSync(fileOf(name), "utf8")) ?? [];
  return comment.replace(/^\/\*\*\s?|\s*\*\/$/g, "").replace(/^ \* ?/gm, "");
};

function list(): void {
  console.log("npm run bench -- NAME [options]   (NAME --help tells the options; options alone are for the race)\n");
  for (const [bench, what] of Object.entries(BENCHMARKS)) console.log(`  ${bench.padEnd(10)} ${what}`);
}

const given = process.argv.slice(2);
const asked = given.some(isHelp);
const [name, ...rest] = given[0]?.startsWith("-") ? ["race", ...given] : given;
if (name === undefined || !(name in BENCHMARKS) || (asked && isHelp(given[0] ?? ""))) {
  list();
  if (asked) console.log(`\n${usage("race").trim()}`);
  process.exit(name === undefined || asked ? 0 : 1);
}
if (asked) {
  console.log(usage(name).trim());
  process.exit(0);
}
const { status } = spawnSync(process.execPath, ["--import", "tsx", fileOf(name), ...rest], { stdio: "inherit" });
process.exit(status ?? 1);
