/** Each rule by the graph it leaves, and all rules by what the graph computes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Graph, Node } from "../../src/compiler/ir/node.ts";
import { show } from "../../src/compiler/ir/show.ts";
import { rules, simplify } from "../../src/compiler/passes/rules.ts";
import { type Builder, createBuilder } from "../../src/compiler/primitives/builder.ts";
import { evaluate } from "../support/graph-reference.ts";
import { graphOf as graphFrom, graphInputs, instructionLists } from "../support/random-graph.ts";

const graphOf = (build: (g: Builder) => Node): Graph => {
  const g = createBuilder();
  return g.finish([{ name: "y", node: build(g) }]);
};

/** What a graph is after simplification, without types. */
const left = (build: (g: Builder) => Node): string =>
  show(simplify(graphOf(build)))
    .split("\n")
    .map((line) => line.replace(/: [a-z0-9]+\[[\d,]*\]/, ""))
    .join("; ");

const x34 = (g: Builder) => g.input("x", [3, 4]);
const x = '%0 = input("x"); ';

const cases: readonly [string, (g: Builder) => Node, string][] = [
  [
    "foldElementwise",
    (g) => g.binary("add", x34(g), g.unary("exp", g.binary("mul", g.constant(2), g.constant(0)))),
    `${x}%1 = constant(1); %2 = add(%0, %1); y = %2`,
  ],
  [
    "foldElementwise",
    (g) => g.binary("mul", g.constant(Float32Array.of(1, 2)), g.constant(Float32Array.of(3, 5))),
    "%0 = constant({3, 10}); y = %0",
  ],
  ["foldElementwise", (g) => g.binary("less", g.constant(1), g.constant(2)), "%0 = constant(1); y = %0"],
  ["foldSplats", (g) => g.reduce("sum", g.transpose(g.constant(0.5, [2, 3])), [0]), "%0 = constant(1.5); y = %0"],
  ["foldSplats", (g) => g.constant(Float32Array.of(2, 2, 2)), "%0 = constant(2); y = %0"],
  [
    "foldReshape",
    (g) => g.reshape(g.constant(Float32Array.of(1, 2, 3, 4)), [2, 2]),
    "%0 = constant({1, 2, 3, 4}); y = %0",
  ],
  [
    "orderOperands",
    (g) => g.binary("sub", g.binary("mul", x34(g), g.input("w", [4])), g.binary("mul", g.input("w", [4]), x34(g))),
    `${x}%1 = input("w"); %2 = mul(%0, %1); %3 = sub(%2, %2); y = %3`,
  ],
  [
    "neutralOperand",
    (g) => g.binary("add", g.binary("div", g.binary("mul", g.constant(1), x34(g)), g.constant(1)), g.constant(0)),
    `${x}y = %0`,
  ],
  ["neutralOperand", (g) => g.binary("mul", g.constant(1, [2, 3, 4]), x34(g)), `${x}%1 = broadcast(%0); y = %1`],
  ["signs", (g) => g.unary("neg", g.unary("neg", x34(g))), `${x}y = %0`],
  ["signs", (g) => g.binary("sub", x34(g), g.unary("neg", x34(g))), `${x}%1 = add(%0, %0); y = %1`],
  [
    "signs",
    (g) => g.binary("mul", g.unary("neg", x34(g)), g.constant(Float32Array.of(1, -2, 3, 4))),
    `${x}%1 = constant({-1, 2, -3, -4}); %2 = mul(%0, %1); y = %2`,
  ],
  ["signs", (g) => g.binary("sub", g.constant(0), x34(g)), `${x}%1 = neg(%0); y = %1`],
  ["powers", (g) => g.binary("div", g.constant(1, [3, 4]), x34(g)), `${x}%1 = reciprocal(%0); y = %1`],
  ["powers", (g) => g.binary("pow", x34(g), g.constant(2)), `${x}%1 = square(%0); y = %1`],
  [
    "scaleChain",
    (g) => g.binary("mul", g.binary("mul", x34(g), g.constant(2)), g.constant(-4)),
    `${x}%1 = constant(-8); %2 = mul(%0, %1); y = %2`,
  ],
  [
    "scaleChain",
    (g) => g.binary("div", g.binary("mul", g.binary("div", x34(g), g.constant(2)), g.constant(-4)), g.constant(8)),
    `${x}%1 = constant(-0.25); %2 = mul(%0, %1); y = %2`,
  ],
  [
    "constantOutOfSum",
    (g) => g.reduce("sum", g.binary("sub", g.constant(-2), g.unary("square", x34(g))), [1]),
    `${x}%1 = square(%0); %2 = sum(%1, axes=[1]); %3 = constant(-8); %4 = sub(%3, %2); y = %4`,
  ],
  [
    "constantOutOfSum",
    (g) => g.reduce("mean", g.binary("add", g.unary("neg", g.unary("exp", x34(g))), g.constant(-2)), [0, 1]),
    `${x}%1 = exp(%0); %2 = constant(-2); %3 = mean(%1, axes=[0,1]); %4 = sub(%2, %3); y = %4`,
  ],
  [
    "constantOutOfSum",
    (g) => g.reduce("sum", g.binary("sub", g.constant(1), g.unary("sigmoid", x34(g))), [1]),
    `${x}%1 = constant(1); %2 = sigmoid(%0); %3 = sub(%1, %2); %4 = sum(%3, axes=[1]); y = %4`,
  ],
  ["decidedWhere", (g) => g.where(g.constant(1, [3, 4], "bool"), x34(g), g.constant(5)), `${x}y = %0`],
  [
    "decidedLogic",
    (g) =>
      g.where(
        g.binary("and", g.binary("less", x34(g), g.constant(0)), g.constant(0, [], "bool")),
        x34(g),
        g.input("w", [4]),
      ),
    `%0 = input("w"); %1 = broadcast(%0); y = %1`,
  ],
  [
    "decidedLogic",
    (g) => g.binary("or", g.binary("less", x34(g), g.constant(0)), g.constant(0, [], "bool")),
    `${x}%1 = constant(0); %2 = less(%0, %1); y = %2`,
  ],
  [
    "lateBroadcast",
    (g) => g.binary("add", x34(g), g.constant(3, [3, 4])),
    `${x}%1 = constant(3); %2 = add(%0, %1); y = %2`,
  ],
  [
    "lateBroadcast",
    (g) => g.binary("mul", x34(g), g.broadcast(g.input("w", [4]), [3, 4])),
    `${x}%1 = input("w"); %2 = mul(%0, %1); y = %2`,
  ],
  [
    "lateBroadcast",
    (g) => g.unary("exp", g.binary("mul", g.broadcast(x34(g), [2, 3, 4]), g.constant(2))),
    `${x}%1 = constant(2); %2 = mul(%0, %1); %3 = exp(%2); %4 = broadcast(%3); y = %4`,
  ],
  ["noOps", (g) => g.slice(g.transpose(g.reshape(x34(g), [3, 4]), [0, 1]), [0, 0], [3, 4]), `${x}y = %0`],
  ["thinBroadcast", (g) => g.broadcast(x34(g), [1, 1, 3, 4]), `${x}%1 = reshape(%0); y = %1`],
  ["trivialReduction", (g) => g.reduce("mean", g.reshape(x34(g), [3, 1, 4]), [1]), `${x}y = %0`],
  ["chains", (g) => g.reshape(g.reshape(x34(g), [12]), [2, 6]), `${x}%1 = reshape(%0); y = %1`],
  ["chains", (g) => g.transpose(g.transpose(x34(g))), `${x}y = %0`],
  [
    "castChain",
    (g) => g.cast(g.cast(g.binary("less", x34(g), g.constant(0)), "int32"), "float32"),
    `${x}%1 = constant(0); %2 = less(%0, %1); %3 = cast(%2); y = %3`,
  ],
  ["lateReshape", (g) => g.reshape(g.unary("exp", g.reshape(x34(g), [2, 6])), [3, 4]), `${x}%1 = exp(%0); y = %1`],
  [
    "lateReshape",
    (g) => g.binary("add", g.reshape(g.input("x", [6, 4]), [2, 3, 4]), g.input("w", [4])),
    `%0 = input("x"); %1 = input("w"); %2 = add(%0, %1); %3 = reshape(%2); y = %3`,
  ],
  [
    "lateReshape",
    (g) => g.binary("add", g.reshape(g.input("x", [4, 4]), [16]), g.input("w", [16])),
    `%0 = input("x"); %1 = input("w"); %2 = reshape(%0); %3 = add(%1, %2); y = %3`,
  ],
  [
    "lateReshape",
    (g) => g.binary("mul", g.reshape(x34(g), [2, 6]), g.reshape(g.input("w", [3, 4]), [2, 6])),
    `${x}%1 = input("w"); %2 = mul(%0, %1); %3 = reshape(%2); y = %3`,
  ],
  [
    "flatSum",
    (g) => g.reduce("sum", g.reshape(g.input("x", [6, 4]), [2, 3, 4]), [0, 1]),
    `%0 = input("x"); %1 = sum(%0, axes=[0]); y = %1`,
  ],
  ["trivialTranspose", (g) => g.transpose(g.reshape(x34(g), [1, 12]), [1, 0]), `${x}%1 = reshape(%0); y = %1`],
  [
    "reshapedReduction",
    (g) => g.reshape(g.reduce("sum", x34(g), [0], true), [4]),
    `${x}%1 = sum(%0, axes=[0]); y = %1`,
  ],
  ["reductionChain", (g) => g.reduce("sum", g.reduce("sum", x34(g), [1]), [0]), `${x}%1 = sum(%0, axes=[0,1]); y = %1`],
  [
    "reducedBroadcast",
    (g) => g.reduce("sum", g.broadcast(g.input("x", [4]), [3, 4]), [0]),
    `${x}%1 = constant(3); %2 = mul(%0, %1); y = %2`,
  ],
  [
    "transposeIntoProduct",
    (g) => g.matmul(g.transpose(x34(g)), g.input("w", [3, 2])),
    `${x}%1 = input("w"); %2 = matmul(%0^T, %1); y = %2`,
  ],
  [
    "flattenBatch",
    (g) => g.matmul(g.input("x", [2, 3, 4]), g.input("w", [1, 5, 4]), { transposeB: true }),
    `${x}%1 = input("w"); %2 = reshape(%0); %3 = reshape(%1); %4 = matmul(%2, %3^T); %5 = reshape(%4); y = %5`,
  ],
  [
    "outerProduct",
    (g) => g.matmul(g.input("x", [3, 1]), g.input("w", [5, 1]), { transposeB: true }),
    `${x}%1 = input("w"); %2 = reshape(%1); %3 = mul(%0, %2); y = %3`,
  ],
  [
    "signs",
    (g) => g.binary("add", g.unary("neg", x34(g)), g.unary("exp", x34(g))),
    `${x}%1 = exp(%0); %2 = sub(%1, %0); y = %2`,
  ],
  [
    "chains",
    (g) => g.transpose(g.transpose(g.input("x", [2, 3, 4]), [1, 0, 2]), [0, 2, 1]),
    `${x}%1 = transpose(%0, perm=[1,2,0]); y = %1`,
  ],
  [
    "batchSum",
    (g) => g.reduce("sum", g.matmul(g.input("x", [2, 3, 4]), g.input("w", [2, 3, 5]), { transposeA: true }), [0]),
    `${x}%1 = input("w"); %2 = reshape(%0); %3 = reshape(%1); %4 = matmul(%2^T, %3); y = %4`,
  ],
  [
    "broadcastIntoProduct",
    (g) => g.matmul(g.input("x", [2, 3, 4]), g.broadcast(g.input("w", [4, 5]), [2, 4, 5])),
    `${x}%1 = input("w"); %2 = reshape(%0); %3 = matmul(%2, %1); %4 = reshape(%3); y = %4`,
  ],
  [
    "biasIntoProduct",
    (g) => g.binary("add", g.matmul(x34(g), g.input("w", [4, 5])), g.input("c", [5])),
    `${x}%1 = input("w"); %2 = input("c"); %3 = matmul(%0, %1, %2); y = %3`,
  ],
];

