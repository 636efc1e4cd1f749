/** Random programs for properties: any list of instructions is a valid graph, with values that stay of moderate size. */
import fc from "fast-check";
import type { Graph, Node } from "../../src/compiler/ir/node.ts";
import type { BinaryOp } from "../../src/compiler/primitives/binary.ts";
import { type Builder, createBuilder } from "../../src/compiler/primitives/builder.ts";
import type { UnaryOp } from "../../src/compiler/primitives/unary.ts";

/** One step: which construction, and three free choices that it interprets as operands, axes and sizes. */
export interface Instruction {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** A value, a bound of its size, and whether it is free of rounding: only such values may be compared or floored. */
interface Value {
  readonly node: Node;
  readonly bound: number;
  readonly exact: boolean;
}

const shapes = [[3, 4], [4], [2, 3, 4], [4, 5], [1, 4], [3, 1], [], [4, 4]] as const;
const inputNames = shapes.map((_, i) => `x${i}`);
/** Values larger than this are squashed before they are used. */
const moderate = 8;

const smooth: readonly UnaryOp[] = [
  "tanh",
  "sin",
  "cos",
  "sigmoid",
  "softplus",
  "elu",
  "atan",
  "asinh",
  "erf",
  "log1p",
  "expm1",
  "exp",
  "sqrt",
  "log",
  "rsqrt",
];
const continuous: readonly UnaryOp[] = ["neg", "abs", "relu", "square"];
const stepped: readonly UnaryOp[] = ["floor", "ceil", "round", "sign"];
const comparisons: readonly BinaryOp[] = ["less", "lessEqual", "greater", "greaterEqual", "equal", "notEqual"];

const pick = <T>(list: readonly T[], i: number): T => list[i % list.length]!;
/** Every second choice falls on one of the last few, so that programs grow deep. */
const pickLate = <T>(list: readonly T[], i: number): T =>
  i % 2 ? list[list.length - 1 - ((i >> 1) % Math.min(4, list.length))]! : pick(list, i >> 1);
const of = (node: Node, bound: number, exact = false): Value => ({ node, bound, exact });

/** Whether NumPy broadcasting accepts both. */
const compatible = (p: Node, q: Node) =>
  p.shape.every((n, i) => {
    const m = q.shape[i - p.shape.length + q.shape.length] ?? 1;
    return n === m || n === 1 || m === 1;
  });

function construct(g: Builder, pool: readonly Value[], { kind, a, b, c }: Instruction): Value {
  const squashed = (v: Value): Value => (v.bound > moderate ? of(g.unary("tanh", v.node), 1) : v);
  const exact = pool.filter((v) => v.exact && v.node.dtype === "float32");
  const x = squashed(pickLate(pool, a));
  const fits = (v: Value) => compatible(v.node, x.node);
  const y = squashed(pickLate(pool.filter(fits), b));
  const z = squashed(pickLate(pool.filter(fits), c));
  const { shape } = x.node;
  const axis = shape.length ? c % shape.length : 0;
  const constructions: readonly (() => Value | undefined)[] = [
    () => {
      const op = pick(smooth, b);
      // Into the domain of the function, away from its poles.
      const positive = g.binary("add", g.unary("square", x.node), g.constant(0.5));
      if (["log", "sqrt", "rsqrt", "log1p"].includes(op)) return of(g.unary(op, positive), moderate + 1);
      if (["exp", "expm1"].includes(op)) return of(g.unary(op, g.unary("tanh", x.node)), 3);
      return of(g.unary(op, x.node), x.bound + 1);
    },
    () => {
      const op = pick(continuous, b);
      return of(g.unary(op, x.node), op === "square" ? x.bound ** 2 : x.bound, x.exact && op !== "square");
    },
    () => of(g.unary(pick(stepped, b), pick(exact, a).node), 8, true),
    () => of(g.binary(pick(["add", "sub"], c), x.node, y.node), x.bound + y.bound),
    () => of(g.binary("mul", x.node, y.node), x.bound * y.bound),
    () => of(g.binary(pick(["maximum", "minimum"], c), x.node, y.node), Math.max(x.bound, y.bound), x.exact && y.exact),
    () => of(g.binary("div", x.node, g.binary("add", g.unary("square", y.node), g.constant(1))), x.bound),
    // What gradients are made of, and the rules look for: signs, common factors, sums of what was broadcast.
    () => of(g.binary(pick(["add", "sub"], c), g.unary("neg", x.node), y.node), x.bound + y.bound),
    () => of(g.binary(pick(["add", "sub"], c), y.node, g.unary("neg", x.node)), x.bound + y.bound),
    () => {
      const [p, q] = [g.binary("mul", x.node, y.node), g.binary("mul", z.node, x.node)];
      const fit = compatible(p, q);
      return fit ? of(g.binary(pick(["add", "sub"], a + c), p, q), x.bound * (y.bound + z.bound)) : undefined;
    },
    () => {
      if (shape.length < 2) return undefined;
      const other = g.constant(
        Float64Array.from({ length: shape.at(-1)! * 3 }, (_, i) => Math.sin(i + b)),
        [shape.at(-1)!, 3],
      );
      const twin = g.unary("sin", x.node);
      const by = (v: Node) => g.matmul(v, other);
      return of(g.binary(pick(["add", "sub"], c), by(x.node), by(twin)), (x.bound + 1) * shape.at(-1)!);
    },
    () => {
      const wide = g.broadcast(x.node, [2, ...shape.map((n) => (n === 1 ? 3 : n))]);
      const axes = wide.shape.map((_, i) => i).filter((i) => i === 0 || (c >> i) % 2 === 0);
      const op = pick(["sum", "mean", "max"] as const, b);
      return of(g.reduce(op, wide, axes), op === "sum" ? x.bound * wide.shape.reduce((m, n) => m * n, 1) : x.bound);
    },
    () => {
      if (shape.length === 0) return undefined;
      const twin = g.unary("cos", x.node);
      const sums = g.binary("add", g.reduce("sum", x.node, [axis]), g.reduce("sum", twin, [axis]));
      return of(
        g.binary("mul", sums, g.reduce("mean", g.binary("add", x.node, twin), [axis])),
        (x.bound + 1) ** 2 * shape[axis]!,
      );
    },
    () => of(g.binary("squaredDifference", x.node, y.node), (x.bound + y.bound) ** 2),
    () => {
      const value = pick([0, 1, -1, 2, 0.1, -3, 0.5], b);
      const constant = g.constant(value, c % 2 ? shape : []);
      const op = pick<BinaryOp>(["add", "mul", "sub", "div", "pow"], c);
      if (op === "div" && value === 0) return undefined;
      if (op === "pow") return of(g.binary(op, x.node, g.constant(pick([1, 2], b))), x.bound ** 2);
      return of(
        c % 3 ? g.binary(op, x.node, constant) : g.binary(op === "div" ? "mul" : op, constant, x.node),
        x.bound * 10 + 3,
      );
    },
    () => {
      const test = g.binary(pick(comparisons, c), pick(exact, a).node, g.constant(pick([0, 0.5, -1], b)));
      const sides = pool.filter((v) => fits(v) && v.node.dtype === "float32");
      const other = squashed(pick(sides, b));
      const match = test.shape.every(
        (n, i) => n === 1 || n === (other.node.shape[i - test.shape.length + other.node.shape.length] ?? 1),
      );
      return match
        ? of(g.where(test, other.node, g.constant(0.25)), Math.max(other.bound, 1))
        : of(g.cast(test, "float32"), 1, true);
    },
    () => {
      const axes = shape.map((_, i) => i).filter((i) => (c >> i) % 2 === 0);
      const op = pick(["sum", "mean", "max", "min"] as const, b);
      const count = axes.reduce((n, i) => n * shape[i]!, 1);
      return of(
        g.reduce(op, x.node, axes, c % 5 === 0),
        op === "sum" ? x.bound * count : x.bound,
        x.exact && (op === "max" || op === "min"),
      );
    },
    () => {
      const ready = pool.filter((v) => v.node.shape.length >= 2).map(squashed);
      if (ready.length === 0) return undefined;
      const [p, q] = [pick(ready, a), pick(ready, b)];
      const [transposeA, transposeB] = [c % 2 === 1, c % 4 > 1];
      const inner = (v: Value, last: boolean) => (last ? v.node.shape.at(-1)! : v.node.shape.at(-2)!);
      const lead = (v: Value) => v.node.shape.slice(0, -2);
      const same = lead(p).length === 0 || lead(q).length === 0 || lead(p).join() === lead(q).join();
      if (!same || inner(p, !transposeA) !== inner(q, transposeB)) return undefined;
      return of(g.matmul(p.node, q.node, { transposeA, transposeB }), p.bound * q.bound * inner(p, !transposeA));
    },
    () => of(g.reshape(x.node, c % 2 ? [shape.reduce((m, n) => m * n, 1)] : [...shape, 1]), x.bound, x.exact),
    () => {
      const perm = shape.map((_, i) => (i + c) % shape.length);
      return of(g.transpose(x.node, perm), x.bound, x.exact);
    },
    () => of(g.broadcast(x.node, [2, ...shape.map((n) => (n === 1 ? 3 : n))]), x.bound, x.exact),
    () => {
      if (shape.length === 0) return undefined;
      const begin = shape.map((_, i) => (i === axis && shape[i]! > 1 ? 1 : 0));
      return of(
        g.slice(
          x.node,
          begin,
          shape.map((n, i) => n - begin[i]!),
        ),
        x.bound,
        x.exact,
      );
    },
    () => (shape.length ? of(g.concat([x.node, g.reverse(x.node, [axis])], axis), x.bound, x.exact) : undefined),
    () =>
      of(
        g.pad(
          x.node,
          shape.map((_, i): readonly [number, number] => (i === axis ? [1, 2] : [0, 0])),
          0.5,
        ),
        Math.max(1, x.bound),
        x.exact,
      ),
    () =>
      shape.length
        ? of(g.cumsum(x.node, { axis, exclusive: b % 2 === 1, reverse: c % 2 === 1 }), x.bound * shape[axis]!)
        : undefined,
    () => {
      if (shape.length === 0) return undefined;
      const ids = g.constant(
        Int32Array.from({ length: 3 }, (_, i) => (b + i * c) % shape[axis]!),
        [3],
        "int32",
      );
      return of(g.gather(x.node, ids, axis), x.bound, x.exact);
    },
    () => {
      if (shape.length === 0) return undefined;
      const ids = g.constant(
        Int32Array.from({ length: shape[0]! }, (_, i) => (b + i * c) % 3),
        [shape[0]!],
        "int32",
      );
      return of(g.segmentSum(x.node, ids, 3), x.bound * shape[0]!);
    },
  ];
  const made = pick(constructions, kind)();
  // Sizes are kept small: what grows too much is summed away.
  if (!made) return of(g.unary("tanh", x.node), 1);
  return made.node.shape.reduce((m, n) => m * n, 1) > 400 ? of(g.reduce("mean", made.node), made.bound) : made;
}

/** The program of a list of instructions; its outputs are the values that nothing else uses. */
export function graphOf(instructions: readonly Instruction[]): Graph {
  const g = createBuilder();
  const pool: Value[] = shapes.map((shape, i) => of(g.input(inputNames[i]!, shape), 2, true));
  for (const instruction of instructions) pool.push(construct(g, pool, instruction));
  const made = [...new Set(pool.slice(shapes.length).map(({ node }) => node))];
  const all = g.finish(made.map((node, i) => ({ name: `y${i}`, node })));
  const used = new Set(all.nodes.flatMap(({ inputs }) => inputs));
  return g.finish(all.outputs.filter(({ node }) => !used.has(node)));
}

const choice = fc.nat({ max: 1000 });

/** Random programs of up to `most` instructions. */
export const instructionLists = (most = 25): fc.Arbitrary<Instruction[]> =>
  fc.array(fc.record({ kind: choice, a: choice, b: choice, c: choice }), { minLength: 1, maxLength: most });

/** Inputs in eighths, so that comparisons with constants are exact in every precision. */
export const graphInputs: Readonly<Record<string, Float32Array>> = Object.fromEntries(
  shapes.map((shape, i) => [
    inputNames[i]!,
    Float32Array.from(
      { length: shape.reduce<number>((m, n) => m * n, 1) },
      (_, k) => (((k * 7 + i * 5) % 31) - 15) / 8,
    ),
  ]),
);
