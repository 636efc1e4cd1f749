import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const src = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

export const alias = [
  { find: /^tilted$/, replacement: src("index.ts") },
  { find: /^tilted\/([a-z]+)$/, replacement: src("$1/index.ts") },
];

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["src/**/*.test.ts", "tests/**/*.test.ts"],
    exclude: ["tests/long/**", "node_modules/**"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
