/** Lowers the nodes of a graph to ONNX nodes, in order, and names the inputs and outputs of the model. */
import { fail } from "../../core/errors.ts";
import type { Graph, Node, Output, TensorType } from "../ir/node.ts";
import type { Emitter, Scope } from "../onnx/emit.ts";
import type { OnnxGraph, OnnxNode, OnnxValue } from "../onnx/model.ts";
import { primitive } from "../primitives/families.ts";

/** An input or output of the program: the user's name, and the name in the model. */
export interface Port extends TensorType {
  readonly name: string;
  readonly key: string;
  /** One row an iteration: the first axis is at most as long as `shape` says. */
  readonly perStep?: boolean;
}

/** A graph as a model, and what goes in and out. */
export interface Lowered {
  readonly model: OnnxGraph;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/** Names in the model of the values of nodes. */
export type Names = Map<Node, string>;

export const inputKey = (name: string) => `in:${name}`;
export const outputKey = (name: string) => `out:${name}`;

/** The inputs of a graph by their names in the model. */
export const inputNames = ({ inputs }: Graph): Names => new Map(inputs.map((x) => [x, inputKey(x.attrs.name!)]));

/** Lowers the given nodes into the emitter's scope, adding their names to `names`. */
export function lowerNodes(e: Emitter, nodes: readonly Node[], names: Names): void {
  for (const node of nodes) {
    if (names.has(node)) continue;
    const lower =
      primitive(node.op)?.lower ??
      fail("unsupported", `The compiler has no lowering of ${node.op}; it should have been decomposed.`);
    const args = node.inputs.map((x) => names.get(x)!);
    names.set(node, lower(e, node, args));
  }
}

/** Names results: the node that makes a value takes the output's name; a value that has a name already is copied. */
export function nameOutputs(
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

/** Changes to the ports of a graph. */
export interface PortChanges {
  input(x: Node, port: Port): Port;
  output(output: Output, port: Port): Port;
}

/** The model of nodes that are lowered already, with the inputs and outputs of their graph. */
export function modelOf(e: Emitter, graph: Graph, nodes: readonly OnnxNode[], changes?: PortChanges): Lowered {
  const portOf = ({ shape, dtype }: Node, name: string, key: string): Port => ({ name, key, shape, dtype });
  const inputs = graph.inputs.map((x) => {
    const port = portOf(x, x.attrs.name!, inputKey(x.attrs.name!));
    return changes?.input(x, port) ?? port;
  });
  const outputs = graph.outputs.map((o) => {
    const port = portOf(o.node, o.name, outputKey(o.name));
    return changes?.output(o, port) ?? port;
  });
  const value = ({ key, dtype, shape, perStep = false }: Port): OnnxValue => ({
    name: key,
    type: e.typeOf(dtype),
    shape,
    perStep,
  });
  const used = new Set(namesIn(nodes));
  const model = {
    nodes,
    initializers: e.initializers.filter((t) => used.has(t.name)),
    inputs: inputs.map(value),
    outputs: outputs.map(value),
  };
  return { model, inputs, outputs };
}
