/**
 * Common factors of sums: a·b + a·c = a·(b + c), for elementwise and matrix products.
 *
 * A program that differentiates one value along two paths (a loss and the norm of a gradient, say) passes back two adjoints through
 * the same linear steps. Joined at the first factor, they make one pass.
 */

import { sameShape, sizeOf } from "../../core/shape.ts";
import type { Graph, Node } from "../ir/node.ts";
import { usesIn } from "../ir/uses.ts";
import type { Builder } from "../primitives/builder.ts";
import { is } from "../primitives/families.ts";
import { rebuild } from "./rebuild.ts";

/** ± the product of the factors. */
interface Term {
  readonly sign: 1 | -1;
  readonly factors: readonly Node[];
}

const key = (n: Node | undefined) => n?.id ?? -1;

/** Σ ±term, with the first positive one in front. */
function total(b: Builder, terms: readonly { readonly sign: 1 | -1; readonly node: Node }[]): Node {
  const ordered = [...terms.filter((t) => t.sign > 0), ...terms.filter((t) => t.sign < 0)];
  const [first, ...rest] = ordered;
  const start = first!.sign > 0 ? first!.node : b.unary("neg", first!.node);
  return rest.reduce((sum, t) => b.binary(t.sign > 0 ? "add" : "sub", sum, t.node), start);
}

/** The item that occurs in most of the lists, if in two or more; the larger one among equals. */
function commonest(lists: readonly (readonly Node[])[]): Node | undefined {
  const counts = new Map<Node, number>();
  for (const list of lists) for (const item of new Set(list)) counts.set(item, (counts.get(item) ?? 0) + 1);
  let best: Node | undefined;
  const rank = (n: Node) => [counts.get(n)!, sizeOf(n.shape), -n.id];
  for (const [item, count] of counts) {
    if (count < 2) continue;
    const [p, q] = [rank(item), best ? rank(best) : []];
    const differs = p.findIndex((v, i) => v !== q[i]);
    if (!best || (differs >= 0 && p[differs]! > q[differs]!)) best = item;
  }
  return best;
}

/** Adds up terms of new nodes, taking out common factors; undefined when there are none. */
function factored(b: Builder, terms: readonly Term[]): Node | undefined {
  const products = terms.filter((t) => t.factors.length > 1);
  const factor = commonest(products.map((t) => t.factors));
  if (!factor) return undefined;
  const shares = (t: Term) => t.factors.length > 1 && t.factors.includes(factor);
  const inside = terms
    .filter(shares)
    .map((t) => ({ sign: t.sign, factors: t.factors.toSpliced(t.factors.indexOf(factor), 1) }));
  const joined = b.binary("mul", factor, summed(b, inside));
  return summed(b, [{ sign: 1, factors: [joined] }, ...terms.filter((t) => !shares(t))]);
}

const product = (b: Builder, factors: readonly Node[]) => factors.reduce((p, f) => b.binary("mul", p, f));

const summed = (b: Builder, terms: readonly Term[]): Node =>
  factored(b, terms) ??
  total(
    b,
    terms.map(({ sign, factors }) => ({ sign, node: product(b, factors) })),
  );

/** What two products must share to become one, from the left and from the right. */
function sides({ inputs, attrs }: Node): readonly string[] {
  const flags = `${attrs.transposeA ?? false} ${attrs.transposeB ?? false}`;
  const [x, y] = inputs as readonly [Node, Node];
  return [`left ${x.id} ${y.shape} ${flags}`, `right ${y.id} ${x.shape} ${flags}`];
}

/** Joins matrix products of one left or one right operand until none are left to join. */
function joinProducts(b: Builder, terms: readonly Term[]): readonly Term[] {
  const bySide = new Map<string, Term[]>();
  for (const term of terms) {
    const [node] = term.factors;
    if (term.factors.length !== 1 || !is(node!, "matmul") || node!.inputs.length !== 2) continue;
    for (const side of sides(node!)) bySide.set(side, [...(bySide.get(side) ?? []), term]);
  }
  const found = [...bySide].find(([, list]) => list.length > 1);
  if (!found) return terms;
  const [side, list] = found;
  const at = side.startsWith("left") ? 1 : 0;
  const { inputs, attrs } = list[0]!.factors[0]!;
  const other = total(
    b,
    list.map((t) => ({ sign: t.sign, node: t.factors[0]!.inputs[at]! })),
  );
  const joined = b.emit("matmul", at === 1 ? [inputs[0]!, other] : [other, inputs[1]!], attrs);
  return joinProducts(b, [{ sign: 1, factors: [joined] }, ...terms.filter((t) => !list.includes(t))]);
}

