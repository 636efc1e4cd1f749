/** Sums of softplus with one logarithm for many terms: where they are taken, and what they give. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Graph, Node } from "../../src/compiler/ir/node.ts";
import { factorsOf, softplusSums } from "../../src/compiler/passes/softplus-sums.ts";
import { type Builder, createBuilder } from "../../src/compiler/primitives/builder.ts";
import { createProgram } from "../../src/compiler/runtime/session.ts";
import type { Shape } from "../../src/core/shape.ts";
import { evaluate } from "../support/graph-reference.ts";

const graphOf = (build: (g: Builder) => Node): Graph => {
  const g = createBuilder();
  return g.finish([{ name: "y", node: build(g) }]);
};
const taken = (build: (g: Builder) => Node): boolean =>
  softplusSums(graphOf(build)).nodes.some(({ op }) => op === "prod");
const x = (g: Builder, shape: Shape = [30, 112]) => g.input("x", shape);
const softplus = (g: Builder, shape?: Shape) => g.unary("softplus", x(g, shape));

/** Differences from the sum in doubles, in single width, relative to the rounding of the larger of the two parts. */
async function errors(build: (g: Builder) => Node, inputs: { readonly [name: string]: Float32Array }) {
  const graph = graphOf(build);
  const program = await createProgram(graph);
  const found = program.run(inputs).y as Float32Array;
  program.dispose();
  return Array.from(evaluate(graph, inputs).y as Float64Array, (exact, i) => ({
    exact,
    error: (found[i] ?? 0) - exact,
  }));
}

describe("factorsOf", () => {
  it("divides, or takes all of a few", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), (n) => {
        const g = factorsOf(n);
        if (g === undefined) return n < 4 || n > 56;
        expect(n % g).toBe(0);
        expect(g).toBeLessThanOrEqual(120);
        return g >= 4;
      }),
    );
    expect([784, 112, 1000, 11, 113, 127, 3].map(factorsOf)).toEqual([56, 56, 50, 11, 113, undefined, undefined]);
  });
});

describe("softplusSums", () => {
  it.each<readonly [string, boolean, (g: Builder) => Node]>([
    [
      "Σ (a − softplus)",
      true,
      (g) => g.reduce("sum", g.binary("sub", g.binary("mul", x(g), g.input("a", [112])), softplus(g)), [1]),
    ],
    ["Σ −softplus", true, (g) => g.reduce("sum", g.unary("neg", softplus(g)), [1], true)],
    ["over all axes", true, (g) => g.reduce("sum", g.unary("neg", softplus(g)))],
    ["in another shape", true, (g) => g.reduce("sum", g.unary("neg", g.reshape(softplus(g), [5, 6, 112])), [2])],
    ["Σ softplus", false, (g) => g.reduce("sum", softplus(g), [1])],
    ["Σ (softplus − a)", false, (g) => g.reduce("sum", g.binary("sub", softplus(g), g.input("a", [112])), [1])],
    ["few elements", false, (g) => g.reduce("sum", g.unary("neg", softplus(g, [2, 112])), [1])],
    ["another axis", false, (g) => g.reduce("sum", g.unary("neg", softplus(g)), [0])],
    [
      "a number of terms that nothing divides",
      false,
      (g) => g.reduce("sum", g.unary("neg", softplus(g, [30, 127])), [1]),
    ],
    [
      "a shape with another last axis",
      false,
      (g) => g.reduce("sum", g.unary("neg", g.reshape(softplus(g), [60, 56])), [1]),
    ],
    [
      "used elsewhere as well",
      false,
      (g) => g.binary("add", g.reduce("sum", g.unary("neg", softplus(g)), [1], true), softplus(g)),
    ],
    [
      "a broadcast one",
      false,
      (g) => g.reduce("sum", g.binary("sub", x(g), g.unary("softplus", g.input("b", [112]))), [1]),
    ],
  ])("%s: %s", (_, expected, build) => {
    expect(taken(build)).toBe(expected);
  });

  it("is right to the rounding of its terms, for every size of argument", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: -3, max: 2, noNaN: true }),
        fc.integer({ min: 0, max: 1e6 }),
        async (scale, seed) => {
          const [rows, n] = [20, 112];
          const wave = (i: number) => Math.sin(1.7 * i + seed) * 10 ** scale;
          const inputs = {
            x: Float32Array.from({ length: rows * n }, (_, i) => wave(i)),
            a: Float32Array.from({ length: n }, (_, i) => Math.abs(Math.sin(i))),
          };
          const build = (g: Builder) =>
            g.reduce(
              "sum",
              g.binary("sub", g.binary("mul", x(g, [rows, n]), g.input("a", [n])), softplus(g, [rows, n])),
              [1],
            );
          for (const { exact, error } of await errors(build, inputs))
            expect(Math.abs(error)).toBeLessThan(n * 2e-7 + 1e-6 * (Math.abs(exact) + 10 ** scale));
        },
      ),
      { numRuns: 20 },
    );
  });

  it("keeps what a good likelihood nearly cancels: certain labels cost nothing", async () => {
    const inputs = { x: new Float32Array(4096).fill(30), a: new Float32Array(1024).fill(1) };
    const build = (g: Builder) =>
      g.reduce(
        "sum",
        g.binary("sub", g.binary("mul", x(g, [4, 1024]), g.input("a", [1024])), softplus(g, [4, 1024])),
        [1],
      );
    for (const { error } of await errors(build, inputs)) expect(Math.abs(error)).toBeLessThan(1e-9);
  });

  it("of what is not finite is what the sum is", async () => {
    const row = (value: number) => Float32Array.from({ length: 1024 }, (_, i) => (i === 77 ? value : 0));
    const values = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1e30, -1e30];
    const all = new Float32Array(values.length * 1024);
    for (const [i, value] of values.entries()) all.set(row(value), i * 1024);
    const build = (g: Builder) => g.reduce("sum", g.unary("neg", softplus(g, [values.length, 1024])), [1]);
    const program = await createProgram(graphOf(build));
    const found = Array.from(program.run({ x: all }).y as Float32Array);
    program.dispose();
    const rest = -1023 * Math.LN2;
    expect(found[0]).toBe(Number.NEGATIVE_INFINITY);
    expect(found[1]).toBeCloseTo(rest, 3);
    expect(found[2]).toBeNaN();
    expect(found[3]).toBe(Math.fround(-1e30));
    expect(found[4]).toBeCloseTo(rest, 3);
  });
});
