/** The teaching examples run as a reader would run them, stay short, and print what they promise. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root, runTs } from "../support/run.ts";

const folder = join(root, "examples");
const numbers = (line: string | undefined) => (line?.match(/-?\d+\.\d+/g) ?? []).map(Number);
const line = (output: string, start: string) => output.split("\n").find((l) => l.trimStart().startsWith(start));

async function output(name: string): Promise<string> {
  const { code, stdout, stderr } = await runTs(join("examples", name));
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return stdout;
}

describe("teaching examples", () => {
  it("are numbered and under 80 lines", () => {
    const files = readdirSync(folder).filter((f) => f.endsWith(".ts"));
    expect(files.map((f) => f.slice(0, 2))).toEqual(["01", "02", "03", "04", "05", "06"]);
    for (const f of files)
      expect(readFileSync(join(folder, f), "utf8").trimEnd().split("\n").length, f).toBeLessThan(80);
  });

  it("01: the coin agrees with its conjugate answer within four standard errors", async () => {
    const text = await output("01-coin.ts");
    for (const start of ["E[p | data]", "log p(data)"]) {
      const [estimate, error, exact] = numbers(line(text, start)) as [number, number, number];
      expect(Math.abs(estimate - exact)).toBeLessThan(4 * error + 5e-5);
    }
    expect(numbers(line(text, "E[p"))[2]).toBe(0.6429);
  });

  it("02: weights collapse with the dimension, and the last row is not to be trusted", async () => {
    const text = await output("02-gaussian-tilt.ts");
    const rows = text.split("\n").slice(1, 5);
    for (const row of rows.slice(0, 3)) {
      const [logZ, exact] = numbers(row) as [number, number];
      expect(Math.abs(logZ - exact)).toBeLessThan(0.05);
    }
    expect(rows.map((r) => r.includes("do not trust"))).toEqual([false, false, false, true]);
  });

  it("03: both methods find the line of least squares", async () => {
    const text = await output("03-regression.ts");
    for (const [start, tolerance] of [
      ["slope", 0.03],
      ["intercept", 0.05],
    ] as const) {
      const [, , mean, , exact] = numbers(line(text, start)) as [number, number, number, number, number];
      expect(Math.abs(mean - exact)).toBeLessThan(tolerance);
    }
  });

  it("04: a hundred points make the clusters nearly even again", async () => {
    const text = await output("04-debias-mixture.ts");
    const [ab, , ac] = numbers(line(text, "energy gaps")) as [number, number, number];
    expect(Math.abs(ab - 2.37)).toBeLessThan(0.5);
    expect(Math.abs(ac - 2.08)).toBeLessThan(0.5);
    const [worth] = numbers(line(text, "ESS/n of weighted draws")) as [number];
    expect(Math.abs(worth - 0.383)).toBeLessThan(0.08);
  });

  it("05: more particles give a tighter bound", async () => {
    const text = await output("05-vae.ts");
    const bounds = ["K = 1 ", "K = 10 ", "K = 100"].map((start) => numbers(line(text, start))[0] as number);
    expect(bounds[1]).toBeGreaterThan(bounds[0] as number);
    expect(bounds[2]).toBeGreaterThan(bounds[1] as number);
  });

  it("06: the heated posterior moves from prior to posterior, as the conjugate answer does", async () => {
    const text = await output("06-own-handler.ts");
    for (const row of text.trim().split("\n").slice(1)) {
      const [, value, exact] = numbers(row) as [number, number, number];
      expect(Math.abs(value - exact)).toBeLessThan(0.004);
    }
  });
});
