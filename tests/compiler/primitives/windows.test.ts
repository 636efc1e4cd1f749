/** Convolutions and pools on ONNX Runtime. */
import { describe, expect, it } from "vitest";
import type { Node } from "../../../src/compiler/ir/node.ts";
import { createBuilder } from "../../../src/compiler/primitives/builder.ts";
import { POOL_KERNELS } from "../../../src/compiler/primitives/pools.ts";
import { evaluate } from "../../support/graph-reference.ts";
import { checkLowered, spread } from "../../support/lowering.ts";

describe("windows", () => {
  const options = [
    {},
    {
      strides: [2, 2],
      paddings: [
        [1, 1],
        [0, 1],
      ],
    },
    {
      strides: [2, 1],
      dilations: [2, 3],
      paddings: [
        [2, 1],
        [3, 2],
      ],
    },
    {
      strides: [3, 2],
      groups: 2,
      paddings: [
        [1, 0],
        [0, 1],
      ],
    },
  ] as const;
  it.each(options)("conv2d and its gradients %j", async (o) => {
    const groups = "groups" in o ? o.groups : 1;
    const [image, filter] = [
      [2, 7, 6, 4],
      [3, 2, 4 / groups, 6],
    ];
    const shape = (() => {
      const g = createBuilder();
      return g.conv2d(g.input("x", image), g.input("w", filter), o).shape;
    })();
    const size = (s: readonly number[]) => s.reduce((p, q) => p * q, 1);
    const data = { x: spread(size(image)), w: spread(size(filter)), dy: spread(size(shape)) };
    await checkLowered((g) => g.conv2d(g.input("x", image), g.input("w", filter), o), data);
    await checkLowered((g) => g.conv2dInputGrad(g.input("dy", shape), g.input("w", filter), image, o), data);
    await checkLowered((g) => g.conv2dFilterGrad(g.input("x", image), g.input("dy", shape), filter, o), data);
  });
  it.each(["avgPool", "maxPool"] as const)("%s", async (op) => {
    for (const o of [
      { window: [2, 2], strides: [2, 2] },
      {
        window: [3, 2],
        strides: [1, 2],
        paddings: [
          [1, 1],
          [0, 1],
        ],
      },
    ] as const)
      await checkLowered((g) => g[op](g.input("x", [2, 6, 5, 3]), o), { x: spread(180) });
  });
  it("the gradient of a maximum: the pool is linear around a point without ties", () => {
    const o = {
      window: [3, 2],
      strides: [2, 1],
      paddings: [
        [1, 1],
        [0, 1],
      ],
    } as const;
    const g = createBuilder();
    const input = g.input("x", [1, 5, 4, 2]);
    const output = g.maxPool(input, o);
    const dy = g.input("dy", output.shape);
    const attrs = { filterSize: o.window, strides: o.strides, pad: [[0, 0], ...o.paddings, [0, 0]] };
    const gradient = POOL_KERNELS.MaxPoolGrad!(g, { dy, input, output }, attrs as never) as Node;
    const dot = (a: Node, b: Node) => g.reduce("sum", g.binary("mul", a, b));
    // <dy, pool(x)> = <gradient(dy), x>.
    const gaps = { gap: g.binary("sub", dot(dy, output), dot(gradient, input)), size: dot(dy, output) };
    const graph = g.finish(Object.entries(gaps).map(([name, node]) => ({ name, node })));
    const found = evaluate(graph, { x: spread(40), dy: spread(24) });
    expect(Math.abs(found.gap![0]!)).toBeLessThan(1e-12);
    expect(Math.abs(found.size![0]!)).toBeGreaterThan(1);
  });
});
