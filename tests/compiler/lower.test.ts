/** Every primitive on ONNX Runtime in both precisions against the evaluator in doubles. */
import { afterAll, describe, expect, it } from "vitest";
import { type Builder, createBuilder } from "../../src/compiler/ir/graph.ts";
import {
  arithmeticBinary,
  comparingBinary,
  keepingUnary,
  type Node,
  realUnary,
  type UnaryOp,
} from "../../src/compiler/ir/node.ts";
import { show } from "../../src/compiler/ir/show.ts";
import { avgPoolGrad, maxPoolGrad } from "../../src/compiler/ir/windows.ts";
import { lower } from "../../src/compiler/lower/lower.ts";
import { type Arrays, createProgram, type Program } from "../../src/compiler/runtime/session.ts";
import { evaluate } from "../support/graph-reference.ts";
import { programFor } from "../support/programs.ts";

const open: Program[] = [];
afterAll(() => {
  for (const program of open) program.dispose();
});

/** Values spread over [-3, 3] without repeats. */
const spread = (n: number, scale = 3) => Float32Array.from({ length: n }, (_, i) => scale * Math.sin(1.7 * i + 0.3));

/** Largest |found − expected| / max(1, |expected|); infinite where only one of the two is finite, or NaN. */
function distance(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
): { readonly gap: number; readonly at: number } {
  expect(found.length).toBe(expected.length);
  let worst = { gap: 0, at: -1 };
  for (let i = 0; i < expected.length; i++) {
    const [f, e] = [Number(found[i]), expected[i]!];
    if (Object.is(f, e) || f === e) continue;
    const gap = Math.abs(f - e) / Math.max(1, Math.abs(e));
    if (!(gap <= worst.gap)) worst = { gap: Number.isNaN(gap) ? Infinity : gap, at: i };
  }
  return worst;
}

const bounds = { float32: 4e-6, float64: 1e-13 };

