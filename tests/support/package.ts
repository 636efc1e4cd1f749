/** The package as it is published, built and installed into a project of its own: what a user of it sees. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Run, root, runNode } from "./run.ts";

const TSC = join(root, "node_modules/typescript/bin/tsc");

/** A project that depends on the package. */
export interface Project {
  readonly folder: string;
  remove(): void;
}

/** Builds the package as `npm run build` does, but for the check of types, and installs it into a new project. */
export async function createProject(): Promise<Project> {
  // Inside the tree, so that the package's own dependencies resolve.
  const folder = mkdtempSync(join(root, "node_modules", ".app-"));
  const installed = join(folder, "node_modules", "tilted");
  mkdirSync(installed, { recursive: true });
  const lib = join(installed, "lib");
  for (const step of [
    [TSC, "-p", join(root, "tsconfig.build.json"), "--outDir", lib, "--noCheck"],
    [join(root, "scripts/bundle-node.mjs"), lib],
  ]) {
    const { code, stdout, stderr } = await runNode(step);
    if (code !== 0) throw new Error(`the build failed:\n${stdout}${stderr}`);
  }
  cpSync(join(root, "package.json"), join(installed, "package.json"));
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Compiles files of a project as a strict library would be, with declarations, each as a program of its own or all as one. */
export function compileProject({ folder }: Project, files: readonly string[], outDir = "out"): Promise<Run> {
  const compilerOptions = {
    target: "ES2022",
    lib: ["ES2023", "DOM", "ESNext.Disposable"],
    module: "NodeNext",
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    rewriteRelativeImportExtensions: true,
    declaration: true,
    // tfjs's own declarations do not agree with the DOM's.
    skipLibCheck: true,
    types: [],
    rootDir: ".",
    outDir,
  };
  const config = join(folder, `tsconfig.${outDir}.json`);
  writeFileSync(config, JSON.stringify({ compilerOptions, files }));
  return runNode([TSC, "-p", config, "--pretty", "false"]);
}

/** The declarations that the compiler wrote for a file. */
export const declarationsOf = ({ folder }: Project, file: string, outDir = "out"): string =>
  readFileSync(join(folder, outDir, file.replace(/\.ts$/, ".d.ts")), "utf8");
