/** What the package says its entry points are, what the compiler and the tests take for them, and what the root holds. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../support/run.ts";

const read = (file: string) => JSON.parse(readFileSync(join(root, file), "utf8"));
const { exports } = read("package.json") as {
  exports: { [path: string]: { types: string; node: string; default: string } };
};

describe("entry points", () => {
  it("are those that the compiler finds by name, and each has a source", () => {
    const { compilerOptions } = read("tsconfig.json") as { compilerOptions: { paths: { [name: string]: string[] } } };
    const sources = Object.entries(exports).map(([path, entry]) => [
      `tilted${path.slice(1)}`,
      [entry.default.replace("./lib/", "./src/").replace(/\.js$/, ".ts")],
    ]);
    expect(Object.fromEntries(sources)).toEqual(compilerOptions.paths);
    for (const [, [source]] of sources as [string, [string]][])
      expect(existsSync(join(root, source)), source).toBe(true);
  });

  it("have their types and their bundle for Node where their modules are", () => {
    for (const entry of Object.values(exports)) {
      expect(entry.types).toBe(entry.default.replace(/\.js$/, ".d.ts"));
      expect(entry.node).toBe(entry.default.replace("./lib/", "./lib/node/"));
    }
  });

  it("give a name to one thing: what the root and a path both export is the same", async () => {
    const rooted: { readonly [name: string]: unknown } = await import("tilted");
    const paths: { readonly [path: string]: { readonly [name: string]: unknown } } = {
      optim: await import("tilted/optim"),
      tilt: await import("tilted/tilt"),
      inference: await import("tilted/inference"),
      compile: await import("tilted/compile"),
    };
    for (const [path, names] of Object.entries(paths))
      for (const [name, value] of Object.entries(names))
        if (name in rooted) expect(value, `${name} of tilted/${path}`).toBe(rooted[name]);
    for (const bare of ["logistic", "constant", "piecewise", "adam", "compile"])
      expect(rooted).not.toHaveProperty(bare);
  });
});