async function check(build: (g: Builder) => Node, inputs: Arrays, limits: Partial<typeof bounds> = {}) {
  const g = createBuilder();
  const graph = g.finish([{ name: "y", node: build(g) }]);
  const expected = evaluate(graph, inputs).y!;
  for (const dtype of ["float32", "float64"] as const) {
    const program = await createProgram(graph, { dtype });
    open.push(program);
    const found = program.run(inputs).y! as unknown as ArrayLike<number>;
    // What overflows in single width is infinite there.
    const representable =
      dtype === "float64" ? expected : expected.map((v) => (Math.abs(v) > 3.4e38 ? Math.fround(v) : v));
    const { gap, at } = distance(found, representable);
    const where = `${dtype} at ${at}: found ${found[at]}, expected ${expected[at]}\n${show(graph)}`;
    expect(gap, where).toBeLessThanOrEqual({ ...bounds, ...limits }[dtype]);
  }
}

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
describe("elementwise primitives", () => {
  const ops: readonly UnaryOp[] = [...realUnary, ...keepingUnary, "isNaN", "isInf", "isFinite"];
  it.each(ops)("%s", async (op) => {
    const x = everywhere.filter(domain[op] ?? (() => true));
    await check((g) => g.unary(op, g.input("x", [x.length])), { x });
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
      await check(
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
    await check((g) => g.unary("softplus", g.input("x", [3000])), { x: x.map((v, i) => (i === 2999 ? nan : v)) });
    const finite = x.map((v) => (v > -80 ? v : -1));
    const relative = (g: Builder) => {
      const exact = Float64Array.from(finite, (v) => evaluate(single("softplus", v), {}).y![0]!);
      return g.binary("div", g.unary("softplus", g.input("x", [3000])), g.constant(exact, [3000]));
    };
    await check(
      (g) => g.where(g.unary("isFinite", relative(g)), relative(g), g.constant(1)),
      { x: finite },
      { float32: 2e-6, float64: 1e-10 },
    );
  });
  it.each([...arithmeticBinary, ...comparingBinary])("%s", async (op) => {
    const points = [0, 1, -1, 0.5, -2.5, 3, 7.25, -7.25, 2].map((v) => v);
    const special =
      op === "maximum" || op === "minimum" || comparingBinary.includes(op as "less") ? [inf, -inf, nan] : [];
    const all = [...points, ...special];
    const a = Float32Array.from(all.flatMap((x) => all.map(() => x)));
    const b = Float32Array.from(all.flatMap(() => all));
    await check((g) => g.binary(op, g.input("a", [a.length]), g.input("b", [b.length])), { a, b });
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
    await check((g) => g.binary(op, g.input("a", [8], "int32"), g.input("b", [8], "int32")), { a, b });
  });
  it.each(["neg", "abs", "sign", "square", "relu", "floor", "exp"] as const)("%s of int32", async (op) => {
    await check((g) => g.unary(op, g.input("a", [4], "int32")), { a: Int32Array.of(-3, 0, 2, 1) });
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
    await check((g) => g.binary(op, g.input("a", [4], "bool"), g.unary("not", g.input("b", [4], "bool"))), { a, b });
  });
  it.each(["float32", "int32", "bool"] as const)("where and cast of %s", async (dtype) => {
    const c = Uint8Array.of(0, 1, 1, 0);
    await check(
      (g) => g.where(g.input("c", [4], "bool"), g.cast(g.input("x", [3, 4]), dtype), g.constant(1, [], dtype)),
      { c, x: spread(12) },
    );
  });
});

const single = (op: UnaryOp, value: number) => {
  const g = createBuilder();
  return g.finish([{ name: "y", node: g.unary(op, g.constant(value)) }]);
};

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
        await check(
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
      await check(
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

describe("reductions", () => {
  it.each(["sum", "mean", "prod", "max", "min"] as const)("%s", async (op) => {
    for (const axes of [[0], [1], [2], [0, 2], [0, 1, 2], []])
      for (const keep of [false, true]) {
        await check((g) => g.reduce(op, g.input("x", [2, 3, 4]), axes, keep), { x: spread(24) });
        await check((g) => g.reduce(op, g.cast(g.input("x", [2, 3, 4]), "int32"), axes, keep), { x: spread(24, 9) });
      }
  });
  it.each(["max", "min"] as const)("%s propagates NaN", async (op) => {
    await check((g) => g.reduce(op, g.input("x", [2, 3]), [1]), { x: Float32Array.of(1, nan, 2, nan, inf, -inf) });
    await check((g) => g.reduce(op, g.input("x", [40])), { x: spread(40).map((v, i) => (i === 33 ? nan : v)) });
  });
  it.each(["any", "all"] as const)("%s", async (op) => {
    await check((g) => g.reduce(op, g.input("x", [3, 2], "bool"), [1]), { x: Uint8Array.of(0, 0, 0, 1, 1, 1) });
  });
  it.each(["argMax", "argMin"] as const)("%s gives the first of equals", async (op) => {
    const x = Float32Array.of(1, 3, 3, 2, 0, 0);
    await check((g) => g[op](g.input("x", [2, 3]), 1), { x });
    await check((g) => g[op](g.input("x", [2, 3]), 0), { x });
  });
  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])("cumsum, exclusive %s, reverse %s", async (exclusive, reverse) => {
    for (const axis of [0, 1, 2])
      await check((g) => g.cumsum(g.input("x", [2, 3, 4]), { axis, exclusive, reverse }), { x: spread(24) });
  });
  it("topK", async () => {
    const x = Float32Array.of(3, 1, 3, 2, 5, 4, 4, 4);
    await check((g) => g.topK(g.input("x", [2, 4]), 3).values, { x });
    await check((g) => g.topK(g.input("x", [2, 4]), 3).indices, { x });
    await check(
      (g) => {
        const { values, indices } = g.topK(g.input("x", [2, 4]), 2);
        return g.binary("mul", values, indices);
      },
      { x },
    );
  });
});

describe("what ONNX Runtime has faster kernels for", () => {
  const opsOf = (build: (g: Builder) => Node, precision: "float32" | "float64" = "float32") => {
    const g = createBuilder();
    return lower(g.finish([{ name: "y", node: build(g) }]), { precision }).model.nodes.map(({ op }) => op);
  };

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
      expect(opsOf(build).includes("MatMul")).toBe(leading);
      expect(opsOf(build, "float64").includes("MatMul")).toBe(false);
      await check(build, { x: spread(160) });
    }
  });

  it("masks along a short last axis are repeated, once for all choices", async () => {
    const build = (n: number) => (g: Builder) => {
      const mask = g.binary("less", g.input("c", [40, 1]), g.constant(0.3));
      const [a, b] = [g.input("a", [40, n]), g.input("b", [40, n])];
      return g.binary("add", g.where(mask, a, b), g.unary("square", g.where(mask, b, a)));
    };
    const repeats = (n: number) => opsOf(build(n)).filter((op) => op === "Concat").length;
    expect([1, 2, 16, 17].map(repeats)).toEqual([0, 1, 1, 0]);
    for (const n of [2, 16, 17]) await check(build(n), { c: spread(40), a: spread(40 * n), b: spread(40 * n, 2) });
  });

  it("the left operand of a wide product is turned beforehand, once", async () => {
    const build = (m: number, n: number) => (g: Builder) => {
      const x = g.input("x", [6, m]);
      const product = (name: string) => g.matmul(x, g.input(name, [6, n]), { transposeA: true });
      return g.binary("add", product("y"), g.unary("neg", product("z")));
    };
    const turns = (m: number, n: number) => opsOf(build(m, n)).filter((op) => op === "Transpose").length;
    expect([turns(64, 199), turns(63, 200), turns(64, 200)]).toEqual([0, 0, 1]);
    await check(build(64, 200), { x: spread(6 * 64), y: spread(1200), z: spread(1200, 2) });
  });

  it("x·sigmoid(x), where nothing else is asked for", () => {
    const active = (g: Builder) => g.binary("mul", g.input("x", [4]), g.unary("sigmoid", g.input("x", [4])));
    const slope = (g: Builder) => g.binary("sub", active(g), g.unary("sigmoid", g.input("x", [4])));
    expect(opsOf(active)).toEqual(["QuickGelu"]);
    expect(opsOf(active, "float64")).not.toContain("QuickGelu");
    expect(opsOf(slope)).not.toContain("QuickGelu");
  });
});

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
    await check((g) => build(g, g.input("x", [2, 3, 4])), { x, at: at(1, 0) });
  });
  it.each(["reshape", "transpose", "concat", "slice", "reverse", "broadcast", "gather", "pad"])(
    "%s of int32 and bool",
    async (name) => {
      const build = cases.find(([n]) => n === name)![1];
      for (const dtype of ["int32", "bool"] as const)
        if (!(name === "pad" && dtype === "bool"))
          await check((g) => build(g, g.cast(g.input("x", [2, 3, 4]), dtype)), { x });
    },
  );
});

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
    await check((g) => g.conv2d(g.input("x", image), g.input("w", filter), o), data);
    await check((g) => g.conv2dInputGrad(g.input("dy", shape), g.input("w", filter), image, o), data);
    await check((g) => g.conv2dFilterGrad(g.input("x", image), g.input("dy", shape), filter, o), data);
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
      await check((g) => g[op](g.input("x", [2, 6, 5, 3]), o), { x: spread(180) });
  });
  it("gradients of pools: the pool is linear around a point without ties", () => {
    const o = {
      window: [3, 2],
      strides: [2, 1],
      paddings: [
        [1, 1],
        [0, 1],
      ],
    } as const;
    const build = (g: Builder) => {
      const x = g.input("x", [1, 5, 4, 2]);
      const max = g.maxPool(x, o);
      return { x, max, avg: g.avgPool(x, o), dy: g.input("dy", max.shape) };
    };
    const dot = (g: Builder, a: Node, b: Node) => g.reduce("sum", g.binary("mul", a, b));
    // <dy, pool(x)> = <gradient(dy), x> for both.
    const g = createBuilder();
    const { x, max, avg, dy } = build(g);
    const gaps = {
      max: g.binary("sub", dot(g, dy, max), dot(g, maxPoolGrad(g, dy, x, max, o), x)),
      avg: g.binary("sub", dot(g, dy, avg), dot(g, avgPoolGrad(g, dy, x.shape, o), x)),
      size: dot(g, dy, max),
    };
    const graph = g.finish(Object.entries(gaps).map(([name, node]) => ({ name, node })));
    const found = evaluate(graph, { x: spread(40), dy: spread(24) });
    expect(Math.abs(found.max![0]!)).toBeLessThan(1e-12);
    expect(Math.abs(found.avg![0]!)).toBeLessThan(1e-12);
    expect(Math.abs(found.size![0]!)).toBeGreaterThan(1);
  });
});

describe("sigmoid", () => {
  const opsOf = (build: (g: Builder, x: Node, s: Node, rest: Node) => readonly Node[]) => {
    const g = createBuilder();
    const x = g.input("x", [4]);
    const s = g.unary("sigmoid", x);
    const outputs = build(g, x, s, g.binary("sub", g.constant(1), s)).map((node, i) => ({ name: `y${i}`, node }));
    return lower(g.finish(outputs), { precision: "float32" }).model.nodes.map(({ op }) => op);
  };

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
    expect(opsOf(build).includes("Sigmoid")).toBe(fast);
  });
});
