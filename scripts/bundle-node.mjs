// For Node the build in few files: of some 250 modules each takes a third of a millisecond to find and load, in every process anew.
// Bundlers take the modules themselves (the "default" of package.json's exports), from which they drop what is not used.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Where tsc has put the modules. */
const lib = process.argv[2] ?? fileURLToPath(new URL("../lib", import.meta.url));
const { exports } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const entries = Object.values(exports).map((entry) => join(lib, entry.default.replace("./lib/", "")));

rmSync(join(lib, "node"), { recursive: true, force: true });
await build({
  entryPoints: entries,
  outbase: lib,
  outdir: join(lib, "node"),
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  packages: "external",
  target: "node20",
  chunkNames: "chunks/[name]-[hash]",
  sourcemap: true,
  legalComments: "none",
  logLevel: "warning",
});
