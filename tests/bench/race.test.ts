/** The race's own machinery, without a race: what it says of its options, and the page that it makes of rows. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { root, runTs } from "../support/run.ts";

const folder = mkdtempSync(join(tmpdir(), "race-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bench = (...args: string[]) => runTs(join(root, "bench/main.ts"), args);

const row = (workload: string, system: string, medianMs: number, more: object = {}) => ({
  workload,
  system,
  engine: system,
  threads: 2,
  firstCallMs: 10 * medianMs,
  medianMs,
  spread: [medianMs, medianMs + 1],
  peakMiB: 200,
  floorMs: 1,
  check: { ok: true, answers: { loss: 1 } },
  ...more,
});

describe("npm run bench", () => {
  it("tells how it is called, and of every benchmark by itself", async () => {
    const all = await bench("--help");
    expect(all.code).toBe(0);
    expect(all.stdout).toMatch(/scaling.*\n.*engines.*\n.*race/);
    expect(all.stdout).toContain("--only     workloads: vae-step");
    const scaling = await bench("scaling", "--help");
    expect([scaling.code, scaling.stdout]).toEqual([0, expect.stringContaining("npm run bench -- scaling [--only")]);
    expect((await bench("nothing")).code).toBe(1);
  });

  it("makes a page of rows: ratios, floors, goals met and missed, and what is known of an answer that differs", async () => {
    const rows = [
      row("energy-step", "tilted-compiled", 2),
      row("energy-step", "tilted-wasm", 8),
      row("energy-step", "torch", 5),
      row("energy-step", "jax", 1.5),
      row("energy-step", "tfjs", 19),
      // Faster than all, and wrong: it must not count.
      row("energy-step", "jax-js", 0.5, { check: { ok: false, answers: { loss: 2 }, worst: "loss 2 instead of 1" } }),
      { workload: "energy-step", system: "pyro", engine: "pyro", threads: 2, error: "the process ended" },
      row("cold-start coin", "tilted-wasm", 500, { threads: 1 }),
      row("cold-start coin", "numpyro", 3000, { threads: 1 }),
      {
        workload: "bundle",
        system: "tilted-wasm",
        engine: "tilted",
        threads: 1,
        gzipKiB: { script: 136, engine: 134 },
      },
    ];
    const [from, docs] = [join(folder, "rows.json"), join(folder, "race.md")];
    writeFileSync(from, JSON.stringify(rows));
    expect((await bench("race", "--from", from, "--docs", docs)).code).toBe(0);
    const page = readFileSync(docs, "utf8");
    for (const line of [
      "| torch | 2 | 50.0 | 5.00 | 5.00 to 6.00 | 2.50 | 5.0 | 200 | agree |",
      "| energy-step | PyTorch | 2.5 | 2.50 | met |",
      "| energy-step | JAX | 1 | 0.75 | missed |",
      "| energy-step | plain tfjs | 10 | 9.50 | missed |",
      "| cold-start coin | NumPyro | 5 | 6.00 | met |",
      "differ: loss 2 instead of 1",
      "the process ended",
      "jax-js: its WebAssembly backend has a fault in second derivatives",
      "136 KiB of script and 134 KiB of WebAssembly",
    ])
      expect(page).toContain(line);
    // The best other of the table at a glance is JAX, not what is wrong.
    expect(page).toMatch(/\| energy-step \(step\) .*\| differs .*\| 0\.75 \|/);
  });

  it("draws curves, and says which of them are worse than linear", async () => {
    const points = (power: number) =>
      [10, 100, 1000, 10_000].map((size) => ({ size, ms: size ** power, MiB: 100 + size / 100 }));
    const from = join(folder, "curves.json");
    const curves = [
      { kind: "chains", engine: "wasm", points: points(1) },
      { kind: "chains", engine: "compiled", points: points(1.5) },
    ];
    writeFileSync(from, JSON.stringify(curves));
    expect((await bench("scaling", "--from", from, "--out", folder, "--docs", folder)).code).toBe(0);
    const page = readFileSync(join(folder, "scaling.md"), "utf8");
    expect(page).toMatch(/\| wasm \| .*\| 1\.00 \| 0\.\d+ \| no worse than linear \|/);
    expect(page).toMatch(/\| compiled \| .*\| 1\.50 \| 0\.\d+ \| worse than linear \|/);
    expect(readFileSync(join(folder, "scaling-time.svg"), "utf8")).toContain("linear, for comparison");
    expect(readFileSync(join(folder, "scaling-memory.png")).length).toBeGreaterThan(10_000);
  });
});
