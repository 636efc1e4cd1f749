/** A step repeated inside the runtime, as one Scan node. */
import { fail } from "../../core/errors.ts";
import { sameShape } from "../../core/shape.ts";
import { type Graph, type Node, type Output, textOf } from "../ir/node.ts";
import { type Emitter, emptyScope } from "../onnx/emit.ts";
import type { OnnxGraph, OnnxNode, OnnxValue } from "../onnx/model.ts";
import {
  inputKey,
  inputNames,
  type Lowered,
  lowerNodes,
  modelOf,
  type Names,
  nameOutputs,
  outputKey,
  type Port,
} from "./nodes.ts";

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

/** What changes from iteration to iteration. */
interface ScanPlan {
  readonly state: readonly { readonly before: Node; readonly after: Output }[];
  readonly sliced: readonly Node[];
  readonly stacked: readonly Output[];
}

function scanPlan(graph: Graph, { carry, slices = [] }: ScanOptions): ScanPlan {
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
  return { state, sliced: slices.map(input), stacked: graph.outputs.filter((o) => !carried.has(o)) };
}

/** The nodes that depend on one of `sources`. */
function dependents(graph: Graph, sources: readonly Node[]): ReadonlySet<Node> {
  const found = new Set(sources);
  for (const node of graph.nodes) if (node.inputs.some((x) => found.has(x))) found.add(node);
  return found;
}

const variableOf = ({ state, sliced }: ScanPlan): readonly Node[] => [...state.map((s) => s.before), ...sliced];
const resultsOf = ({ state, stacked }: ScanPlan): readonly Output[] => [...state.map((s) => s.after), ...stacked];

/** One iteration. States and slices have names of their own there; everything else is seen from the scope around. */
function scanBody(e: Emitter, plan: ScanPlan, nodes: readonly Node[], names: Names): OnnxGraph {
  const local = (x: Node) => `step:${x.attrs.name}`;
  const next = ({ name }: Output) => `next:${name}`;
  const variable = variableOf(plan);
  for (const x of variable) names.set(x, local(x));
  const scope = emptyScope();
  e.within(scope, () => lowerNodes(e, nodes, names));
  const results = resultsOf(plan);
  const counter = { name: "step#", type: "int32", shape: [] } as const;
  const value = (x: Node, name: string): OnnxValue => ({ name, type: e.typeOf(x.dtype), shape: x.shape });
  return {
    nodes: nameOutputs(
      scope,
      results.map((o) => ({ from: names.get(o.node)!, to: next(o) })),
    ),
    initializers: [],
    inputs: [...variable.map((x) => value(x, local(x))), ...(plan.sliced.length ? [] : [counter])],
    outputs: results.map((o) => value(o.node, next(o))),
  };
}

export function lowerScan(e: Emitter, graph: Graph, options: ScanOptions): Lowered {
  const plan = scanPlan(graph, options);
  const { state, sliced, stacked } = plan;
  const { length } = options;
  const varying = dependents(graph, variableOf(plan));
  const names = inputNames(graph);
  const part = (inside: boolean) => graph.nodes.filter((n) => varying.has(n) === inside);
  lowerNodes(e, part(false), names);
  const body = scanBody(e, plan, part(true), names);
  // Scan counts by its slices: without any, it is given numbers to count by.
  const counted = sliced.length ? [] : [e.constant("int32", [length], new Int32Array(length))];
  const slicesIn = [...sliced.map((x) => inputKey(x.attrs.name!)), ...counted];
  const scan: OnnxNode = {
    op: "Scan",
    inputs: [...state.map((s) => inputKey(s.before.attrs.name!)), ...slicesIn],
    outputs: resultsOf(plan).map((o) => outputKey(o.name)),
    attributes: { body, num_scan_inputs: slicesIn.length },
  };
  // Without slices a run is as long as the numbers that it counts by.
  const perStep = sliced.length > 0;
  const withRows = (port: Port): Port => ({ ...port, shape: [length, ...port.shape], perStep });
  return modelOf(e, graph, [...e.scope.nodes, scan], {
    input: (x, port) => (sliced.includes(x) ? withRows(port) : port),
    output: (o, port) => (stacked.includes(o) ? withRows(port) : port),
  });
}
