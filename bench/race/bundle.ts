/** What a page must load for one inference: the smallest bundle, and the engine's own file beside it. */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { buildPackage } from "./build.ts";

const PROGRAM = `
import { infer, model, sample, snis, tilt } from "tilted";
import { normal } from "tilted/dist";
globalThis.run = (energy) => infer(tilt("z", energy)(model(function* () { return yield* sample("z", normal(0, 1)); })), snis(1000), { seed: 1 });
`;

/** Sizes in KiB. */
export interface BundleSize {
  readonly minified: number;
  readonly gzip: number;
  /** The smallest of the engine's WebAssembly files, gzip. */
  readonly engineGzip: number;
}

/** Bundles the program for a browser. */
export async function bundleSize(): Promise<BundleSize> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  buildPackage();
  const { outputFiles } = await build({
    stdin: { contents: PROGRAM, resolveDir: root },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false,
    logLevel: "silent",
    splitting: true,
    outdir: "bundle",
    external: ["onnxruntime-web", "onnxruntime-node", "node:*", "@tensorflow/tfjs-node-gpu"],
  });
  const entry = outputFiles.find(({ path }) => path.endsWith("stdin.js"));
  const loaded = new Set<string>();
  // Static imports are loaded at once, dynamic ones when asked for.
  const follow = (path: string) => {
    if (loaded.has(path)) return;
    loaded.add(path);
    const text = outputFiles.find((f) => f.path === path)?.text ?? "";
    for (const [, file] of text.matchAll(/(?:import|from)\s*"(\.\/[^"]+)"/g))
      follow(join(dirname(path), file as string));
  };
  follow(entry?.path ?? "");
  const bytes = Buffer.concat(
    outputFiles.filter(({ path }) => loaded.has(path)).map(({ contents }) => Buffer.from(contents)),
  );
  const wasm = dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"));
  const engines = readdirSync(wasm).filter((file) => file.endsWith("simd.wasm"));
  const engine = gzipSync(readFileSync(join(wasm, engines[0] as string))).length;
  return { minified: bytes.length / 1024, gzip: gzipSync(bytes).length / 1024, engineGzip: engine / 1024 };
}
