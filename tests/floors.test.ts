/** The floor check finds forbidden imports and misplaced files: all are planted in a small tree, and each is named with its rule. */
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
  "src/compiler/shards.test.ts": ["src/compiler/step.ts"],
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
  ["every-file-on-a-floor", "src/loose.ts", "src/core/key.ts"],
  ["every-file-on-a-floor", "src/attic/elbo.ts", "src/inference/vi/elbo.ts"],
  ["every-file-on-a-floor", "src/index.ts", "src/constants.ts"],
  ["compiler-in-rooms", "src/compiler/loose.ts", "src/compiler/step.ts"],
  ["compiler-in-rooms", "src/compiler/attic/pass.ts", "src/compiler/step.ts"],
  ["models-without-privileges", "src/models/vae.ts", "src/effects/interpret.ts"],
  ["unit-tests-alone", "src/core/key.test.ts", "tests/support/close.ts"],
  ["unit-tests-alone", "src/core/key.ts", "tests/inference/elbo.test.ts"],
  ["support-for-tests", "examples/first.ts", "tests/support/close.ts"],
  ["public-api-only", "examples/first.ts", "src/engine/ops.ts"],
  // The first of these closes a circle.
  ["no-cycles", "src/core/key.ts", "src/engine/ops.ts"],
];

/** Files that import nothing and that nothing imports. */
const ORPHANS: readonly (readonly [rule: string, path: string])[] = [
  ["every-file-on-a-floor", "src/orphan.ts"],
  ["every-file-on-a-floor", "src/attic/orphan.ts"],
  ["every-file-in-a-room", "src/inference/orphan.ts"],
  ["every-file-in-a-room", "src/inference/attic/orphan.ts"],
  ["compiler-in-rooms", "src/compiler/orphan.ts"],
  ["compiler-in-rooms", "src/compiler/attic/orphan.ts"],
];

/** What dependency-cruiser does not see: a line that stands in a file, and the file that it names. */
const HIDDEN: readonly (readonly [rule: string, from: string, line: string, to: string])[] = [
  [
    "room-weights",
    "src/inference/weights/ess.ts",
    'type Chain = import("../mcmc/mala.ts").Chain;',
    "src/inference/mcmc/mala.ts",
  ],
  ["types-imported-at-the-top", "src/dist/point.ts", 'type Op = import("../engine/ops.ts").Op;', "src/engine/ops.ts"],
  ["types-imported-at-the-top", "src/dist/kl.ts", 'type Any = typeof import("tilted/dist");', "src/dist/index.ts"],
  ["floor-engine", "src/engine/math.ts", 'type Family = import("tilted/dist").Family;', "src/dist/index.ts"],
  ["floor-core", "src/core/require.ts", 'createRequire(import.meta.url)("../engine/ops.ts");', "src/engine/ops.ts"],
  ["floor-core", "src/core/url.ts", "new URL(`../engine/ops.wasm`, import.meta.url);", "src/engine/ops.wasm"],
  ["floor-core", "src/core/folder.ts", "new URL('../engine', import.meta.url);", "src/engine/"],
  ["floor-core", "src/core/above.ts", 'join(here, "..", "engine");', "src/"],
  [
    "unit-tests-alone",
    "src/core/random/above.ts",
    'require("../../../tests/support/close.ts");',
    "tests/support/close.ts",
  ],
];
/** The same where it is allowed. */
const SEEN: readonly (readonly [from: string, line: string])[] = [
  ["src/inference/mcmc/later.ts", 'await import("../../compiler/step.ts");'],
  ["src/engine/threads.ts", 'new URL("../core/job.js", import.meta.url);'],
  ["src/engine/peer.ts", 'type Peer = typeof import("peer");'],
  ["src/data/data.ts", 'fail("tilted/data: no such file");'],
];

/** Both parts of the project's own check, on files in a folder of the machine's. */
async function check(files: Files, lines: readonly (readonly [path: string, line: string])[]): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), "tilted-floors-"));
  try {
    const paths = { "tilted/dist": ["./src/dist/index.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { paths } }));
    for (const [path, imports] of Object.entries(files)) {
      const text = imports.map((target) => `import "${join(folder, target)}";\n`);
      write(join(folder, path), `${text.join("")}export const here = 1;\n`);
    }
    for (const [path, line] of lines) write(join(folder, path), `export {};\n${line}\n`);
    return both(await cruise(folder, "src", "tests", "examples"), await namedPaths(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

const both = (one: Run, other: Run): Run => ({
  code: one.code || other.code,
  stdout: one.stdout + other.stdout,
  stderr: one.stderr + other.stderr,
});

const namedPaths = (cwd: string): Promise<Run> => runNode([join(root, "scripts/check-paths.mjs")], cwd);

const cruise = (cwd: string, ...folders: readonly string[]): Promise<Run> =>
  runNode(
    [
      join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs"),
      ...["--config", join(root, ".dependency-cruiser.cjs"), "--output-type", "err", ...folders],
    ],
    cwd,
  );

it.each([
  ["a small tree whose imports go down", () => check(ALLOWED, SEEN)],
  ["the sources as they are", async () => both(await cruise(root, "src"), await namedPaths(root))],
])("passes %s", async (_, run) => {
  const { code, stdout, stderr } = await run();
  expect(stderr).toBe("");
  expect(stdout).toMatch(/no dependency violations found/);
  expect(code).toBe(0);
});

describe("a tree with every forbidden import and misplaced file", () => {
  let found: Run;
  beforeAll(async () => {
    const files: { [path: string]: readonly string[] } = { ...ALLOWED };
    for (const [, from, to] of PLANTED) {
      files[to] ??= [];
      files[from] = [...(files[from] ?? []), to];
    }
    for (const [, path] of ORPHANS) files[path] = [];
    found = await check(
      files,
      HIDDEN.map(([, from, line]) => [from, line]),
    );
  });

  it("fails", () => {
    expect(found.stderr).toBe("");
    expect(found.code).not.toBe(0);
  });

  it.each(PLANTED)("%s: %s may not import %s", (rule, from, to) => {
    expect(found.stdout).toMatch(new RegExp(`error ${rule}: ${from} →\\s+${to}`));
  });

  it.each(ORPHANS)("%s: not %s", (rule, path) => {
    expect(found.stdout).toMatch(new RegExp(`error ${rule}: ${path}$`, "m"));
  });

  it.each(HIDDEN)("%s: %s may not say %s", (rule, from, _, to) => {
    expect(found.stdout).toContain(`error ${rule}: ${from} → ${to}\n`);
  });
});
