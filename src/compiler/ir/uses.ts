/** How the nodes of a graph are used, for rules that one node alone does not decide. */
import type { Graph, Node } from "./node.ts";

export interface Uses {
  /** The nodes that have `x` among their operands; to be an output is no use. */
  of(x: Node): readonly Node[];
  isOutput(x: Node): boolean;
  /** Whether one node uses `x` and nothing else knows of it, so that it goes when that node does. */
  once(x: Node): boolean;
}

export function usesIn(graph: Graph): Uses {
  const users = new Map<Node, Node[]>(graph.nodes.map((node) => [node, []]));
  for (const node of graph.nodes) for (const x of node.inputs) users.get(x)!.push(node);
  const outputs = new Set(graph.outputs.map(({ node }) => node));
  return {
    of: (x) => users.get(x)!,
    isOutput: (x) => outputs.has(x),
    once: (x) => users.get(x)!.length === 1 && !outputs.has(x),
  };
}
