/** A slow evaluator of compiler graphs in doubles, element by element: the oracle for rules and lowering. */
import { type Graph, type Node, stridesOf } from "../../src/compiler/ir/node.ts";
import { primitive } from "../../src/compiler/primitives/families.ts";
import { isReduction } from "../../src/compiler/primitives/reductions.ts";
import { castScalar } from "../../src/compiler/primitives/scalar.ts";
import { type Shape, sizeOf } from "../../src/core/shape.ts";

type Values = Float64Array;
type Index = readonly number[];

/** Calls `visit` with every index of `shape`, row-major. */
function each(shape: Shape, visit: (at: Index, flat: number) => void): void {
  const at = new Array<number>(shape.length).fill(0);
  for (let flat = 0, n = sizeOf(shape); flat < n; flat++) {
    visit(at, flat);
    for (let i = shape.length - 1; i >= 0; i--) {
      if (++at[i]! < shape[i]!) break;
      at[i] = 0;
    }
  }
}

const flatOf = (at: Index, shape: Shape): number => stridesOf(shape).reduce((sum, s, i) => sum + s * at[i]!, 0);

/** The element of `x` that broadcasting shows at `at`. */
const seen = (x: Values, shape: Shape, at: Index): number =>
  x[
    flatOf(
      shape.map((n, i) => (n === 1 ? 0 : at[at.length - shape.length + i]!)),
      shape,
    )
  ]!;

function build(shape: Shape, value: (at: Index, flat: number) => number): Values {
  const out = new Float64Array(sizeOf(shape));
  each(shape, (at, flat) => {
    out[flat] = value(at, flat);
  });
  return out;
}

function matmul(node: Node, [a, b, bias]: readonly Values[]): Values {
  const [x, y, z] = node.inputs as readonly [Node, Node, Node | undefined];
  const { transposeA, transposeB } = node.attrs;
  const inner = transposeA ? x.shape.at(-2)! : x.shape.at(-1)!;
  return build(node.shape, (at) => {
    const [batch, i, j] = [at.slice(0, -2), at.at(-2)!, at.at(-1)!];
    let sum = 0;
    for (let k = 0; k < inner; k++)
      sum +=
        seen(a!, x.shape, [...batch, ...(transposeA ? [k, i] : [i, k])]) *
        seen(b!, y.shape, [...batch, ...(transposeB ? [j, k] : [k, j])]);
    return z ? sum + seen(bias!, z.shape, at) : sum;
  });
}

const folds: Record<string, { from: number; step: (sum: number, x: number) => number }> = {
  sum: { from: 0, step: (s, x) => s + x },
  mean: { from: 0, step: (s, x) => s + x },
  prod: { from: 1, step: (s, x) => s * x },
  max: { from: -Infinity, step: Math.max },
  min: { from: Infinity, step: Math.min },
  any: { from: 0, step: Math.max },
  all: { from: 1, step: Math.min },
};

function reduce(node: Node, x: Values): Values {
  const { shape } = node.inputs[0]!;
  const axes = node.attrs.axes!;
  const kept = shape.map((n, i) => (axes.includes(i) ? 1 : n));
  const { from, step } = folds[node.op]!;
  const out = new Float64Array(sizeOf(kept)).fill(from);
  each(shape, (at, flat) => {
    const to = flatOf(
      at.map((p, i) => (axes.includes(i) ? 0 : p)),
      kept,
    );
    out[to] = step(out[to]!, x[flat]!);
  });
  const count = axes.reduce((n, i) => n * shape[i]!, 1);
  return node.op === "mean" ? out.map((s) => s / count) : out;
}

function argBest(node: Node, x: Values): Values {
  const { shape } = node.inputs[0]!;
  const axis = node.attrs.axis!;
  const sign = node.op === "argMax" ? 1 : -1;
  return build(node.shape, (at) => {
    let best = 0;
    const value = (k: number) => sign * x[flatOf(at.toSpliced(axis, 0, k), shape)]!;
    for (let k = 1; k < shape[axis]!; k++) if (value(k) > value(best)) best = k;
    return best;
  });
}

function order(node: Node, x: Values): { values: Values; indices: Values } {
  const { shape } = node.inputs[0]!;
  const [n, k] = [shape.at(-1)!, node.attrs.k!];
  const [values, indices] = [new Float64Array(sizeOf(node.shape)), new Float64Array(sizeOf(node.shape))];
  for (let row = 0; row < x.length / n; row++) {
    const ranked = Array.from({ length: n }, (_, i) => i).sort((i, j) => x[row * n + j]! - x[row * n + i]! || i - j);
    for (let i = 0; i < k; i++) {
      indices[row * k + i] = ranked[i]!;
      values[row * k + i] = x[row * n + ranked[i]!]!;
    }
  }
  return { values, indices };
}

