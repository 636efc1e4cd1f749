import { defineConfig } from "vitest/config";
import { alias } from "./vitest.config.ts";

/** A guard against what never ends, not a clock. */
const HANGING_MS = 3_600_000;

/** The longer statistical runs: `npm run test:long`. */
export default defineConfig({
  resolve: { alias },
  test: {
    include: ["tests/long/**/*.test.ts"],
    testTimeout: HANGING_MS,
    hookTimeout: HANGING_MS,
    pool: "forks",
    maxWorkers: 2,
  },
});
