/** The activation x·sigmoid(x), whose gradient is half of what many networks compute. */

import { sameShape } from "../../core/shape.ts";
import type { Graph, Node } from "../ir/node.ts";
import { type Uses, usesIn } from "../ir/uses.ts";
import { is } from "../primitives/families.ts";
import { type Pass, rebuild } from "./rebuild.ts";

const isOne = (x: Node) => is(x, "constant") && x.shape.length === 0 && x.attrs.value === 1;
const isComplement = (x: Node, of: Node) => is(x, "sub") && isOne(x.inputs[0] as Node) && x.inputs[1] === of;

/** The other operand of a sum or product in which `x` takes part. */
function beside(node: Node, op: "add" | "mul", x: Node): Node | undefined {
  if (node.op !== op) return undefined;
  const [a, b] = node.inputs;
  return a === x ? b : b === x ? a : undefined;
}

/** Whether s stands in x·s, where s is a function of x. */
const activates = (s: Node, uses: Uses) => uses.of(s).some((use) => beside(use, "mul", s) === s.inputs[0]);

/** What a product of products multiplies; products that are used elsewhere as well count as one. */
const factors = (node: Node, uses: Uses): readonly Node[] =>
  is(node, "mul") && uses.once(node) ? node.inputs.flatMap((x) => factors(x, uses)) : [node];

/** Whether a product has exactly these factors and 1 − s. */
function isProductOf(node: Node, uses: Uses, s: Node, others: readonly Node[]): boolean {
  const rest = [...factors(node, uses)];
  const complement = rest.findIndex((x) => isComplement(x, s));
  if (complement < 0) return false;
  rest.splice(complement, 1);
  for (const x of others) {
    const at = rest.indexOf(x);
    if (at < 0) return false;
    rest.splice(at, 1);
  }
  return rest.length === 0;
}

/**
 * The derivative of x·s, s = sigmoid(x), by the activation that is there already: s + x·(s·(1 − s)) → s + (x·s)·(1 − s), and
 * s·(g + x·g·(1 − s)) → g·(s + (x·s)·(1 − s)); a product less in each.
 */
export function activationGradient(graph: Graph): Graph {
  const uses = usesIn(graph);
  const activated = (s: Node) => is(s, "sigmoid") && activates(s, uses);
  const replace: Pass["replace"] = (b, node, _, renewed) => {
    const derivative = (s: Node) => {
      const [at, x] = [renewed(s), renewed(s.inputs[0] as Node)];
      const rest = b.binary("sub", b.constant(1), at);
      return b.binary("add", at, b.binary("mul", b.binary("mul", x, at), rest));
    };
    for (const s of node.inputs.filter(activated)) {
      const x = s.inputs[0] as Node;
      const part = beside(node, "add", s);
      if (part && isProductOf(part, uses, s, [x, s])) return derivative(s);
      const sum = beside(node, "mul", s);
      const g =
        sum && is(sum, "add") && uses.once(sum)
          ? gradientIn(sum, (y, z) => isProductOf(y, uses, s, [x, z]))
          : undefined;
      if (g && sameShape(g.shape, x.shape)) return b.binary("mul", renewed(g), derivative(s));
    }
    return undefined;
  };
  return rebuild(graph, { replace });
}

/** g of g + y, where y holds g. */
function gradientIn({ inputs: [a, b] }: Node, holds: (y: Node, g: Node) => boolean): Node | undefined {
  if (a === undefined || b === undefined) return undefined;
  return holds(b, a) ? a : holds(a, b) ? b : undefined;
}

/**
 * Whether a sigmoid stands in x·s, and else only in products and sums, as does 1 − s: in an activation and its derivatives an error
 * that is small beside 1 is below the rounding of the result's largest values, while a probability needs its digits near 0 as well.
 */
export function onlyActivates(s: Node, uses: Uses): boolean {
  const isSumOrProduct = (x: Node) => is(x, "add") || is(x, "mul") || is(x, "sub");
  const isSafe = (use: Node) =>
    isComplement(use, s) ? !uses.isOutput(use) && uses.of(use).every(isSumOrProduct) : isSumOrProduct(use);
  return !uses.isOutput(s) && activates(s, uses) && uses.of(s).every(isSafe);
}