function cumsum(node: Node, x: Values): Values {
  const { axis = 0, exclusive, reverse } = node.attrs;
  return build(node.shape, (at) => {
    let sum = 0;
    for (let k = 0; k < node.shape[axis]!; k++) {
      const before = reverse ? k > at[axis]! : k < at[axis]!;
      if (before || (!exclusive && k === at[axis])) sum += x[flatOf(at.with(axis, k), node.shape)]!;
    }
    return sum;
  });
}

function scatter(node: Node, [indices, updates]: readonly Values[]): Values {
  const [at, u] = node.inputs as readonly [Node, Node];
  const depth = at.shape.at(-1)!;
  const out = new Float64Array(sizeOf(node.shape));
  const lead = at.shape.length - 1;
  each(u.shape, (p, flat) => {
    const row = flatOf(p.slice(0, lead), at.shape.slice(0, -1));
    const target = [...indices!.subarray(row * depth, (row + 1) * depth), ...p.slice(lead)];
    out[flatOf(target, node.shape)]! += updates![flat]!;
  });
  return out;
}

function segmentSum(node: Node, [x, ids]: readonly Values[]): Values {
  const [{ shape }, { shape: idShape }] = node.inputs as readonly [Node, Node];
  const out = new Float64Array(sizeOf(node.shape));
  each(shape, (at, flat) => {
    const id = ids![flatOf(at.slice(0, idShape.length), idShape)]!;
    if (id >= 0 && id < node.shape[0]!) out[flatOf([id, ...at.slice(idShape.length)], node.shape)]! += x![flat]!;
  });
  return out;
}

/** Visits every product of a convolution: flat places of output, input and filter. */
function eachTap(x: Shape, w: Shape, node: Node, visit: (out: number, input: number, filter: number) => void): void {
  const { strides = [], dilations = [], paddings = [], groups = 1 } = node.attrs;
  const size = (i: number) =>
    Math.floor((x[i + 1]! + paddings[i]![0] + paddings[i]![1] - dilations[i]! * (w[i]! - 1) - 1) / strides[i]!) + 1;
  const out = [x[0]!, size(0), size(1), w[3]!];
  each(out, (at, flat) => {
    each(w.slice(0, 3), (tap) => {
      const row = at[1]! * strides[0]! - paddings[0]![0] + tap[0]! * dilations[0]!;
      const column = at[2]! * strides[1]! - paddings[1]![0] + tap[1]! * dilations[1]!;
      if (row < 0 || row >= x[1]! || column < 0 || column >= x[2]!) return;
      const group = Math.floor(at[3]! / (w[3]! / groups));
      visit(flat, flatOf([at[0]!, row, column, group * w[2]! + tap[2]!], x), flatOf([...tap, at[3]!], w));
    });
  });
}

function convolve(node: Node, [a, b]: readonly Values[]): Values {
  const out = new Float64Array(sizeOf(node.shape));
  const [x, y] = node.inputs.map((i) => i.shape) as [Shape, Shape];
  if (node.op === "conv2d") eachTap(x, y, node, (o, i, f) => (out[o]! += a![i]! * b![f]!));
  else if (node.op === "conv2dInputGrad") eachTap(node.shape, y, node, (o, i, f) => (out[i]! += a![o]! * b![f]!));
  else eachTap(x, node.shape, node, (o, i, f) => (out[f]! += a![i]! * b![o]!));
  return out;
}

function pool(node: Node, x: Values): Values {
  const { shape } = node.inputs[0]!;
  const { window = [], strides = [], dilations = [], paddings = [] } = node.attrs;
  return build(node.shape, (at) => {
    const found: number[] = [];
    each(window, (tap) => {
      const place = [0, 1].map((i) => at[i + 1]! * strides[i]! - paddings[i]![0] + tap[i]! * dilations[i]!);
      if (place.every((p, i) => p >= 0 && p < shape[i + 1]!)) found.push(x[flatOf([at[0]!, ...place, at[3]!], shape)]!);
    });
    return node.op === "maxPool" ? Math.max(...found) : found.reduce((s, v) => s + v, 0) / found.length;
  });
}

