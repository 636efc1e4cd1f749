/** Elementwise primitives on ONNX Runtime. */
import { describe, expect, it } from "vitest";
import { BINARY, type BinaryOp } from "../../../src/compiler/primitives/binary.ts";
import { type Builder, createBuilder } from "../../../src/compiler/primitives/builder.ts";
import { UNARY, type UnaryOp } from "../../../src/compiler/primitives/unary.ts";
import { evaluate } from "../../support/graph-reference.ts";
import { checkLowered, spread } from "../../support/lowering.ts";
import { programFor } from "../../support/programs.ts";

const [inf, nan] = [Infinity, NaN];
const everywhere = Float32Array.of(
  ...[0, 1e-30, -1e-30, 1e-10, -1e-10, 1e-5, -1e-5, 0.001, -0.001, 0.1, -0.1, 0.25, -0.3, 0.5, -0.5, 0.75, -0.9, 0.999],
  ...[1, -1, 1.5, -1.5, 2.5, -2.5, 3.5, 5, -5, 9, -9, 14, -14, 17.5, -19, 30, -30, 60, -60, 100, -100, 1e4, -1e4],
  ...[inf, -inf, nan],
);
const domain: Partial<Record<UnaryOp, (x: number) => boolean>> = {
  tan: (x) => Math.abs(x) < 1.5,
  sin: (x) => Math.abs(x) < 200,
  cos: (x) => Math.abs(x) < 200,
};
const comparisons: readonly BinaryOp[] = ["less", "lessEqual", "greater", "greaterEqual", "equal", "notEqual"];
const arithmetic = (Object.keys(BINARY) as BinaryOp[]).filter(
  (op) => BINARY[op].operand !== "truth" && !comparisons.includes(op),
);

const single = (op: UnaryOp, value: number) => {
  const g = createBuilder();
  return g.finish([{ name: "y", node: g.unary(op, g.constant(value)) }]);
};

describe("elementwise primitives", () => {
  const ops = Object.keys(UNARY).filter((op): op is UnaryOp => op !== "not");
  it.each(ops)("%s", async (op) => {
    const x = everywhere.filter(domain[op] ?? (() => true));
    await checkLowered((g) => g.unary(op, g.input("x", [x.length])), { x });
  });
  it.each(["log1p", "expm1", "softplus", "sigmoid", "tanh", "log", "asinh", "atanh", "sinh", "elu"] as const)(
    "%s, relative error where the value is small",
    async (op) => {
      // Divided by its size at the same place, so that small values count as much as large ones.
      const at =
        op === "log"
          ? [0.9, 0.99, 1.01, 1.2]
          : op === "softplus" || op === "sigmoid"
            ? [-5, -15, -25, -40]
            : [1e-6, -1e-4, 0.01, -0.2];
      const x = Float32Array.from(at);
      await checkLowered(
        (g) => {
          const exact = g.constant(
            Float64Array.from(x, (v) => evaluate(single(op, v), {}).y![0]!),
            [x.length],
          );
          return g.binary("div", g.unary(op, g.input("x", [x.length])), exact);
        },
        { x },
        { float32: op === "elu" ? 1e-1 : 2e-5, float64: op === "softplus" ? 1e-10 : 1e-10 },
      );
    },
  );
  it("softplus of many elements, near zero, in both tails and of what is not finite", async () => {
    const some = [0, 1e-6, 0.3, 1, 7, 30, 88, 100, 1e30, inf].flatMap((v) => [v, -v]);
    const x = Float32Array.from({ length: 3000 }, (_, i) => some[i % some.length]!);
    await checkLowered((g) => g.unary("softplus", g.input("x", [3000])), {
      x: x.map((v, i) => (i === 2999 ? nan : v)),
    });
    const finite = x.map((v) => (v > -80 ? v : -1));
    const relative = (g: Builder) => {
      const exact = Float64Array.from(finite, (v) => evaluate(single("softplus", v), {}).y![0]!);
      return g.binary("div", g.unary("softplus", g.input("x", [3000])), g.constant(exact, [3000]));
    };
    await checkLowered(
      (g) => g.where(g.unary("isFinite", relative(g)), relative(g), g.constant(1)),
      { x: finite },
      { float32: 2e-6, float64: 1e-10 },
    );
  });
  it.each([...arithmetic, ...comparisons])("%s", async (op) => {
    const points = [0, 1, -1, 0.5, -2.5, 3, 7.25, -7.25, 2].map((v) => v);
    const special = op === "maximum" || op === "minimum" || comparisons.includes(op) ? [inf, -inf, nan] : [];
    const all = [...points, ...special];
    const a = Float32Array.from(all.flatMap((x) => all.map(() => x)));
    const b = Float32Array.from(all.flatMap(() => all));
    await checkLowered((g) => g.binary(op, g.input("a", [a.length]), g.input("b", [b.length])), { a, b });
  });
  it.each([
    "add",
    "sub",
    "mul",
    "pow",
    "maximum",
    "minimum",
    "mod",
    "floorDiv",
    "squaredDifference",
    "less",
    "equal",
    "notEqual",
  ] as const)("%s of int32", async (op) => {
    const a = Int32Array.of(7, -7, 7, -7, 0, 5, 6, 10003);
    const b = Int32Array.of(2, 2, op === "pow" ? 3 : -2, op === "pow" ? 1 : -2, 3, 5, 3, 1);
    await checkLowered((g) => g.binary(op, g.input("a", [8], "int32"), g.input("b", [8], "int32")), { a, b });
  });
  it.each(["neg", "abs", "sign", "square", "relu", "floor", "exp"] as const)("%s of int32", async (op) => {
    await checkLowered((g) => g.unary(op, g.input("a", [4], "int32")), { a: Int32Array.of(-3, 0, 2, 1) });
  });
  it("does not end the process on integer division by zero", async () => {
    const g = createBuilder();
    const [a, b] = [g.input("a", [1], "int32"), g.input("b", [1], "int32")];
    const program = await programFor(
      g.finish([
        { name: "q", node: g.binary("div", a, b) },
        { name: "r", node: g.binary("mod", a, b) },
      ]),
    );
    expect(() => program.run({ a: Int32Array.of(1), b: Int32Array.of(0) })).not.toThrow();
  });
  it.each(["and", "or", "xor"] as const)("%s", async (op) => {
    const [a, b] = [Uint8Array.of(0, 0, 1, 1), Uint8Array.of(0, 1, 0, 1)];
    await checkLowered((g) => g.binary(op, g.input("a", [4], "bool"), g.unary("not", g.input("b", [4], "bool"))), {
      a,
      b,
    });
  });
  it.each(["float32", "int32", "bool"] as const)("where and cast of %s", async (dtype) => {
    const c = Uint8Array.of(0, 1, 1, 0);
    await checkLowered(
      (g) => g.where(g.input("c", [4], "bool"), g.cast(g.input("x", [3, 4]), dtype), g.constant(1, [], dtype)),
      { c, x: spread(12) },
    );
  });
});
