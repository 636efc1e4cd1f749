/** The sign of a value, where it is known, and the rule that takes constants out of sums by it. */

import { sizeOf } from "../../core/shape.ts";
import type { Node } from "../ir/node.ts";
import type { Rewrite } from "../primitives/builder.ts";
import { is, type Op } from "../primitives/families.ts";
import { splatOf } from "./constant-folding.ts";

const neverNegative: ReadonlySet<string> = new Set<Op>(["square", "abs", "exp", "sigmoid", "softplus", "relu", "sqrt"]);
const keepsSign: ReadonlySet<string> = new Set<Op>([
  "sum",
  "mean",
  "max",
  "min",
  "reshape",
  "transpose",
  "broadcast",
  "slice",
]);

/** Operands of operands are looked at to this depth: nested products of shared nodes have exponentially many paths. */
const DEEPEST = 8;

/** 1 where no element is negative, −1 where none is positive, NaN where neither is known. */
function signOf(x: Node, left = DEEPEST): number {
  const value = splatOf(x);
  if (value !== undefined) return value >= 0 ? 1 : -1;
  if (neverNegative.has(x.op)) return 1;
  if (left === 0) return Number.NaN;
  const [y, z] = x.inputs as readonly [Node, Node];
  if (keepsSign.has(x.op)) return signOf(y, left - 1);
  if (is(x, "neg")) return -signOf(y, left - 1);
  if (is(x, "mul") || is(x, "div")) return y === z ? 1 : signOf(y, left - 1) * signOf(z, left - 1);
  return Number.NaN;
}

/** A constant larger than this, times the number of terms, might overflow. */
const LARGEST = 1e20;

/**
 * Σ (c ± x) = n·c ± Σ x over n terms, a pass less, where c and ±x have one sign: then nothing cancels. Such are log-densities, whose
 * constant is added to every element.
 */
export const constantOutOfSum: Rewrite = (b, op, [sum], attrs) => {
  if (op !== "sum" && op !== "mean") return undefined;
  if (!sum || !(is(sum, "add") || is(sum, "sub")) || sum.dtype !== "float32") return undefined;
  const { inputs, shape } = sum;
  const at = inputs.findIndex((x) => splatOf(x) !== undefined);
  const [c, x] = [inputs[at], inputs[1 - at]];
  if (!c || !x || sizeOf(x.shape) !== sizeOf(shape)) return undefined;
  const value = splatOf(c) as number;
  const taken = is(sum, "sub") ? -1 : 1;
  const alike = (at === 1 ? taken : 1) * signOf(c) === (at === 0 ? taken : 1) * signOf(x);
  if (!alike || Math.abs(value) > LARGEST) return undefined;
  const rest = b.emit(op, [x], attrs);
  const total = b.constant(op === "mean" ? value : (value * sizeOf(shape)) / sizeOf(rest.shape));
  return at === 0 ? b.emit(sum.op, [total, rest]) : b.emit(sum.op, [rest, total]);
};
