/** A graph as an ONNX model: every node lowered in order, outputs named where they are made, and steps repeated by Scan. */
import { fail } from "../../core/errors.ts";
import { type DType, type Graph, type Node, type Shape, sameShape, textOf } from "../ir/node.ts";
import { onlyActivates } from "../passes/activation.ts";
import { splitLongSums } from "../passes/long-sums.ts";
import { type Pass, rebuild, usesOf } from "../passes/rebuild.ts";
import { firstOf } from "../passes/rules.ts";
import { noOps } from "../passes/shape.ts";
import { softplusSums } from "../passes/softplus-sums.ts";
import { composer } from "./decompositions.ts";
import { createEmitter, type Emitter, emptyScope, type Precision, type Scope } from "./emit.ts";
import { loweringOf } from "./lower-ops.ts";
import type { OnnxGraph, OnnxNode, OnnxValue } from "./onnx.ts";

/**
 * A step run many times in one call.
 *
 * @remarks State: input `name` of iteration i + 1 is output `carry[name]` of iteration i; the result holds the last one.
 * Slices: the named inputs get a leading axis, one row an iteration: as many as are given. All other inputs are the same in every
 * iteration, and what depends on them alone is computed once. Outputs that are not carried are stacked on a leading axis.
 */
export interface ScanOptions {
  /** Most iterations of a run; without slices every run has as many. */
  readonly length: number;
  readonly carry: Readonly<Record<string, string>>;
  readonly slices?: readonly string[];
}

export interface LowerOptions {
  readonly precision?: Precision;
  readonly scan?: ScanOptions;
}

/** An input or output of the program: the user's name, and the name in the model. */
export interface Port {
  readonly name: string;
  readonly key: string;
  readonly shape: Shape;
  readonly dtype: DType;
  /** One row an iteration: the first axis is at most as long as `shape` says. */
  readonly perStep?: boolean;
}

