import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = new URL("./", import.meta.url);
const { compilerOptions } = JSON.parse(readFileSync(new URL("tsconfig.json", root), "utf8")) as {
  compilerOptions: { paths: { [name: string]: [string] } };
};

/** The package's entry points by name, as the compiler finds them. */
export const alias = Object.entries(compilerOptions.paths).map(([name, [file]]) => ({
  find: new RegExp(`^${name}$`),
  replacement: fileURLToPath(new URL(file, root)),
}));

/** A guard against what never ends, not a clock: no test states a limit of its own, as machines are loaded. */
const HANGING_MS = 600_000;

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["src/**/*.test.ts", "tests/**/*.test.ts"],
    exclude: ["tests/long/**", "node_modules/**"],
    testTimeout: HANGING_MS,
    hookTimeout: HANGING_MS,
    pool: "forks",
    maxWorkers: 2,
  },
});
