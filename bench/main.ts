/** `npm run bench -- NAME [options]`: runs one benchmark of this folder, or lists them. Options alone are for the race. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const BENCHMARKS: Readonly<Record<string, string>> = {
  rng: "bulk draws against tf.randomNormal",
  "vae-step": "a VAE training step against plain tfjs wasm",
  mixture: "log-density and gradient of a mixture of thousands of normals, against the formula in ops",
  snis: "time and memory of ten million particles of a 2-D tilt",
  "data-tilt": "densities of the plane as tilts of N(0, I), against their ceilings",
  debias: "the walkthrough over five seeds",
  scaling: "time and memory against particles, dimensions, chains, batch and parameters",
  engines: "the same steps op by op and compiled, taking turns",
  race: "the same work here and in the peers, one table",
};

const given = process.argv.slice(2);
const [name, ...rest] = given[0]?.startsWith("--") ? ["race", ...given] : given;
if (name === undefined || !(name in BENCHMARKS)) {
  console.log("npm run bench -- NAME\n");
  for (const [bench, what] of Object.entries(BENCHMARKS)) console.log(`  ${bench.padEnd(10)} ${what}`);
  process.exit(name === undefined ? 0 : 1);
}
const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
const { status } = spawnSync(process.execPath, ["--import", "tsx", file, ...rest], { stdio: "inherit" });
process.exit(status ?? 1);
