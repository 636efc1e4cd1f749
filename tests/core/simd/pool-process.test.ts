/** A process with a pool ends by itself, and draws the same whatever became of its workers. */
import { expect, it } from "vitest";
import { runTs } from "../../support/run.ts";

const run = async (...how: readonly string[]) => {
  const { code, stdout, stderr } = await runTs("tests/core/simd/pool-program.ts", how);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as { hash: number; again: number; hasWorkers: boolean };
};

it("ends by itself, with a pool at rest, and draws the same with and without", async () => {
  const [plain, alone] = await Promise.all([run(), run("alone")]);
  expect(plain.again).toBe(plain.hash);
  expect(alone).toEqual({ hash: plain.hash, again: plain.hash, hasWorkers: false });
});

it("draws the same where no thread can be started", async () => {
  const { hash, again, hasWorkers } = await run("refused");
  expect([again, hasWorkers]).toEqual([hash, false]);
});
