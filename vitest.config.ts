import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const src = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

export const alias = [
  { find: /^tilted$/, replacement: src("index.ts") },
  { find: /^tilted\/([a-z]+)$/, replacement: src("$1/index.ts") },
];

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
