import { defineConfig } from "vitest/config";
import { alias } from "./vitest.config.ts";

/** The longer statistical runs: `npm run test:long`. */
export default defineConfig({
  resolve: { alias },
  test: { include: ["tests/long/**/*.test.ts"], testTimeout: 1_800_000, pool: "forks", maxWorkers: 2 },
});
