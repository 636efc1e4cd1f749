/** Simplification: rules applied to every node as it is made, until none applies, and two that look at uses at the end. */

import { sameShape } from "../../core/shape.ts";
import type { Graph, Node } from "../ir/node.ts";
import { usesIn } from "../ir/uses.ts";
import type { Rewrite } from "../primitives/builder.ts";
import { is } from "../primitives/families.ts";
import { activationGradient } from "./activation.ts";
import * as arithmetic from "./arithmetic.ts";
import { factorSums } from "./common-factors.ts";
import * as fold from "./constant-folding.ts";
import * as products from "./products.ts";
import { type Pass, rebuild } from "./rebuild.ts";
import * as shapes from "./shape.ts";
import { constantOutOfSum } from "./sign.ts";

/**
 * All rules by name, in the order in which they are tried.
 *
 * @remarks Named one by one: a namespace lists its names in an order that depends on the module loader, and programs would differ between Node, bundles and
 * tests.
 */
export const rules: Readonly<Record<string, Rewrite>> = {
  foldElementwise: fold.foldElementwise,
  foldSplats: fold.foldSplats,
  foldReshape: fold.foldReshape,
  castChain: shapes.castChain,
  chains: shapes.chains,
  flatSum: shapes.flatSum,
  lateReshape: shapes.lateReshape,
  noOps: shapes.noOps,
  reducedBroadcast: shapes.reducedBroadcast,
  reductionChain: shapes.reductionChain,
  reshapedReduction: shapes.reshapedReduction,
  thinBroadcast: shapes.thinBroadcast,
  trivialReduction: shapes.trivialReduction,
  trivialTranspose: shapes.trivialTranspose,
  decidedLogic: arithmetic.decidedLogic,
  decidedWhere: arithmetic.decidedWhere,
  lateBroadcast: arithmetic.lateBroadcast,
  neutralOperand: arithmetic.neutralOperand,
  orderOperands: arithmetic.orderOperands,
  powers: arithmetic.powers,
  scaleChain: arithmetic.scaleChain,
  signs: arithmetic.signs,
  batchSum: products.batchSum,
  broadcastIntoProduct: products.broadcastIntoProduct,
  flattenBatch: products.flattenBatch,
  outerProduct: products.outerProduct,
  transposeIntoProduct: products.transposeIntoProduct,
  constantOutOfSum,
};

/** The first of several rules that applies. */
export const firstOf =
  (list: readonly Rewrite[]): Rewrite =>
  (b, op, inputs, attrs) => {
    for (const rule of list) {
      const found = rule(b, op, inputs, attrs);
      if (found) return found;
    }
    return undefined;
  };

/**
 * matmul(a, b) + c → gemm, where the product has no other use and c broadcasts to it.
 *
 * @remarks Only a flat float32 product has a kernel that takes a bias.
 */
export function biasIntoProduct(graph: Graph): Graph {
  const uses = usesIn(graph);
  const product = (x: Node, node: Node) =>
    is(x, "matmul") &&
    x.inputs.length === 2 &&
    x.shape.length === 2 &&
    x.dtype === "float32" &&
    sameShape(x.shape, node.shape) &&
    uses.once(x);
  const replace: Pass["replace"] = (b, node, inputs) => {
    if (!is(node, "add")) return undefined;
    const at = node.inputs.findIndex((x) => product(x, node));
    if (at < 0 || !is(inputs[at]!, "matmul")) return undefined;
    const { inputs: factors, attrs } = inputs[at]!;
    return b.emit("matmul", [...factors, inputs[1 - at]!], attrs);
  };
  return rebuild(graph, { replace });
}

/** Rounds at most: each takes out common factors and rewrites what is left, and ends the loop if that gained nothing. */
const mostRounds = 8;

/** The same program with fewer nodes: dead code, equal expressions, constants, steps that do nothing and repeated factors are gone. */
export function simplify(graph: Graph): Graph {
  const rewrite = firstOf(Object.values(rules));
  let current = rebuild(graph, { rewrite });
  for (let round = 0; round < mostRounds; round++) {
    const next = rebuild(factorSums(current), { rewrite });
    if (next.nodes.length >= current.nodes.length) break;
    current = next;
  }
  return biasIntoProduct(activationGradient(current));
}
