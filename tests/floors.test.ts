/** The floor check finds forbidden imports: all are planted in a small tree, and each is named with the rule that forbids it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Run, root, runNode } from "./support/run.ts";

/** A file of the small tree, and what it imports. */
type Files = { readonly [path: string]: readonly string[] };

/** One file on each floor and in several rooms, all imports going down. */
const ALLOWED: Files = {
  "src/core/key.ts": [],
  "src/engine/ops.ts": ["src/core/key.ts"],
  "src/compiler/ir/graph.ts": [],
  "src/compiler/lower/lower.ts": ["src/compiler/ir/graph.ts"],
  "src/compiler/step.ts": ["src/engine/ops.ts", "src/compiler/lower/lower.ts"],
  "src/dist/normal.ts": ["src/engine/ops.ts", "src/core/key.ts"],
  "src/effects/interpret.ts": ["src/dist/normal.ts"],
  "src/effects/effects.ts": ["src/effects/interpret.ts"],
  "src/inference/optim/adam.ts": ["src/core/key.ts"],
  "src/inference/problem/weigh.ts": ["src/effects/interpret.ts"],
  "src/inference/vi/elbo.ts": ["src/inference/optim/adam.ts", "src/inference/problem/weigh.ts", "src/compiler/step.ts"],
  "src/inference/mcmc/mala.ts": ["src/inference/problem/weigh.ts"],
  "src/inference/index.ts": ["src/inference/vi/elbo.ts", "src/inference/mcmc/mala.ts"],
  "src/models/vae.ts": ["src/effects/effects.ts"],
  "src/index.ts": ["src/models/vae.ts", "src/inference/index.ts"],
  "src/core/key.test.ts": ["src/core/key.ts"],
  "tests/support/close.ts": [],
  "tests/inference/elbo.test.ts": ["tests/support/close.ts", "src/inference/vi/elbo.ts"],
  "examples/first.ts": ["src/index.ts"],
};

const PLANTED: readonly (readonly [rule: string, from: string, to: string])[] = [
  ["floor-core", "src/core/key.ts", "src/engine/ops.ts"],
  ["floor-engine", "src/engine/ops.ts", "src/compiler/step.ts"],
  ["floor-effects", "src/effects/effects.ts", "src/inference/optim/adam.ts"],
  ["floor-inference", "src/inference/vi/elbo.ts", "src/models/vae.ts"],
  ["core-packages", "src/core/key.ts", "node_modules/package/index.js"],
  ["compiler-ir", "src/compiler/ir/graph.ts", "src/compiler/lower/lower.ts"],
  ["room-optim", "src/inference/optim/adam.ts", "src/inference/mcmc/mala.ts"],
  ["room-mcmc", "src/inference/mcmc/mala.ts", "src/inference/vi/elbo.ts"],
  ["every-file-in-a-room", "src/inference/loose.ts", "src/core/key.ts"],
  ["every-file-in-a-room", "src/inference/index.ts", "src/inference/constants.ts"],
  ["models-without-privileges", "src/models/vae.ts", "src/effects/interpret.ts"],
  ["unit-tests-alone", "src/core/key.test.ts", "tests/support/close.ts"],
  ["unit-tests-alone", "src/core/key.ts", "tests/inference/elbo.test.ts"],
  ["support-for-tests", "examples/first.ts", "tests/support/close.ts"],
  ["public-api-only", "examples/first.ts", "src/engine/ops.ts"],
  // The first of these closes a circle.
  ["no-cycles", "src/core/key.ts", "src/engine/ops.ts"],
];

/** The project's own rules, on files in a folder of the machine's. */
async function check(files: Files): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), "tilted-floors-"));
  try {
    writeFileSync(join(folder, "tsconfig.json"), "{}");
    for (const [path, imports] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      const lines = imports.map((target) => `import "${join(folder, target)}";\n`);
      writeFileSync(join(folder, path), `${lines.join("")}export const here = 1;\n`);
    }
    return await cruise(folder, "src", "tests", "examples");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const cruise = (cwd: string, ...folders: readonly string[]): Promise<Run> =>
  runNode(
    [
      join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs"),
      ...["--config", join(root, ".dependency-cruiser.cjs"), "--output-type", "err", ...folders],
    ],
    cwd,
  );

it.each([
  ["a small tree whose imports go down", () => check(ALLOWED)],
  ["the sources as they are", () => cruise(root, "src")],
])("passes %s", async (_, run) => {
  const { code, stdout, stderr } = await run();
  expect(stderr).toBe("");
  expect(stdout).toMatch(/no dependency violations found/);
  expect(code).toBe(0);
});

describe("a tree with every forbidden import", () => {
  let found: Run;
  beforeAll(async () => {
    const files: { [path: string]: readonly string[] } = { ...ALLOWED };
    for (const [, from, to] of PLANTED) {
      files[to] ??= [];
      files[from] = [...(files[from] ?? []), to];
    }
    found = await check(files);
  });

  it("fails", () => {
    expect(found.stderr).toBe("");
    expect(found.code).not.toBe(0);
  });

  it.each(PLANTED)("%s: %s may not import %s", (rule, from, to) => {
    expect(found.stdout).toMatch(new RegExp(`error ${rule}: ${from} →\\s+${to}`));
  });
});
