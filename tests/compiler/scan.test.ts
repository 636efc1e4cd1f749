/** Steps repeated inside the runtime: the same as running the step again and again. */
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import type { Graph } from "../../src/compiler/ir/node.ts";
import { simplify } from "../../src/compiler/passes/rules.ts";
import { createBuilder } from "../../src/compiler/primitives/builder.ts";
import type { Arrays } from "../../src/compiler/runtime/ports.ts";
import { createProgram } from "../../src/compiler/runtime/session.ts";
import { compileStep } from "../../src/compiler/step.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { evaluate } from "../support/graph-reference.ts";
import { programFor } from "../support/programs.ts";

/** One Langevin step of −½|Az|², with its energy: state z and a count, noise a row an iteration, A from outside. */
function step(): Graph {
  const g = createBuilder();
  const [z, noise, a, count] = [
    g.input("z", [5, 2]),
    g.input("noise", [5, 2]),
    g.input("a", [2, 2]),
    g.input("count", [], "int32"),
  ];
  const az = g.matmul(z, a);
  const drift = g.matmul(az, g.transpose(a));
  const moved = g.binary("sub", z, g.binary("mul", drift, g.constant(0.05)));
  const next = g.binary("add", moved, g.binary("mul", noise, g.constant(0.3)));
  return g.finish([
    { name: "z", node: next },
    { name: "energy", node: g.reduce("sum", g.unary("square", az), [1]) },
    { name: "path", node: next },
    { name: "norm", node: g.reduce("sum", g.unary("abs", a)) },
    { name: "count", node: g.binary("add", count, g.constant(1, [], "int32")) },
  ]);
}

const length = 7;
const values = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(k * i + k));
const inputs: Arrays = { z: values(10, 1), noise: values(10 * length, 2), a: values(4, 3), count: Int32Array.of(0) };

/** The step run `length` times by the evaluator. */
function unrolled(graph: Graph) {
  let state: { z: ArrayLike<number>; count: ArrayLike<number> } = { z: inputs.z!, count: inputs.count! };
  const rows: Record<string, number[]> = { energy: [], path: [], norm: [] };
  for (let i = 0; i < length; i++) {
    const out = evaluate(graph, { ...inputs, ...state, noise: inputs.noise!.subarray(10 * i, 10 * (i + 1)) });
    state = { z: out.z!, count: out.count! };
    for (const [name, list] of Object.entries(rows)) list.push(...out[name]!);
  }
  return { ...state, ...rows } as Record<string, ArrayLike<number>>;
}

const carry = { z: "z", count: "count" };

describe("a step repeated inside the runtime", () => {
  it.each([
    ["float32", "node", 3e-6],
    ["float64", "node", 1e-13],
    ["float32", "web", 3e-6],
  ] as const)("%s on %s", async (dtype, runtime, bound) => {
    for (const graph of [step(), simplify(step())]) {
      const expected = unrolled(graph);
      const program = await programFor(graph, { dtype, runtime, scan: { length, carry, slices: ["noise"] } });
      const found = await program.runAsync(inputs);
      for (const [name, exact] of Object.entries(expected)) {
        expect(found[name]!.length, name).toBe(exact.length);
        const gap = Math.max(...Array.from(exact, (v, i) => Math.abs(v - found[name]![i]!)));
        expect(gap, name).toBeLessThan(bound);
      }
      expect(found.count![0]).toBe(length);
      expect(program.outputs.find((o) => o.name === "path")!.shape).toEqual([length, 5, 2]);
      expect(program.inputs.find((o) => o.name === "noise")!.shape).toEqual([length, 5, 2]);
    }
  });

  it("runs as often as its slices have rows: two calls of some are one call of all", async () => {
    const graph = simplify(step());
    const program = await programFor(graph, { scan: { length, carry, slices: ["noise"] } });
    const whole = program.run(inputs);
    const first = program.run({ ...inputs, noise: inputs.noise!.subarray(0, 30) });
    const second = program.run({ ...inputs, z: first.z!, count: first.count!, noise: inputs.noise!.subarray(30) });
    expect(second.z).toEqual(whole.z);
    expect(second.count![0]).toBe(length);
    expect([...first.path!, ...second.path!]).toEqual([...whole.path!]);
    const path = new Float32Array(30);
    expect(program.run({ ...inputs, noise: inputs.noise!.subarray(0, 30) }, { path }).path).toBe(path);
    expect(path).toEqual(first.path);
    expect(() => program.run({ ...inputs, noise: new Float32Array(10 * (length + 1)) })).toThrow(/noise/);
    expect(() => program.run({ ...inputs, noise: new Float32Array(15) })).toThrow(/noise/);
  });

  it("computes once what no iteration changes", async () => {
    const g = createBuilder();
    const [z, a] = [g.input("z", [3]), g.input("a", [3])];
    const factor = g.unary("exp", g.unary("sin", a));
    const program = await programFor(g.finish([{ name: "z", node: g.binary("mul", z, factor) }]), {
      scan: { length: 4, carry: { z: "z" } },
    });
    // exp and sin stand before the Scan node.
    expect(program.size.operations).toBe(3);
    const out = program.run({ z: Float32Array.of(1, 2, 3), a: new Float32Array(3) });
    expect(Array.from(out.z!)).toEqual([1, 2, 3]);
  });

  it("carries what a step writes and does not read", async () => {
    await useEngine("wasm");
    const step = await compileStep({
      what: "last",
      inputs: { x: { shape: [2], dtype: "float32" }, last: { shape: [2], dtype: "float32" } },
      body: ({ x }) => ({ x: tf.add(x as tf.Tensor, 1), last: tf.mul(x as tf.Tensor, 2) }),
      scan: { length: 3, carry: { x: "x", last: "last" } },
    });
    const out = await step.run({ x: Float32Array.of(1, 5), last: new Float32Array(2) });
    expect(out?.x).toEqual(Float32Array.of(4, 8));
    expect(out?.last).toEqual(Float32Array.of(6, 14));
    step.dispose();
  });

  it("refuses states and outputs that are not there, or change their type", async () => {
    const graph = step();
    const make = (scan: { carry: Record<string, string>; slices?: string[] }) =>
      createProgram(graph, { scan: { length, ...scan } });
    await expect(make({ carry: { w: "z" } })).rejects.toMatchObject({
      code: "argument",
      message: expect.stringContaining("no input w"),
    });
    await expect(make({ carry: { z: "w" } })).rejects.toMatchObject({
      code: "argument",
      message: expect.stringContaining("no output w"),
    });
    await expect(make({ carry: { z: "z" }, slices: ["n"] })).rejects.toMatchObject({ code: "argument" });
    await expect(make({ carry: { z: "energy" } })).rejects.toMatchObject({
      code: "shape",
      message: expect.stringContaining("state z"),
    });
  });
});