export interface Lowered {
  readonly model: OnnxGraph;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/**
 * Sigmoid of ONNX Runtime is 0 below −18 and off by 2e-4 at −10: where the value counts as a probability, 1/(1 + exp(−x)).
 * As an activation it keeps the fast kernel, and where only x·sigmoid(x) is asked for, there is one for all of it.
 */
function chooseSigmoids(graph: Graph, precision: Precision): Graph {
  const uses = usesOf(graph);
  const shown = new Set(graph.outputs.map((o) => o.node));
  const fast = (s: Node) => s.op === "sigmoid" && onlyActivates(s, uses, shown);
  const replace: Pass["replace"] = (b, node, [x], renewed) => {
    if (node.op === "sigmoid" && !fast(node))
      return b.unary("reciprocal", b.binary("add", b.unary("exp", b.unary("neg", x!)), b.constant(1)));
    const s = node.op === "mul" && precision === "float32" ? node.inputs.find(fast) : undefined;
    // A sigmoid that is used once stands in x·s.
    return s && uses.get(s)?.length === 1 ? b.unary("silu", renewed(s.inputs[0]!)) : undefined;
  };
  return rebuild(graph, { replace });
}

const inputKey = (name: string) => `in:${name}`;
const outputKey = (name: string) => `out:${name}`;

/** Lowers the given nodes into the emitter's scope, adding their names to `names`. */
function lowerNodes(e: Emitter, nodes: readonly Node[], names: Map<Node, string>): void {
  for (const node of nodes) {
    if (names.has(node)) continue;
    const args = node.inputs.map((x) => names.get(x)!);
    names.set(node, loweringOf(node.op)(e, node, args));
  }
}

/** Names results: the node that makes a value takes the output's name; a value that has a name already is copied. */
function nameOutputs(
  scope: Scope,
  results: readonly { readonly from: string; readonly to: string }[],
): readonly OnnxNode[] {
  const made = new Set(scope.nodes.flatMap((n) => n.outputs));
  const renamed = new Map<string, string>();
  const copies: OnnxNode[] = [];
  for (const { from, to } of results) {
    if (made.has(from) && !renamed.has(from)) renamed.set(from, to);
    else copies.push({ op: "Identity", inputs: [renamed.get(from) ?? from], outputs: [to] });
  }
  const name = (x: string) => renamed.get(x) ?? x;
  const nodes = scope.nodes.map((n) => ({ ...n, inputs: n.inputs.map(name), outputs: n.outputs.map(name) }));
  return [...nodes, ...copies];
}

const namesIn = (nodes: readonly OnnxNode[]): readonly string[] =>
  nodes.flatMap((n) => {
    const body = n.attributes?.body;
    return [...n.inputs, ...(typeof body === "object" && "nodes" in body ? namesIn(body.nodes) : [])];
  });

/** The constants that some node uses. */
function usedConstants(e: Emitter, nodes: readonly OnnxNode[]): OnnxGraph["initializers"] {
  const used = new Set(namesIn(nodes));
  return e.initializers.filter((t) => used.has(t.name));
}

const portOf = (node: Node, name: string, key: string): Port => ({
  name,
  key,
  shape: node.shape,
  dtype: node.dtype,
});

/** The same with one row an iteration. */
const stacked = (port: Port, length: number): Port => ({ ...port, shape: [length, ...port.shape], perStep: true });

const typedValue = (e: Emitter, { key, dtype, shape, perStep = false }: Port): OnnxValue => ({
  name: key,
  type: e.typeOf(dtype),
  shape,
  perStep,
});

function lowerFlat(e: Emitter, graph: Graph): Lowered {
  const names = new Map(graph.inputs.map((x) => [x, inputKey(x.attrs.name!)]));
  lowerNodes(e, graph.nodes, names);
  const inputs = graph.inputs.map((x) => portOf(x, x.attrs.name!, inputKey(x.attrs.name!)));
  const outputs = graph.outputs.map((o) => portOf(o.node, o.name, outputKey(o.name)));
  const results = graph.outputs.map((o) => ({ from: names.get(o.node)!, to: outputKey(o.name) }));
  const nodes = nameOutputs(e.scope, results);
  const value = (p: Port) => typedValue(e, p);
  const model = {
    nodes,
    initializers: usedConstants(e, nodes),
    inputs: inputs.map(value),
    outputs: outputs.map(value),
  };
  return { model, inputs, outputs };
}

/** The nodes that depend on one of `sources`. */
function dependents(graph: Graph, sources: ReadonlySet<Node>): ReadonlySet<Node> {
  const found = new Set(sources);
  for (const node of graph.nodes) if (node.inputs.some((x) => found.has(x))) found.add(node);
  return found;
}

function scanPlan(graph: Graph, { carry, slices = [] }: ScanOptions) {
  const input = (name: string) =>
    graph.inputs.find((x) => x.attrs.name === name) ??
    fail(
      "argument",
      `scan: the step has no input ${name}; it has ${graph.inputs.map((x) => x.attrs.name).join(", ")}.`,
    );
  const state = Object.entries(carry).map(([from, to]) => {
    const before = input(from);
    const after =
      graph.outputs.find((o) => o.name === to) ??
      fail("argument", `scan: the step has no output ${to}; it has ${graph.outputs.map((o) => o.name).join(", ")}.`);
    if (!sameShape(before.shape, after.node.shape) || before.dtype !== after.node.dtype)
      fail(
        "shape",
        `scan: state ${from} is ${before.dtype}${textOf(before.shape)} and becomes ${after.node.dtype}${textOf(after.node.shape)}; a step must keep the type of its state.`,
      );
    return { before, after };
  });
  const carried = new Set(state.map((s) => s.after));
  return { state, sliced: slices.map(input), collected: graph.outputs.filter((o) => !carried.has(o)) };
}

function lowerScan(e: Emitter, graph: Graph, options: ScanOptions): Lowered {
  const { state, sliced, collected } = scanPlan(graph, options);
  const { length } = options;
  const varying = dependents(graph, new Set([...state.map((s) => s.before), ...sliced]));
  const names = new Map(graph.inputs.map((x) => [x, inputKey(x.attrs.name!)]));
  lowerNodes(
    e,
    graph.nodes.filter((n) => !varying.has(n)),
    names,
  );

  // Inside, a state or slice has a name of its own; everything else is seen from the scope around.
  const local = (x: Node) => `step:${x.attrs.name}`;
  for (const x of [...state.map((s) => s.before), ...sliced]) names.set(x, local(x));
  const scope = emptyScope();
  e.within(scope, () =>
    lowerNodes(
      e,
      graph.nodes.filter((n) => varying.has(n)),
      names,
    ),
  );
  const inner = [...state.map((s) => s.after), ...collected];
  const results = inner.map((o) => ({ from: names.get(o.node)!, to: `next:${o.name}` }));
  const counter = { name: "step#", type: "int32", shape: [] } as const;
  const value = (x: Node, name: string): OnnxValue => ({ name, type: e.typeOf(x.dtype), shape: x.shape });
  const body: OnnxGraph = {
    nodes: nameOutputs(scope, results),
    initializers: [],
    inputs: [
      ...[...state.map((s) => s.before), ...sliced].map((x) => value(x, local(x))),
      ...(sliced.length ? [] : [counter]),
    ],
    outputs: inner.map((o) => value(o.node, `next:${o.name}`)),
  };
  // Scan counts by its slices: without any, it is given numbers to count by.
  const counted = sliced.length ? [] : [e.constant("int32", [length], new Int32Array(length))];
  const slicesIn = [...sliced.map((x) => inputKey(x.attrs.name!)), ...counted];
  const scan: OnnxNode = {
    op: "Scan",
    inputs: [...state.map((s) => inputKey(s.before.attrs.name!)), ...slicesIn],
    outputs: inner.map((o) => outputKey(o.name)),
    attributes: { body, num_scan_inputs: slicesIn.length },
  };
  // Without slices a run is as long as the numbers that it counts by.
  const collect = (port: Port): Port => ({ ...stacked(port, length), perStep: sliced.length > 0 });
  const inputs = graph.inputs.map((x) => {
    const port = portOf(x, x.attrs.name!, inputKey(x.attrs.name!));
    return sliced.includes(x) ? collect(port) : port;
  });
  const outputs = graph.outputs.map((o) => {
    const port = portOf(o.node, o.name, outputKey(o.name));
    return collected.includes(o) ? collect(port) : port;
  });
  const nodes = [...e.scope.nodes, scan];
  const model: OnnxGraph = {
    nodes,
    initializers: usedConstants(e, nodes),
    inputs: inputs.map((p) => typedValue(e, p)),
    outputs: outputs.map((p) => typedValue(e, p)),
  };
  return { model, inputs, outputs };
}

/** The ONNX model of `graph` in the given precision, as one run or as `scan.length` steps. */
export function lower(graph: Graph, { precision = "float32", scan }: LowerOptions = {}): Lowered {
  const compose = composer(precision);
  // Some kernels refuse to do nothing: Pad, of a scalar.
  const rewrite = firstOf(precision === "float32" ? [noOps, compose, splitLongSums] : [noOps, compose]);
  const chosen = chooseSigmoids(graph, precision);
  const prepared = precision === "float32" ? softplusSums(chosen) : chosen;
  const composed = rebuild(prepared, { rewrite });
  const e = createEmitter(precision);
  return scan ? lowerScan(e, composed, scan) : lowerFlat(e, composed);
}
