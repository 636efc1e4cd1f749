import { describe, expect, it } from "vitest";
import { TiltedError } from "../../core/errors.ts";
import { show } from "../ir/show.ts";
import { createBuilder } from "./builder.ts";

describe("the builder", () => {
  it("makes equal expressions one node", () => {
    const g = createBuilder();
    const x = g.input("x", [2, 3]);
    expect(g.unary("exp", x)).toBe(g.unary("exp", x));
    expect(g.constant(0.1)).toBe(g.constant(0.1));
    expect(g.constant(0)).not.toBe(g.constant(-0));
    expect(g.constant(NaN)).not.toBe(g.constant(Infinity));
    expect(g.constant(Float32Array.of(1, 2))).toBe(g.constant(Float32Array.of(1, 2)));
    expect(g.constant(Float32Array.of(1, 2))).not.toBe(g.constant(Float32Array.of(1, 3)));
    expect(g.input("x", [2, 3])).toBe(x);
  });

  it("infers shapes and dtypes", () => {
    const g = createBuilder();
    const x = g.input("x", [4, 1, 3]);
    const y = g.input("y", [5, 1]);
    const i = g.input("i", [2, 2], "int32");
    expect(g.binary("add", x, y).shape).toEqual([4, 5, 3]);
    expect(g.binary("less", x, y)).toMatchObject({ shape: [4, 5, 3], dtype: "bool" });
    expect(g.matmul(x, x, { transposeA: true }).shape).toEqual([4, 3, 3]);
    expect(g.reduce("sum", x, [0, 2]).shape).toEqual([1]);
    expect(g.reduce("sum", x, [0, 2], true).shape).toEqual([1, 1, 1]);
    expect(g.gather(x, i, 2).shape).toEqual([4, 1, 2, 2]);
    expect(g.gatherND(x, i)).toMatchObject({ shape: [2, 3], dtype: "float32" });
    expect(g.argMax(x, 2)).toMatchObject({ shape: [4, 1], dtype: "int32" });
    expect(g.oneHot(i, 7).shape).toEqual([2, 2, 7]);
    expect(g.topK(x, 2).values.shape).toEqual([4, 1, 2]);
    expect(g.binary("add", i, x.shape.length ? g.constant(1, [], "int32") : x).dtype).toBe("int32");
    expect(g.binary("mul", i, g.constant(0.5)).dtype).toBe("float32");
    expect(g.conv2d(g.input("im", [1, 8, 8, 2]), g.input("w", [3, 3, 2, 5]), { strides: [2, 2] }).shape).toEqual([
      1, 3, 3, 5,
    ]);
  });

  it.each([
    ["add", (g: ReturnType<typeof createBuilder>) => g.binary("add", g.input("a", [2]), g.input("b", [3]))],
    ["matmul", (g: ReturnType<typeof createBuilder>) => g.matmul(g.input("a", [2, 3]), g.input("b", [2, 3]))],
    ["reshape", (g: ReturnType<typeof createBuilder>) => g.reshape(g.input("a", [2, 3]), [5])],
    ["transpose", (g: ReturnType<typeof createBuilder>) => g.transpose(g.input("a", [2, 3]), [0, 0])],
    ["slice", (g: ReturnType<typeof createBuilder>) => g.slice(g.input("a", [2]), [1], [2])],
    ["concat", (g: ReturnType<typeof createBuilder>) => g.concat([g.input("a", [2, 3]), g.input("b", [2, 2])], 0)],
    ["sum", (g: ReturnType<typeof createBuilder>) => g.reduce("sum", g.input("a", [2]), [1])],
    ["broadcast", (g: ReturnType<typeof createBuilder>) => g.broadcast(g.input("a", [2]), [3])],
    ["constant", (g: ReturnType<typeof createBuilder>) => g.constant(Float32Array.of(1, 2), [3])],
  ])("refuses shapes that do not agree: %s", (op, build) => {
    expect(() => build(createBuilder())).toThrow(
      expect.objectContaining({ code: "shape", message: expect.stringContaining(op) }),
    );
  });

  it("refuses one name for two inputs", () => {
    const g = createBuilder();
    g.input("x", [2]);
    expect(() => g.input("x", [3])).toThrow(TiltedError);
  });

  it("keeps only what the outputs need, operands first, and prints it", () => {
    const g = createBuilder();
    const [x, w] = [g.input("x", [128, 20]), g.input("w", [2, 20])];
    g.unary("exp", x);
    const y = g.binary("mul", g.matmul(x, w, { transposeB: true }), g.constant(0.1));
    const graph = g.finish([{ name: "y", node: g.reduce("sum", y, [1]) }]);
    expect(show(graph)).toBe(
      [
        '%0: f32[128,20] = input("x")',
        '%1: f32[2,20] = input("w")',
        "%2: f32[128,2] = matmul(%0, %1^T)",
        "%3: f32[] = constant(0.1)",
        "%4: f32[128,2] = mul(%2, %3)",
        "%5: f32[128] = sum(%4, axes=[1])",
        "y = %5",
      ].join("\n"),
    );
  });
});
