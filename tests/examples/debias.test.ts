/** The walkthrough's command line, and its pieces that need no training. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { balanceOf } from "../../examples/debias/measure.ts";
import { DEFAULTS, HELP, parseOptions } from "../../examples/debias/options.ts";
import { planeOf } from "../../examples/debias/plane.ts";
import { pickRows, spreadRows } from "../../examples/debias/rows.ts";
import { ndarray } from "../../src/core/array.ts";
import { runTs } from "../support/run.ts";

const main = "examples/debias/main.ts";
const parsed = (...argv: string[]) => {
  const e = parseOptions(argv);
  return e._tag === "Left" ? e.left : e.right;
};

describe("npm start", () => {
  it("reads its options", () => {
    expect(parsed()).toEqual(DEFAULTS);
    expect(parsed("--latent", "10", "--seed", "7", "--epochs", "3", "--out", "x", "--samples", "500")).toEqual({
      ...DEFAULTS,
      latent: 10,
      seed: 7,
      epochs: 3,
      out: "x",
      samples: 500,
    });
    expect(parsed("--objective", "snis", "--base", "prior", "--data", "mnist")).toMatchObject({
      objective: "snis",
      base: "prior",
      data: "mnist",
    });
    expect(parsed("--engine", "node-gpu")).toMatchObject({ engine: "node-gpu" });
    expect(parsed("--help")).toBe("help");
  });

  it.each([
    [["--latent", "3"], '--latent must be 2 or 10, got "3"'],
    [["--seed", "-1"], /seed/],
    [["--seed", "x"], '--seed must be a whole number of at least 0, got "x"'],
    [["--epochs", "0"], '--epochs must be a whole number of at least 1, got "0"'],
    [["--samples", "10"], '--samples must be a whole number of at least 100, got "10"'],
    [["--objective", "magic"], /--objective must be logistic, snis, self-normalized or contrastive, got "magic"/],
    [["--base", "sand"], '--base must be prior or aggregate, got "sand"'],
    [["--engine", "gpu"], '--engine must be wasm, compiled or node-gpu, got "gpu"'],
    [["--wat"], /--wat/],
  ])("answers %j with one clear line", (argv, message) => {
    const said = parsed(...argv);
    expect(typeof said).toBe("string");
    expect(said).toMatch(
      message instanceof RegExp ? message : new RegExp(message.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")),
    );
    expect(said).not.toContain("\n");
  });

  it("helps, and fails with a message and no stack on wrong values and missing files", async () => {
    const help = await runTs(main, ["--help"]);
    expect([help.code, help.stdout]).toEqual([0, HELP]);
    const wrong = await runTs(main, ["--latent", "3"]);
    expect([wrong.code, wrong.stderr]).toEqual([1, '--latent must be 2 or 10, got "3"\nTry: npm start -- --help\n']);
    const folder = mkdtempSync(join(tmpdir(), "tilted-"));
    try {
      const missing = await runTs(main, ["--data", folder]);
      expect(missing.code).toBe(1);
      expect(missing.stderr).toMatch(/train-images/);
      expect(missing.stderr.trim()).not.toContain("\n");
      writeFileSync(join(folder, "train-images-idx3-ubyte"), "nonsense");
      const garbled = await runTs(main, ["--data", folder]);
      expect(garbled.code).toBe(1);
      expect(garbled.stderr.trim().split("\n")).toHaveLength(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("measures balance over a fixed list of classes", () => {
    expect(balanceOf([0.2, 0.2, 0.2, 0.2, 0.2])).toMatchObject({ tv: 0, fairness: 0 });
    const one = balanceOf([1, 0, 0, 0, 0]);
    expect(one.tv).toBeCloseTo(0.8, 12);
    expect(one.fairness).toBeCloseTo(Math.sqrt(0.8), 12);
  });

  it("projects latents on their principal axes and picks rows", () => {
    const z = ndarray(
      Float32Array.from({ length: 300 }, (_, i) => [5, 0.1, 2][i % 3]! * Math.sin(i * (1 + (i % 3)))),
      [100, 3],
    );
    const plane = planeOf(z)(z);
    const spread = (offset: number) =>
      Array.from({ length: 100 }, (_, i) => plane[2 * i + offset]! ** 2).reduce((a, b) => a + b);
    const along = (j: number) => {
      const column = Array.from({ length: 100 }, (_, i) => z.data[3 * i + j]!);
      const mean = column.reduce((a, b) => a + b) / 100;
      return column.reduce((s, x) => s + (x - mean) ** 2, 0);
    };
    expect(spread(0)).toBeGreaterThanOrEqual(along(0) * 0.999);
    expect(spread(0) + spread(1)).toBeGreaterThan(along(0) + along(2) - 1e-3);
    expect(Array.from(pickRows(z, [2]).data)).toEqual(Array.from(z.data.subarray(6, 9)));
    expect(spreadRows(z, 4).shape).toEqual([4, 3]);
  });
});
