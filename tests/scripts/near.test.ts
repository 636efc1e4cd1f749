/** Which tests are near a change, in a small repository of its own. */
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { root, runNode } from "../support/run.ts";

const FILES = {
  "src/core/key.ts": "export const key = 1;",
  "src/core/key.test.ts": 'import { key } from "./key.ts";',
  "src/dist/normal.ts": 'import { key } from "../core/key.ts";',
  "src/dist/index.ts": 'export * from "./normal.ts";',
  "src/dist/quantile.ts": "export const quantile = 1;",
  "src/dist/tail.ts": 'import { quantile } from "./quantile.ts";',
  "tests/dist/normal.test.ts": 'import * as dist from "tilted/dist";',
  "tests/dist/tail.test.ts": 'import { tail } from "../../src/dist/tail.ts";',
  "tests/dist/program.ts": 'import * as dist from "tilted/dist";',
  "tests/dist/program.test.ts": 'run("tests/dist/program.ts");',
  "src/engine/math.ts": 'export * from "./special.ts";',
  "src/engine/special.ts": "export const lgamma = 1;",
  "tests/engine/gamma.test.ts": 'import { lgamma } from "tilted/math";',
  "tsconfig.json": JSON.stringify({
    compilerOptions: { paths: { "tilted/dist": ["./src/dist/index.ts"], "tilted/math": ["./src/engine/math.ts"] } },
  }),
};

let folder: string;
const git = (...args: readonly string[]) =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.org", ...args], { cwd: folder });
const touch = (file: string) => appendFileSync(join(folder, file), "\n// Changed.\n");

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tilted-near-"));
  git("init", "-q", "-b", "main");
  for (const [file, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  git("add", "-A");
  git("commit", "-q", "-m", "All");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Lines of the answer, less the first and the last. */
async function near(...args: readonly string[]): Promise<string[]> {
  const { code, stdout, stderr } = await runNode([join(root, "scripts/test-near.mjs"), "--list", ...args], folder);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return stdout
    .trim()
    .split("\n")
    .slice(1, -1)
    .map((line) => line.trim());
}

it("takes what imports a file, by the shortest way, of changes committed or not and of files that git does not know", async () => {
  git("checkout", "-q", "-b", "change");
  touch("src/core/key.ts");
  git("commit", "-q", "-am", "Key");
  touch("src/dist/quantile.ts");
  writeFileSync(join(folder, "src/loose.ts"), "");
  touch("tests/dist/program.ts");
  touch("src/dist/normal.ts");
  expect(await near()).toEqual([
    "src/core/key.ts ← src/core/key.test.ts",
    "src/dist/normal.ts ← tests/dist/normal.test.ts",
    "src/dist/quantile.ts ← tests/dist/tail.test.ts",
    "src/loose.ts ← no test",
    "tests/dist/program.ts ← tests/dist/program.test.ts",
  ]);
  expect(await near("--since", "HEAD")).not.toContain("src/core/key.ts ← src/core/key.test.ts");
});

it("knows the entry points by the paths of tsconfig.json", async () => {
  git("add", "-A");
  git("commit", "-q", "-m", "Others");
  touch("src/engine/math.ts");
  touch("src/engine/special.ts");
  expect(await near("--since", "HEAD")).toEqual([
    "src/engine/math.ts ← tests/engine/gamma.test.ts",
    "src/engine/special.ts ← tests/engine/gamma.test.ts",
  ]);
});

it("takes the commit before where nothing has changed since, and changed tests themselves", async () => {
  git("add", "-A");
  git("commit", "-q", "-m", "The rest");
  git("checkout", "-q", "main");
  git("merge", "-q", "change");
  touch("tests/dist/tail.test.ts");
  git("commit", "-q", "-am", "A test");
  expect(await near()).toEqual(["tests/dist/tail.test.ts"]);
});
