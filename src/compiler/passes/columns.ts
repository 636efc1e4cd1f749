/**
 * Columns as vectors: ONNX Runtime combines two columns `[n, 1]` element by element, and two vectors `[n]` in one loop. Inputs and
 * outputs are read and written as flat arrays, so axes of one element at their end can be dropped.
 */
import { type Shape, sameShape } from "../../core/shape.ts";
import type { Graph, Node } from "../ir/node.ts";
import { createBuilder } from "../primitives/builder.ts";
import { simplify } from "./rules.ts";

/** The shape without the axes of one element at its end, but for the first of all. */
function withoutUnits(shape: Shape): Shape {
  let rank = shape.length;
  while (rank > 1 && shape[rank - 1] === 1) rank--;
  return shape.slice(0, rank);
}

/** The graph with other inputs and outputs, node by node. */
function retyped(graph: Graph, typeOf: (node: Node) => Shape, atOutputs: boolean): Graph {
  const builder = createBuilder();
  const made = new Map<Node, Node>();
  for (const input of graph.inputs)
    made.set(input, builder.reshape(builder.input(input.attrs.name!, typeOf(input), input.dtype), input.shape));
  for (const node of graph.nodes) {
    if (made.has(node)) continue;
    const inputs = node.inputs.map((x) => made.get(x)!);
    made.set(node, builder.emit(node.op, inputs, node.attrs));
  }
  const outputOf = (node: Node): Node => {
    const at = made.get(node)!;
    if (!atOutputs || sameShape(at.shape, typeOf(node))) return at;
    const [inner] = at.inputs;
    return at.op === "reshape" && sameShape(inner!.shape, typeOf(node)) ? inner! : builder.reshape(at, typeOf(node));
  };
  return builder.finish(graph.outputs.map(({ name, node }) => ({ name, node: outputOf(node) })));
}

/** A simplified graph whose inputs and outputs are vectors where they were columns. */
export function columnsAsVectors(graph: Graph): Graph {
  const isColumn = ({ shape }: Node) => !sameShape(shape, withoutUnits(shape));
  if (!graph.inputs.some(isColumn) && !graph.outputs.some(({ node }) => isColumn(node))) return graph;
  // The rules carry the reshapes of inputs down to the outputs, where they go.
  const inner = simplify(retyped(graph, ({ shape }) => withoutUnits(shape), false));
  return retyped(inner, ({ shape }) => withoutUnits(shape), true);
}
