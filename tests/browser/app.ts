/** A user's project: the package as it is published, built into a folder of its own, and a bundler. */
import { cpSync } from "node:fs";
import { basename, join } from "node:path";
import { type BuildResult, build, type Metafile } from "esbuild";
import { createProject } from "../support/package.ts";
import { root } from "../support/run.ts";

/** A project that depends on the package. */
export interface App {
  readonly folder: string;
  /** Bundles a page of the project for a browser. */
  bundle(page: string): Promise<Bundle>;
  /** Bundles a page without the package, for Node, and says where. */
  node(page: string): Promise<string>;
  remove(): void;
}

export interface Bundle {
  /** Files by name; the page's own is `index.js`. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** What the page loads before it asks for more. */
  readonly initial: readonly Uint8Array[];
  /** Modules of the package in what the page loads first. */
  readonly modules: readonly string[];
  readonly warnings: readonly string[];
}

const ENTRY = "index.js";

/** Outputs that the entry imports, directly or not, but for dynamic imports. */
function loadedFirst({ outputs }: Metafile): string[] {
  const found = Object.keys(outputs).filter((path) => basename(path) === ENTRY);
  for (const path of found) {
    for (const { path: next, kind } of outputs[path]?.imports ?? [])
      if (kind === "import-statement" && next in outputs && !found.includes(next)) found.push(next);
  }
  return found;
}

function bundleOf({ outputFiles, metafile, warnings }: BuildResult<{ metafile: true; write: false }>): Bundle {
  const files = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
  const first = loadedFirst(metafile);
  return {
    files,
    initial: first.flatMap((path) => files.get(basename(path)) ?? []),
    modules: first.flatMap((path) =>
      Object.entries(metafile.outputs[path]?.inputs ?? {}).flatMap(([file, { bytesInOutput }]) =>
        bytesInOutput > 0 ? (/tilted\/lib\/(.*)$/.exec(file)?.[1] ?? []) : [],
      ),
    ),
    warnings: warnings.map(({ text, location }) => `${location?.file ?? ""}: ${text}`),
  };
}

/** Installs the package into a new project with the pages. */
export async function createApp(): Promise<App> {
  const { folder, remove } = await createProject();
  cpSync(join(root, "tests/browser/page"), join(folder, "page"), { recursive: true });
  return {
    folder,
    bundle: async (page) =>
      bundleOf(
        await build({
          absWorkingDir: folder,
          entryPoints: { index: join(folder, "page", `${page}.ts`) },
          bundle: true,
          splitting: true,
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
    async node(page) {
      const outfile = join(folder, `${page}.mjs`);
      await build({
        entryPoints: [join(folder, "page", `${page}.ts`)],
        bundle: true,
        format: "esm",
        platform: "node",
        // fp-ts has no names that Node finds by itself.
        external: ["tilted", "@tensorflow/*"],
        outfile,
        tsconfigRaw: {},
        logLevel: "silent",
      });
      return outfile;
    },
    remove,
  };
}
