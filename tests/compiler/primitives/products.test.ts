/** Products of matrices on ONNX Runtime. */
import { describe, it } from "vitest";
import { checkLowered, spread } from "../../support/lowering.ts";

describe("products", () => {
  const cases: readonly [string, readonly number[], readonly number[]][] = [
    ["flat", [3, 4], [4, 5]],
    ["batched", [2, 3, 4], [2, 4, 5]],
    ["broadcast left", [3, 4], [2, 4, 5]],
    ["broadcast right", [2, 3, 4], [4, 5]],
    ["broadcast both", [2, 1, 3, 4], [3, 4, 5]],
  ];
  const flip = (s: readonly number[], yes: boolean) => (yes ? [...s.slice(0, -2), s.at(-1)!, s.at(-2)!] : s);
  const flags = [false, true].flatMap((transposeA) => [false, true].map((transposeB) => ({ transposeA, transposeB })));
  it.each(cases)("%s", async (_, a, b) => {
    for (const f of flags)
      for (const dtype of ["float32", "int32"] as const)
        await checkLowered(
          (g) => {
            const [x, y] = [g.input("a", flip(a, f.transposeA)), g.input("b", flip(b, f.transposeB))];
            return g.matmul(g.cast(x, dtype), g.cast(y, dtype), f);
          },
          {
            a: spread(
              a.reduce((p, q) => p * q, 1),
              5,
            ),
            b: spread(
              b.reduce((p, q) => p * q, 1),
              5,
            ),
          },
        );
  });
  it.each([[[5]], [[3, 5]], [[3, 1]], [[]]])("with a bias of shape %j", async (shape) => {
    for (const lead of [[], [2]])
      await checkLowered(
        (g) => g.emit("matmul", [g.input("a", [...lead, 3, 4]), g.input("b", [4, 5]), g.input("c", shape)], {}),
        {
          a: spread(lead.length ? 24 : 12),
          b: spread(20),
          c: spread(
            shape.reduce((p, q) => p * q, 1),
            7,
          ),
        },
      );
  });
});
