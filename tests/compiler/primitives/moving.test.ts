/** Primitives that move, read and add elements on ONNX Runtime. */
import { describe, it } from "vitest";
import type { Node } from "../../../src/compiler/ir/node.ts";
import type { Builder } from "../../../src/compiler/primitives/builder.ts";
import { checkLowered, spread } from "../../support/lowering.ts";

describe("moving data", () => {
  const x = spread(24);
  const at = (...values: number[]) => Int32Array.from(values);
  const cases: readonly [string, (g: Builder, x: Node) => Node][] = [
    ["reshape", (g, v) => g.reshape(v, [4, 6])],
    ["reshape to a scalar", (g, v) => g.reshape(g.slice(v, [1, 1, 1], [1, 1, 1]), [])],
    ["transpose", (g, v) => g.transpose(v, [2, 0, 1])],
    ["broadcast", (g, v) => g.broadcast(g.slice(v, [0, 1, 0], [2, 1, 4]), [3, 2, 5, 4])],
    ["concat", (g, v) => g.concat([v, g.slice(v, [0, 1, 0], [2, 2, 4])], 1)],
    ["slice", (g, v) => g.slice(v, [1, 0, 2], [1, 3, 2])],
    ["slice to nothing", (g, v) => g.concat([g.slice(v, [0, 0, 0], [0, 3, 4]), v], 0)],
    ["stridedSlice", (g, v) => g.stridedSlice(v, [0, 2, 1], [2, 3, 2], [1, -1, 2])],
    ["stridedSlice falling", (g, v) => g.stridedSlice(v, [1, 2, 3], [2, 2, 2], [-1, -2, -2])],
    [
      "pad",
      (g, v) =>
        g.pad(
          v,
          [
            [0, 1],
            [2, 0],
            [1, 1],
          ],
          -7,
        ),
    ],
    ["reverse", (g, v) => g.reverse(v, [0, 2])],
    ["gather", (g, v) => g.gather(v, g.constant(at(2, 0, 1, 1), [2, 2], "int32"), 1)],
    ["gather one", (g, v) => g.gather(v, g.constant(1, [], "int32"), 0)],
    ["gatherND", (g, v) => g.gatherND(v, g.constant(at(1, 2, 0, 0, 1, 1), [3, 2], "int32"))],
    ["gatherND at given places", (g, v) => g.gatherND(v, g.input("at", [2, 1], "int32"))],
    [
      "scatterND",
      (g, v) =>
        g.scatterND(
          g.constant(at(1, 4, 1), [3, 1], "int32"),
          g.reshape(g.slice(v, [0, 0, 0], [1, 3, 4]), [3, 4]),
          [5, 4],
        ),
    ],
    [
      "scatterND of int32",
      (g, v) =>
        g.scatterND(
          g.constant(at(1, 1), [2, 1], "int32"),
          g.cast(g.reshape(g.slice(v, [0, 0, 0], [1, 1, 2]), [2]), "int32"),
          [3],
        ),
    ],
    ["segmentSum", (g, v) => g.segmentSum(g.reshape(v, [6, 4]), g.constant(at(0, 2, 2, -1, 7, 0), [6], "int32"), 4)],
    ["segmentSum of a matrix of ids", (g, v) => g.segmentSum(v, g.constant(at(0, 2, 2, 1, 7, 0), [2, 3], "int32"), 3)],
    ["oneHot", (g, v) => g.oneHot(g.cast(g.slice(v, [0, 0, 0], [1, 1, 4]), "int32"), 3, 2, -1)],
    ["a large splat", (g) => g.binary("add", g.constant(0.1, [2, 3, 4]), g.reduce("sum", g.constant(2, [100, 100])))],
    ["a constant array", (g, v) => g.binary("add", v, g.constant(Float64Array.of(1, 2, 3, 0.1)))],
  ];
  it.each(cases)("%s", async (_, build) => {
    await checkLowered((g) => build(g, g.input("x", [2, 3, 4])), { x, at: at(1, 0) });
  });
  it.each(["reshape", "transpose", "concat", "slice", "reverse", "broadcast", "gather", "pad"])(
    "%s of int32 and bool",
    async (name) => {
      const build = cases.find(([n]) => n === name)![1];
      for (const dtype of ["int32", "bool"] as const)
        if (!(name === "pad" && dtype === "bool"))
          await checkLowered((g) => build(g, g.cast(g.input("x", [2, 3, 4]), dtype)), { x });
    },
  );
});