/** Joins sums over the same axes of x and y where x + y is there already. */
function joinSums(b: Builder, terms: readonly Term[], added: (x: Node, y: Node) => boolean): readonly Term[] {
  const sums = terms.filter((t) => t.factors.length === 1 && is(t.factors[0]!, "sum") && t.sign > 0);
  for (const s of sums)
    for (const t of sums) {
      const [p, q] = [s.factors[0]!, t.factors[0]!];
      const alike = String(p.attrs.axes) === String(q.attrs.axes) && p.attrs.keepDims === q.attrs.keepDims;
      if (s === t || !alike || !added(p.inputs[0]!, q.inputs[0]!)) continue;
      const joined = b.emit("sum", [b.binary("add", p.inputs[0]!, q.inputs[0]!)], p.attrs);
      return joinSums(b, [{ sign: 1, factors: [joined] }, ...terms.filter((u) => u !== s && u !== t)], added);
    }
  return terms;
}

/** What a factor is the opposite of, also in another shape; undefined when it is not. */
const oppositeOf = (b: Builder, x: Node): Node | undefined =>
  is(x, "neg")
    ? x.inputs[0]
    : is(x, "reshape") && is(x.inputs[0]!, "neg")
      ? b.reshape(x.inputs[0]!.inputs[0]!, x.shape)
      : undefined;
/** A term of several factors, with their signs in front. */
const signed = (b: Builder, { sign, factors }: Term): Term =>
  factors.length < 2
    ? { sign, factors }
    : factors.reduce<Term>(
        (term, x) => {
          const opposite = oppositeOf(b, x);
          return { sign: opposite ? (-term.sign as 1 | -1) : term.sign, factors: [...term.factors, opposite ?? x] };
        },
        { sign, factors: [] },
      );

/** The graph with common factors taken out of its sums. */
export function factorSums(graph: Graph): Graph {
  const uses = usesIn(graph);
  const additive = (x: Node) => (is(x, "add") || is(x, "sub")) && x.dtype === "float32";
  const inner = (x: Node) =>
    additive(x) && uses.once(x) && uses.of(x).every((u) => additive(u) && sameShape(u.shape, x.shape));
  const pairs = new Set(graph.nodes.filter((n) => is(n, "add")).map((n) => n.inputs.map(key).join()));

  /** The terms of a sum, in old nodes. */
  const termsOf = (x: Node, sign: 1 | -1): readonly { readonly sign: 1 | -1; readonly node: Node }[] =>
    x.inputs.flatMap((y, i) => {
      const s = is(x, "sub") && i === 1 ? (-sign as 1 | -1) : sign;
      return inner(y) && sameShape(y.shape, x.shape) ? termsOf(y, s) : [{ sign: s, node: y }];
    });
  const factorsOf = (x: Node): readonly Node[] =>
    is(x, "mul") && uses.once(x) && x.dtype === "float32" ? x.inputs.flatMap(factorsOf) : [x];

  return rebuild(graph, {
    replace: (b, node, _, renewed) => {
      if (!additive(node) || inner(node)) return undefined;
      const old = termsOf(node, 1);
      if (old.length < 2 || old.some((t) => !sameShape(t.node.shape, node.shape))) return undefined;
      const oldOf = new Map<Node, Node>();
      const fresh = (x: Node) => {
        const y = renewed(x);
        oldOf.set(y, x);
        for (const [i, z] of y.inputs.entries()) if (x.inputs[i]) oldOf.set(z, x.inputs[i]);
        return y;
      };
      const terms = old.map((t) => signed(b, { sign: t.sign, factors: factorsOf(t.node).map(fresh) }));
      // Products and sums of sums that something else uses too stay as they are.
      const isSplittable = (t: Term, i: number) => t.factors.length > 1 || uses.once(old[i]!.node);
      const [open, closed] = [terms.filter(isSplittable), terms.filter((t, i) => !isSplittable(t, i))];
      const added = (x: Node, y: Node) => {
        const [p, q] = [oldOf.get(x), oldOf.get(y)];
        return pairs.has([p, q].map(key).join()) || pairs.has([q, p].map(key).join());
      };
      const joined = joinSums(b, joinProducts(b, open), added);
      const all = [...joined, ...closed];
      const better = factored(b, all);
      return better ?? (joined.length < open.length ? summed(b, all) : undefined);
    },
  });
}