function structural(node: Node, args: readonly Values[]): Values {
  const x = args[0]!;
  const shape = node.inputs[0]?.shape ?? [];
  const a = node.attrs;
  switch (node.op) {
    case "constant":
      return typeof a.value === "number"
        ? new Float64Array(sizeOf(node.shape)).fill(a.value)
        : Float64Array.from(a.value!);
    case "matmul":
      return matmul(node, args);
    case "argMax":
    case "argMin":
      return argBest(node, x);
    case "reshape":
      return x;
    case "broadcast":
      return build(node.shape, (at) => seen(x, shape, at));
    case "transpose":
      return build(
        node.shape,
        (at) =>
          x[
            flatOf(
              shape.map((_, i) => at[a.perm!.indexOf(i)]!),
              shape,
            )
          ]!,
      );
    case "concat":
      return build(node.shape, (at) => {
        let [k, p] = [0, at[a.axis!]!];
        while (p >= node.inputs[k]!.shape[a.axis!]!) p -= node.inputs[k++]!.shape[a.axis!]!;
        return args[k]![flatOf(at.with(a.axis!, p), node.inputs[k]!.shape)]!;
      });
    case "slice":
    case "stridedSlice":
      return build(
        node.shape,
        (at) =>
          x[
            flatOf(
              at.map((p, i) => a.begin![i]! + p * (a.strides?.[i] ?? 1)),
              shape,
            )
          ]!,
      );
    case "pad":
      return build(node.shape, (at) => {
        const from = at.map((p, i) => p - a.paddings![i]![0]);
        return from.every((p, i) => p >= 0 && p < shape[i]!) ? x[flatOf(from, shape)]! : (a.value as number);
      });
    case "reverse":
      return build(
        node.shape,
        (at) =>
          x[
            flatOf(
              at.map((p, i) => (a.axes!.includes(i) ? shape[i]! - 1 - p : p)),
              shape,
            )
          ]!,
      );
    case "gather": {
      const ids = node.inputs[1]!.shape;
      return build(node.shape, (at) => {
        const id = args[1]![flatOf(at.slice(a.axis!, a.axis! + ids.length), ids)]!;
        return x[flatOf(at.toSpliced(a.axis!, ids.length, id), shape)]!;
      });
    }
    case "gatherND": {
      const ids = node.inputs[1]!.shape;
      const [lead, depth] = [ids.length - 1, ids.at(-1)!];
      return build(node.shape, (at) => {
        const row = flatOf(at.slice(0, lead), ids.slice(0, -1));
        return x[flatOf([...args[1]!.subarray(row * depth, (row + 1) * depth), ...at.slice(lead)], shape)]!;
      });
    }
    case "scatterND":
      return scatter(node, args);
    case "segmentSum":
      return segmentSum(node, args);
    case "cumsum":
      return cumsum(node, x);
    case "topKValues":
      return order(node, x).values;
    case "topKIndices":
      return order(node, x).indices;
    case "conv2d":
    case "conv2dInputGrad":
    case "conv2dFilterGrad":
      return convolve(node, args);
    case "avgPool":
    case "maxPool":
      return pool(node, x);
    default:
      throw new Error(`the reference has no ${node.op}`);
  }
}

function evaluateNode(node: Node, args: readonly Values[]): Values {
  const { op } = node;
  const meaning = primitive(op)?.meaning;
  if (meaning !== undefined)
    return build(node.shape, (at) => {
      const value = meaning(...node.inputs.map((x, k) => seen(args[k]!, x.shape, at)));
      return op === "cast" ? castScalar(value, node.dtype) : value;
    });
  return isReduction(op) ? reduce(node, args[0]!) : structural(node, args);
}

/** A change to every value as it is made: how far rounding errors carry. */
export type Perturb = (value: number, node: Node) => number;

/** All values of the graph, by node. */
export function evaluateAll(
  graph: Graph,
  inputs: Readonly<Record<string, ArrayLike<number>>>,
  perturb?: Perturb,
): Map<Node, Values> {
  const values = new Map<Node, Values>();
  for (const node of graph.nodes) {
    const exact =
      node.op === "input"
        ? Float64Array.from(inputs[node.attrs.name!]!)
        : evaluateNode(
            node,
            node.inputs.map((x) => values.get(x)!),
          );
    values.set(node, perturb ? exact.map((v) => perturb(v, node)) : exact);
  }
  return values;
}

/** The outputs, in doubles. */
export function evaluate(
  graph: Graph,
  inputs: Readonly<Record<string, ArrayLike<number>>>,
  perturb?: Perturb,
): Record<string, Values> {
  const values = evaluateAll(graph, inputs, perturb);
  return Object.fromEntries(graph.outputs.map((o) => [o.name, values.get(o.node)!]));
}
