/**
 * Σ (a − softplus(x)) and Σ −softplus(x) with one logarithm for many terms: softplus(x) = max(x, 0) − log sigmoid(|x|), and a sum of logarithms is the
 * logarithm of a product. Every Bernoulli likelihood is such a sum.
 *
 * max(x, 0) stays beside a, which it nearly cancels where the likelihood is good. Factors are in [½, 1], where ONNX Runtime's sigmoid is right to
 * 1.7e-7, and so is each term; small terms lose their own digits by that, which a log-density does not need. A sum of softplus with no sign
 * in front may be anything, and is left as it is.
 */

import { sameShape, sizeOf } from "../../core/shape.ts";
import type { Graph, Node } from "../ir/node.ts";
import { type Uses, usesIn } from "../ir/uses.ts";
import type { Builder } from "../primitives/builder.ts";
import { is } from "../primitives/families.ts";
import { rebuild } from "./rebuild.ts";

/** Elements from which rewriting a sum pays. */
const MANY = 2048;
/** Factors of one product: 2⁻¹²⁰ is still a float. */
const MOST_FACTORS = 120;
/** With fewer factors in a product, too many logarithms remain to gain anything. */
const FEWEST_FACTORS = 4;
/** Factors from which the cost of logarithms no longer matters. */
const ENOUGH_FACTORS = 56;

/** How many of n terms to multiply: a divisor; undefined when there is none to gain by. */
export function factorsOf(n: number): number | undefined {
  for (let g = Math.min(n, ENOUGH_FACTORS); g >= FEWEST_FACTORS; g--) if (n % g === 0) return g;
  // A prime number of terms, say: one product, if it is short enough.
  return n >= FEWEST_FACTORS && n <= MOST_FACTORS ? n : undefined;
}

/** An argument of softplus, in the shape in which it is taken off. */
function argumentOf(term: Node, uses: Uses, renewed: (x: Node) => Node, b: Builder): Node | undefined {
  if (!uses.once(term)) return undefined;
  if (is(term, "softplus")) return renewed(term.inputs[0]!);
  const [inner] = term.inputs;
  // A reshape that keeps the last axis, on its way from a product of rows.
  if (!is(term, "reshape") || inner!.shape.at(-1) !== term.shape.at(-1)) return undefined;
  const x = argumentOf(inner!, uses, renewed, b);
  return x && b.reshape(x, term.shape);
}

/** The graph with such sums as logarithms of products. For single precision only. */
export function softplusSums(graph: Graph): Graph {
  const uses = usesIn(graph);
  return rebuild(graph, {
    replace: (b, node, _, renewed) => {
      const [summand] = node.inputs;
      if (!is(node, "sum") || !summand || !(is(summand, "sub") || is(summand, "neg")) || !uses.once(summand))
        return undefined;
      const { shape } = summand;
      const { axes = [], keepDims } = node.attrs;
      const last = shape.length - 1;
      const factors = factorsOf(shape[last] ?? 1);
      if (factors === undefined || !axes.includes(last) || sizeOf(shape) < MANY) return undefined;
      const term = summand.inputs.at(-1)!;
      if (!sameShape(term.shape, shape)) return undefined;
      const x = argumentOf(term, uses, renewed, b);
      if (x === undefined) return undefined;
      const above = b.unary("relu", x);
      const total = (y: Node) => b.reduce("sum", y, axes, keepDims);
      const rest = is(summand, "sub")
        ? total(b.binary("sub", renewed(summand.inputs[0]!), above))
        : b.unary("neg", total(above));
      const tails = b.unary("sigmoid", b.unary("abs", x));
      const parts = b.reshape(tails, [...shape.slice(0, -1), shape[last]! / factors, factors]);
      const products = b.reduce("prod", parts, [last + 1]);
      return b.binary("add", rest, total(b.unary("log", products)));
    },
  });
}