describe("each rule", () => {
  it.each(cases)("%s", (_, build, expected) => {
    expect(left(build)).toBe(expected);
    // The values stay: inputs are filled with numbers that are exact in every order of operations.
    const graph = graphOf(build);
    const data = Object.fromEntries(
      graph.inputs.map((i) => [
        i.attrs.name!,
        Array.from({ length: i.shape.reduce((a, b) => a * b, 1) }, (_, k) => (k % 7) - 2),
      ]),
    );
    const plusZero = (values: Float64Array) => values.map((v) => v + 0);
    expect(plusZero(evaluate(simplify(graph), data).y!)).toEqual(plusZero(evaluate(graph, data).y!));
  });

  it.each<readonly [string, (g: Builder, x: Node, s: Node, rest: Node, w: Node) => Node]>([
    [
      "w·(s + x·(s·(1 − s)))",
      (g, x, s, rest, w) => g.binary("mul", w, g.binary("add", s, g.binary("mul", x, g.binary("mul", s, rest)))),
    ],
    [
      "s·(w + x·w·(1 − s))",
      (g, x, s, rest, w) => g.binary("mul", s, g.binary("add", g.binary("mul", g.binary("mul", x, w), rest), w)),
    ],
  ])("activationGradient: %s takes what x·s has", (_, gradient) => {
    const graph = graphOf((g) => {
      const x = x34(g);
      const s = g.unary("sigmoid", x);
      const rest = g.binary("sub", g.constant(1), s);
      return g.binary("maximum", g.binary("mul", x, s), gradient(g, x, s, rest, g.input("w", [3, 4])));
    });
    const simple = simplify(graph);
    const made = simple.nodes.filter(({ op }) => op !== "input" && op !== "constant").map(({ op }) => op);
    expect(made.sort()).toEqual(["add", "maximum", "mul", "mul", "mul", "sigmoid", "sub"]);
    const data = {
      x: [-9, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 9, 20],
      w: Array.from({ length: 12 }, (_, i) => Math.sin(i)),
    };
    const [found, wanted] = [evaluate(simple, data).y as Float64Array, evaluate(graph, data).y as Float64Array];
    for (const [i, y] of found.entries()) expect(y).toBeCloseTo(wanted[i] as number, 12);
  });

  it.each<readonly [string, (g: Builder) => Node, string]>([
    [
      "a·b + c·a = a·(b + c)",
      (g) => {
        const [a, b, c] = ["a", "b", "c"].map((name) => g.input(name, [3])) as [Node, Node, Node];
        return g.binary("add", g.binary("mul", a, b), g.binary("mul", c, a));
      },
      "add(%1, %2); %4 = mul(%0, %3); y = %4",
    ],
    [
      "the factor is found inside longer products and sums",
      (g) => {
        const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => g.input(name, [3])) as [Node, Node, Node, Node];
        const long = g.binary("mul", g.binary("mul", b, a), c);
        return g.binary("sub", g.binary("add", long, d), g.binary("mul", d, a));
      },
      "mul(%1, %2); %5 = sub(%4, %3); %6 = mul(%0, %5); %7 = add(%3, %6); y = %7",
    ],
    [
      "a factor and its opposite in another shape: −a·b + a·c = a·(c − b)",
      (g) => {
        const [a, b, c] = [g.input("a", [3]), g.input("b", [3, 4]), g.input("c", [3, 4])];
        const column = (x: Node) => g.reshape(x, [3, 1]);
        return g.binary("add", g.binary("mul", column(g.unary("neg", a)), b), g.binary("mul", column(a), c));
      },
      "sub(%2, %1); %5 = mul(%3, %4); y = %5",
    ],
    [
      "products of one left operand",
      (g) => {
        const [w, x, y] = [g.input("w", [3, 4]), g.input("x", [4, 5]), g.input("y", [4, 5])];
        return g.binary("sub", g.matmul(w, x), g.matmul(w, y));
      },
      "sub(%1, %2); %4 = matmul(%0, %3); y = %4",
    ],
    [
      "products of one right operand",
      (g) => {
        const [w, x, y] = [g.input("w", [5, 4]), g.input("x", [3, 4]), g.input("y", [3, 4])];
        const by = (z: Node) => g.matmul(z, w, { transposeB: true });
        return g.binary("add", by(x), by(y));
      },
      "add(%1, %2); %4 = matmul(%3, %0^T); y = %4",
    ],
    [
      "sums of two values that are added anyway",
      (g) => {
        const [x, y] = [g.input("x", [3, 4]), g.input("y", [3, 4])];
        const sums = g.binary("add", g.reduce("sum", x, [0]), g.reduce("sum", y, [0]));
        return g.binary("mul", sums, g.reduce("max", g.binary("add", x, y), [0]));
      },
      "add(%0, %1); %3 = sum(%2, axes=[0]); %4 = max(%2, axes=[0]); %5 = mul(%3, %4); y = %5",
    ],
  ])("factorSums: %s", (_, build, expected) => {
    expect(left(build)).toContain(expected);
  });

  it("leaves products that are used elsewhere too", () => {
    const build = (g: Builder) => {
      const [a, b, c] = ["a", "b", "c"].map((name) => g.input(name, [3])) as [Node, Node, Node];
      const product = g.binary("mul", a, b);
      return g.binary("div", g.binary("add", product, g.binary("mul", a, c)), product);
    };
    expect(left(build)).toContain("mul(%0, %1); %4 = mul(%0, %2); %5 = add(%3, %4)");
  });

  it("has a case above for every rule", () => {
    const tested = new Set(cases.map(([name]) => name));
    expect(Object.keys(rules).filter((name) => !tested.has(name))).toEqual([]);
  });

  it("drops dead code but keeps unused inputs", () => {
    const g = createBuilder();
    const [a, b] = [g.input("a", []), g.input("b", [])];
    g.unary("exp", b);
    const graph = simplify(g.finish([{ name: "y", node: g.unary("exp", a) }]));
    expect(graph.nodes).toHaveLength(2);
    expect(graph.inputs.map((i) => i.attrs.name)).toEqual(["a", "b"]);
  });

  it("never turns x·0 into 0, nor x − x", () => {
    for (const build of [
      (g: Builder) => g.binary("mul", x34(g), g.constant(0)),
      (g: Builder) => g.binary("sub", x34(g), x34(g)),
    ]) {
      const graph = simplify(graphOf(build));
      expect(evaluate(graph, { x: new Float64Array(12).fill(NaN) }).y!.every(Number.isNaN)).toBe(true);
    }
  });

  it("keeps a product that is used twice out of the bias", () => {
    const build = (g: Builder) => {
      const product = g.matmul(x34(g), g.input("w", [4, 5]));
      return g.binary("mul", g.binary("add", product, g.input("c", [5])), product);
    };
    expect(left(build)).toContain("matmul(%0, %1); ");
  });
});

/** A reshape may take the place of nothing around a product or a sum; nodes never grow by more. */
const slack = 8;

describe("all rules together", () => {
  it("leave what a random program computes", () => {
    fc.assert(
      fc.property(instructionLists(), (instructions) => {
        const graph = graphFrom(instructions);
        const simpler = simplify(graph);
        expect(simpler.nodes.length).toBeLessThanOrEqual(graph.nodes.length + slack);
        const [before, after] = [evaluate(graph, graphInputs), evaluate(simpler, graphInputs)];
        for (const { name, node } of graph.outputs) {
          const out = simpler.outputs.find((o) => o.name === name)!.node;
          expect(out.shape).toEqual(node.shape);
          expect(out.dtype).toBe(node.dtype);
          const gap = before[name]!.reduce(
            (worst, v, i) => Math.max(worst, Math.abs(v - after[name]![i]!) / Math.max(1, Math.abs(v))),
            0,
          );
          expect(gap, `${show(graph)}\n\n${show(simpler)}`).toBeLessThan(1e-9);
        }
      }),
      { numRuns: 300 },
    );
  });
});
