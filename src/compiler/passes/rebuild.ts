/** A graph built again, node by node: the one form that every pass takes. */

import type { Graph, Node } from "../ir/node.ts";
import { type Builder, createBuilder, type Rewrite } from "../primitives/builder.ts";

export interface Pass {
  /** Offered every node that is made, also those that other rules make. */
  readonly rewrite?: Rewrite;
  /**
   * Offered each node of the old graph with its operands in the new one; for rules that need to know the uses.
   * `renewed` gives the new node of any earlier old one.
   */
  readonly replace?: (
    builder: Builder,
    node: Node,
    inputs: readonly Node[],
    renewed: (old: Node) => Node,
  ) => Node | undefined;
}

/** The graph of the same inputs and outputs after one pass over all nodes, operands first. */
export function rebuild(graph: Graph, { rewrite, replace }: Pass = {}): Graph {
  const builder = createBuilder(rewrite ? { rewrite } : {});
  const made = new Map<Node, Node>();
  for (const node of graph.inputs) made.set(node, builder.input(node.attrs.name!, node.shape, node.dtype));
  for (const node of graph.nodes) {
    if (made.has(node)) continue;
    const inputs = node.inputs.map((x) => made.get(x)!);
    made.set(
      node,
      replace?.(builder, node, inputs, (old) => made.get(old)!) ?? builder.emit(node.op, inputs, node.attrs),
    );
  }
  return builder.finish(graph.outputs.map(({ name, node }) => ({ name, node: made.get(node)! })));
}
