/** A user's project: the package as it is published, built into a folder of its own, and a bundler. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type BuildResult, build } from "esbuild";
import { root, runNode } from "../support/run.ts";

/** A project that depends on the package. */
export interface App {
  readonly folder: string;
  /** Bundles pages of the project for a browser; keyed by the page's name. */
  bundle(...pages: readonly string[]): Promise<Readonly<Record<string, Bundle>>>;
  remove(): void;
}

export interface Bundle {
  readonly code: Uint8Array;
  /** Files of the package that are in it. */
  readonly files: readonly string[];
  readonly warnings: readonly string[];
}

function bundles(folder: string, { outputFiles, metafile, warnings }: BuildResult<{ metafile: true; write: false }>) {
  const texts = warnings.map(({ text, location }) => `${location?.file ?? ""}: ${text}`);
  return Object.fromEntries(
    Object.entries(metafile.outputs).map(([path, { inputs }]) => {
      const name = basename(path, ".js");
      const files = Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
      const ours = files.flatMap(([file]) => /tilted\/lib\/(.*)$/.exec(file)?.[1] ?? []);
      const code = outputFiles.find((file) => basename(file.path) === `${name}.js`)?.contents ?? new Uint8Array();
      return [name, { code, files: ours, warnings: texts, folder }];
    }),
  );
}

/** Builds the package as `npm run build` does, but for the check of types, and installs it into a new project. */
export async function createApp(): Promise<App> {
  const folder = mkdtempSync(join(root, "node_modules", ".app-"));
  const installed = join(folder, "node_modules", "tilted");
  mkdirSync(installed, { recursive: true });
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const config = join(root, "tsconfig.build.json");
  const { code, stdout } = await runNode([tsc, "-p", config, "--outDir", join(installed, "lib"), "--noCheck"]);
  if (code !== 0) throw new Error(`the build failed:\n${stdout}`);
  cpSync(join(root, "package.json"), join(installed, "package.json"));
  cpSync(join(root, "tests/browser/page"), join(folder, "page"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  return {
    folder,
    bundle: async (...pages) =>
      bundles(
        folder,
        await build({
          absWorkingDir: folder,
          entryPoints: pages.map((page) => join(folder, "page", `${page}.ts`)),
          bundle: true,
          format: "esm",
          platform: "browser",
          minify: true,
          metafile: true,
          write: false,
          outdir: "out",
          tsconfigRaw: {},
          logLevel: "silent",
        }),
      ),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
