import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Graph } from "../../src/compiler/ir/node.ts";
import { createBuilder } from "../../src/compiler/primitives/builder.ts";
import { createProgram } from "../../src/compiler/runtime/session.ts";
import { programFor } from "../support/programs.ts";

/** y = x wᵀ + 1, asked for twice, beside x itself and a constant. */
function product(): Graph {
  const g = createBuilder();
  const [x, w] = [g.input("x", [2, 2]), g.input("w", [2, 2])];
  const y = g.binary("add", g.matmul(x, w, { transposeB: true }), g.constant(1));
  return g.finish([
    { name: "y", node: y },
    { name: "x", node: x },
    { name: "z", node: y },
    { name: "c", node: g.constant(0.1, [2]) },
  ]);
}
const inputs = { x: Float32Array.of(1, 2, 3, 4), w: Float32Array.of(1, 0, 0, 1) };

describe("a program", () => {
  const everywhere = (["node", "web"] as const).flatMap((r) =>
    (["float32", "float64"] as const).map((d) => [r, d] as const),
  );
  it.each(everywhere)("on %s in %s: outputs named twice, inputs and constants as outputs", async (runtime, dtype) => {
    const program = await programFor(product(), { dtype, runtime });
    const out = await program.runAsync(inputs);
    expect(program.runtime).toBe(runtime);
    expect(Array.from(out.y!)).toEqual([2, 3, 4, 5]);
    expect(Array.from(out.x!)).toEqual([1, 2, 3, 4]);
    expect(Array.from(out.z!)).toEqual([2, 3, 4, 5]);
    expect(out.c).toEqual(dtype === "float64" ? Float64Array.of(0.1, 0.1) : Float32Array.of(0.1, 0.1));
    expect(program.synchronous).toBe(runtime === "node");
  });

  it("answers at once on the native runtime, and says so where it cannot", async () => {
    const native = await programFor(product(), { runtime: "node" });
    expect(Array.from(native.run(inputs).y!)).toEqual([2, 3, 4, 5]);
    const web = await programFor(product(), { runtime: "web" });
    expect(() => web.run(inputs)).toThrow(
      expect.objectContaining({ code: "engine", message: expect.stringContaining("runAsync") }),
    );
  });

  it("does not share memory between runs", async () => {
    const program = await programFor(product(), { runtime: "node" });
    const first = program.run(inputs).y!;
    program.run({ ...inputs, x: new Float32Array(4) });
    expect(Array.from(first)).toEqual([2, 3, 4, 5]);
  });

  it.each(["float32", "float64"] as const)("writes outputs where it is told to, in %s", async (dtype) => {
    const program = await programFor(product(), { dtype, runtime: "node" });
    const whole = dtype === "float32" ? new Float32Array(12).fill(-1) : new Float64Array(12).fill(-1);
    const into = { y: whole.subarray(2, 6), x: whole.subarray(7, 11) };
    const out = program.run(inputs, into);
    expect(Array.from(whole)).toEqual([-1, -1, 2, 3, 4, 5, -1, 1, 2, 3, 4, -1]);
    expect(out.y!.buffer).toBe(whole.buffer);
    expect(Array.from(out.z!)).toEqual([2, 3, 4, 5]);
    expect(() => program.run(inputs, { y: whole })).toThrow(
      expect.objectContaining({ code: "shape", message: expect.stringContaining("found 12 elements; expected 4") }),
    );
  });

  it("checks its inputs by name and length, and converts their numbers", async () => {
    const program = await programFor(product());
    expect(() => program.run({ x: inputs.x })).toThrow(
      expect.objectContaining({ code: "argument", message: expect.stringContaining("input w") }),
    );
    expect(() => program.run({ ...inputs, x: new Float32Array(3) })).toThrow(
      expect.objectContaining({ code: "shape", message: expect.stringContaining("found 3 elements; expected 4") }),
    );
    expect(Array.from(program.run({ ...inputs, x: Int32Array.of(1, 2, 3, 4) }).y!)).toEqual([2, 3, 4, 5]);
  });

  it("ends with dispose, which may be called twice", async () => {
    const program = await createProgram(product());
    program.dispose();
    program.dispose();
    expect(() => program.run(inputs)).toThrow(
      expect.objectContaining({ code: "engine", message: expect.stringContaining("disposed") }),
    );
  });

  it("writes a profile on request", async () => {
    const prefix = join(tmpdir(), `tilted-profile-${process.pid}`);
    const written = () =>
      readdirSync(tmpdir())
        .map((f) => join(tmpdir(), f))
        .filter((f) => f.startsWith(prefix));
    const program = await createProgram(product(), { profile: prefix, runtime: "node" });
    program.run(inputs);
    program.endProfiling();
    program.dispose();
    expect(written()).toHaveLength(1);
    for (const file of written()) {
      expect(readFileSync(file, "utf8")).toContain("Gemm");
      rmSync(file);
      expect(existsSync(file)).toBe(false);
    }
  });

  it("adds long sums in two stages: a million times 0.1", async () => {
    const n = 1_000_003;
    const g = createBuilder();
    const x = g.input("x", [n, 1]);
    const graph = g.finish([
      { name: "sum", node: g.reduce("sum", x) },
      { name: "mean", node: g.reduce("mean", x, [0]) },
    ]);
    const program = await programFor(graph);
    const { sum, mean } = program.run({ x: new Float32Array(n).fill(0.1) });
    expect(Math.abs(sum![0]! / (n * 0.1) - 1)).toBeLessThan(1e-6);
    expect(Math.abs(mean![0]! / 0.1 - 1)).toBeLessThan(1e-6);
  });

  it("keeps the small probabilities that the kernel of the runtime loses", async () => {
    const g = createBuilder();
    const x = g.input("x", [3]);
    const program = await programFor(g.finish([{ name: "p", node: g.unary("sigmoid", x) }]));
    const at = [-10, -20, -60];
    program.run({ x: Float32Array.from(at) }).p!.forEach((p, i) => {
      expect(p * (1 + Math.exp(-at[i]!))).toBeCloseTo(1, 5);
    });
  });
});
