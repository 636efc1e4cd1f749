/** Reductions and other primitives along axes on ONNX Runtime. */
import { describe, it } from "vitest";
import { checkLowered, spread } from "../../support/lowering.ts";

describe("reductions", () => {
  it.each(["sum", "mean", "prod", "max", "min"] as const)("%s", async (op) => {
    for (const axes of [[0], [1], [2], [0, 2], [0, 1, 2], []])
      for (const keep of [false, true]) {
        await checkLowered((g) => g.reduce(op, g.input("x", [2, 3, 4]), axes, keep), { x: spread(24) });
        await checkLowered((g) => g.reduce(op, g.cast(g.input("x", [2, 3, 4]), "int32"), axes, keep), {
          x: spread(24, 9),
        });
      }
  });
  it.each(["max", "min"] as const)("%s propagates NaN", async (op) => {
    await checkLowered((g) => g.reduce(op, g.input("x", [2, 3]), [1]), {
      x: Float32Array.of(1, NaN, 2, NaN, Infinity, -Infinity),
    });
    await checkLowered((g) => g.reduce(op, g.input("x", [40])), { x: spread(40).map((v, i) => (i === 33 ? NaN : v)) });
  });
  it.each(["any", "all"] as const)("%s", async (op) => {
    await checkLowered((g) => g.reduce(op, g.input("x", [3, 2], "bool"), [1]), { x: Uint8Array.of(0, 0, 0, 1, 1, 1) });
  });
  it.each(["argMax", "argMin"] as const)("%s gives the first of equals", async (op) => {
    const x = Float32Array.of(1, 3, 3, 2, 0, 0);
    await checkLowered((g) => g[op](g.input("x", [2, 3]), 1), { x });
    await checkLowered((g) => g[op](g.input("x", [2, 3]), 0), { x });
  });
  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])("cumsum, exclusive %s, reverse %s", async (exclusive, reverse) => {
    for (const axis of [0, 1, 2])
      await checkLowered((g) => g.cumsum(g.input("x", [2, 3, 4]), { axis, exclusive, reverse }), { x: spread(24) });
  });
  it("topK", async () => {
    const x = Float32Array.of(3, 1, 3, 2, 5, 4, 4, 4);
    await checkLowered((g) => g.topK(g.input("x", [2, 4]), 3).values, { x });
    await checkLowered((g) => g.topK(g.input("x", [2, 4]), 3).indices, { x });
    await checkLowered(
      (g) => {
        const { values, indices } = g.topK(g.input("x", [2, 4]), 2);
        return g.binary("mul", values, indices);
      },
      { x },
    );
  });
});
