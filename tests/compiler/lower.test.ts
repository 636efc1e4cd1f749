/** Which of several ONNX kernels a graph gets, and that it is right. */
import { describe, expect, it } from "vitest";
import type { Node } from "../../src/compiler/ir/node.ts";
import type { Builder } from "../../src/compiler/primitives/builder.ts";
import { checkLowered, loweredOps, spread } from "../support/lowering.ts";

describe("what ONNX Runtime has faster kernels for", () => {
  it.each([
    [[32, 5], [0]],
    [
      [4, 8, 5],
      [0, 1],
    ],
    [[4, 8, 5], [0]],
    [
      [4, 8, 5],
      [1, 2],
    ],
    [
      [32, 5],
      [0, 1],
    ],
  ] as const)("sums of %j over %j", async (shape, axes) => {
    for (const keep of [false, true]) {
      const build = (g: Builder) => g.reduce("sum", g.input("x", shape), axes, keep);
      const rows = axes.reduce<number>((n, axis) => n * shape[axis]!, 1);
      const leading = rows >= 16 && axes.every((axis, i) => axis === i) && axes.length < shape.length;
      expect(loweredOps(build).includes("MatMul")).toBe(leading);
      expect(loweredOps(build, "float64").includes("MatMul")).toBe(false);
      await checkLowered(build, { x: spread(160) });
    }
  });

  it("masks along a short last axis are repeated, once for all choices", async () => {
    const build = (n: number) => (g: Builder) => {
      const mask = g.binary("less", g.input("c", [40, 1]), g.constant(0.3));
      const [a, b] = [g.input("a", [40, n]), g.input("b", [40, n])];
      return g.binary("add", g.where(mask, a, b), g.unary("square", g.where(mask, b, a)));
    };
    const repeats = (n: number) => loweredOps(build(n)).filter((op) => op === "Concat").length;
    expect([1, 2, 16, 17].map(repeats)).toEqual([0, 1, 1, 0]);
    for (const n of [2, 16, 17])
      await checkLowered(build(n), { c: spread(40), a: spread(40 * n), b: spread(40 * n, 2) });
  });

  it("the left operand of a wide product is turned beforehand, once", async () => {
    const build = (m: number, n: number) => (g: Builder) => {
      const x = g.input("x", [6, m]);
      const product = (name: string) => g.matmul(x, g.input(name, [6, n]), { transposeA: true });
      return g.binary("add", product("y"), g.unary("neg", product("z")));
    };
    const turns = (m: number, n: number) => loweredOps(build(m, n)).filter((op) => op === "Transpose").length;
    expect([turns(64, 199), turns(63, 200), turns(64, 200)]).toEqual([0, 0, 1]);
    await checkLowered(build(64, 200), { x: spread(6 * 64), y: spread(1200), z: spread(1200, 2) });
  });

  it("x·sigmoid(x), where nothing else is asked for", () => {
    const active = (g: Builder) => g.binary("mul", g.input("x", [4]), g.unary("sigmoid", g.input("x", [4])));
    const slope = (g: Builder) => g.binary("sub", active(g), g.unary("sigmoid", g.input("x", [4])));
    expect(loweredOps(active)).toEqual(["QuickGelu"]);
    expect(loweredOps(active, "float64")).not.toContain("QuickGelu");
    expect(loweredOps(slope)).not.toContain("QuickGelu");
  });
});

describe("sigmoid", () => {
  it.each<readonly [string, boolean, (g: Builder, x: Node, s: Node, rest: Node) => readonly Node[]]>([
    [
      "x·s and its derivatives",
      true,
      (g, x, s, rest) => {
        const y = g.binary("mul", x, s);
        const slope = g.binary("add", s, g.binary("mul", y, rest));
        return [y, slope, g.binary("mul", rest, g.binary("sub", g.binary("add", s, slope), g.binary("mul", y, s)))];
      },
    ],
    ["s alone", false, (_, __, s) => [s]],
    ["s beside x·s", false, (g, x, s) => [g.binary("mul", x, s), s]],
    ["1 − s beside x·s", false, (g, x, s, rest) => [g.binary("mul", x, s), rest]],
    ["log s beside x·s", false, (g, x, s) => [g.binary("mul", x, s), g.unary("log", s)]],
    ["log (1 − s) beside x·s", false, (g, x, s, rest) => [g.binary("mul", x, s), g.unary("log", rest)]],
    ["another product", false, (g, _x, s) => [g.binary("mul", g.constant(2), s)]],
  ])("of %s takes the fast kernel: %s", (_, fast, build) => {
    const ops = loweredOps((g) => {
      const x = g.input("x", [4]);
      const s = g.unary("sigmoid", x);
      return build(g, x, s, g.binary("sub", g.constant(1), s));
    });
    expect(ops.includes("Sigmoid")).toBe(fast);
  });
});
