/** The graph that is lowered: only primitives with ONNX kernels in the precision of the program, and the fast kernel where there are two. */
import type { Graph, Node } from "../ir/node.ts";
import { usesIn } from "../ir/uses.ts";
import type { Precision } from "../onnx/emit.ts";
import { onlyActivates } from "../passes/activation.ts";
import { splitLongSums } from "../passes/long-sums.ts";
import { type Pass, rebuild } from "../passes/rebuild.ts";
import { firstOf } from "../passes/rules.ts";
import { noOps } from "../passes/shape.ts";
import { softplusSums } from "../passes/softplus-sums.ts";
import type { Rewrite } from "../primitives/builder.ts";
import { is, primitive } from "../primitives/families.ts";

/**
 * Sigmoid of ONNX Runtime is 0 below −18 and off by 2e-4 at −10: where the value counts as a probability, 1/(1 + exp(−x)).
 * As an activation it keeps the fast kernel, and where only x·sigmoid(x) is asked for, there is one for all of it.
 */
function chooseSigmoids(graph: Graph, precision: Precision): Graph {
  const uses = usesIn(graph);
  const fast = (s: Node) => is(s, "sigmoid") && onlyActivates(s, uses);
  const replace: Pass["replace"] = (b, node, [x], renewed) => {
    if (is(node, "sigmoid") && !fast(node))
      return b.unary("reciprocal", b.binary("add", b.unary("exp", b.unary("neg", x!)), b.constant(1)));
    const s = is(node, "mul") && precision === "float32" ? node.inputs.find(fast) : undefined;
    // A sigmoid that is used once stands in x·s.
    return s && uses.once(s) ? b.unary("silu", renewed(s.inputs[0]!)) : undefined;
  };
  return rebuild(graph, { replace });
}

/** Replaces primitives that ONNX Runtime lacks in `precision`, or computes slowly, by others. */
const decompositions =
  (precision: Precision): Rewrite =>
  (b, op, inputs, attrs) =>
    attrs.single ? undefined : primitive(op)?.decompose?.[precision]?.(b, inputs, attrs);

export function prepare(graph: Graph, precision: Precision): Graph {
  const decompose = decompositions(precision);
  // Some kernels refuse to do nothing: Pad, of a scalar.
  const rewrite = firstOf(precision === "float32" ? [noOps, decompose, splitLongSums] : [noOps, decompose]);
  const chosen = chooseSigmoids(graph, precision);
  return rebuild(precision === "float32" ? softplusSums(chosen) : chosen, { rewrite });
}
