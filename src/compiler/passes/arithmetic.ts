/** Rules of elementwise arithmetic. None of them may lose a NaN: x·0 and x − x stay as they are. */

import { type Shape, sameShape, sizeOf } from "../../core/shape.ts";
import type { Node, NumericArray } from "../ir/node.ts";
import { isBinary } from "../primitives/binary.ts";
import type { Builder, Rewrite } from "../primitives/builder.ts";
import { is, type Op } from "../primitives/families.ts";
import { broadcastShapes } from "../primitives/types.ts";
import { isUnary } from "../primitives/unary.ts";
import { splatOf } from "./constant-folding.ts";

const commutative = new Set<Op>([
  "add",
  "mul",
  "maximum",
  "minimum",
  "squaredDifference",
  "equal",
  "notEqual",
  "and",
  "or",
  "xor",
]);

/** Operands of commutative primitives in one order, constants last, so that a + b and b + a are one node. */
export const orderOperands: Rewrite = (b, op, inputs, attrs) => {
  if (!commutative.has(op)) return undefined;
  const [x, y] = inputs as readonly [Node, Node];
  const late = (n: Node) => Number(is(n, "constant"));
  return late(x) - late(y) > 0 || (late(x) === late(y) && x.id > y.id) ? b.emit(op, [y, x], attrs) : undefined;
};

const spread = (b: Builder, x: Node, shape: Shape) => (sameShape(x.shape, shape) ? x : b.broadcast(x, shape));

/** x·1, x/1, x + 0, x − 0, x¹: x, broadcast as the other operand asked. */
export const neutralOperand: Rewrite = (b, op, inputs) => {
  const [x, y] = inputs as readonly [Node, Node];
  if (!["mul", "div", "add", "sub", "pow"].includes(op)) return undefined;
  const neutral = op === "add" || op === "sub" ? 0 : 1;
  return splatOf(y) === neutral ? spread(b, x, broadcastShapes(op, x.shape, y.shape)) : undefined;
};

/** Opposites of arrays, made once: arrays of some length are told apart by identity. */
const opposites = new WeakMap<NumericArray, NumericArray>();

function oppositeOf(x: NumericArray): NumericArray {
  const made = opposites.get(x) ?? x.map((v) => -v);
  opposites.set(x, made);
  return made;
}

/** −(−x) = x, x·(−1) = −x, 0 − x = −x, x + (−y) = x − y, x − (−y) = x + y, (−x)·c = x·(−c) for an array c. */
export const signs: Rewrite = (b, op, inputs) => {
  const [x, y] = inputs as readonly [Node, Node];
  if (op === "mul" && is(x, "neg") && x.dtype === "float32" && typeof y.attrs.value === "object")
    return b.binary("mul", x.inputs[0]!, b.constant(oppositeOf(y.attrs.value), y.shape));
  if (op === "neg" && is(x, "neg")) return x.inputs[0]!;
  if (op === "mul" && splatOf(y) === -1) return spread(b, b.unary("neg", x), broadcastShapes(op, x.shape, y.shape));
  if (op === "sub" && splatOf(x) === 0) return spread(b, b.unary("neg", y), broadcastShapes(op, x.shape, y.shape));
  if (op === "sub" && is(y, "neg")) return b.binary("add", x, y.inputs[0]!);
  if (op === "add" && is(y, "neg")) return b.binary("sub", x, y.inputs[0]!);
  if (op === "add" && is(x, "neg")) return b.binary("sub", y, x.inputs[0]!);
  return undefined;
};

/** 1/x has a kernel; x² needs no power. */
export const powers: Rewrite = (b, op, inputs) => {
  const [x, y] = inputs as readonly [Node, Node];
  if (op === "div" && splatOf(x) === 1 && x.dtype === "float32")
    return spread(b, b.unary("reciprocal", y), broadcastShapes(op, x.shape, y.shape));
  if (op === "pow" && splatOf(y) === 2) return spread(b, b.unary("square", x), broadcastShapes(op, x.shape, y.shape));
  return undefined;
};

/** Products of constants this far from overflow in single precision may be taken first. */
const [smallest, largest] = [1e-30, 1e30];

/** c of x·c, and 1/c of x/c. */
const factorOf = (op: string, y: Node | undefined): number | undefined => {
  const c = y && splatOf(y);
  return c === undefined ? undefined : op === "mul" ? c : op === "div" ? 1 / c : undefined;
};

/** (x·c)·d = x·(cd), (−x)·c = x·(−c), and so with quotients by constants. */
export const scaleChain: Rewrite = (b, op, inputs) => {
  const [x, y] = inputs as readonly [Node, Node];
  const d = factorOf(op, y);
  if (d === undefined || x.dtype !== "float32" || y.dtype !== "float32") return undefined;
  const scaled = (z: Node, factor: number) =>
    spread(b, b.binary("mul", z, b.constant(factor)), broadcastShapes(op, x.shape, y.shape));
  if (is(x, "neg") && op === "mul") return scaled(x.inputs[0]!, -d);
  const c = factorOf(x.op, x.inputs[1]);
  if (c === undefined || !sameShape(x.inputs[0]!.shape, x.shape)) return undefined;
  const inside = [c, d, c * d].every((v) => Math.abs(v) >= smallest && Math.abs(v) <= largest);
  return inside ? scaled(x.inputs[0]!, c * d) : undefined;
};

/** A constant condition chooses; equal branches need no condition. */
export const decidedWhere: Rewrite = (b, op, inputs) => {
  if (op !== "where") return undefined;
  const [c, x, y] = inputs as readonly [Node, Node, Node];
  const shape = broadcastShapes(op, c.shape, x.shape, y.shape);
  const value = splatOf(c);
  if (value !== undefined) return spread(b, value ? x : y, shape);
  return x === y ? spread(b, x, shape) : undefined;
};

/** x ∧ true = x, x ∧ false = false, x ∨ false = x, x ∨ true = true. */
export const decidedLogic: Rewrite = (b, op, inputs) => {
  if (op !== "and" && op !== "or") return undefined;
  const [x, y] = inputs as readonly [Node, Node];
  const value = splatOf(y);
  if (value === undefined) return undefined;
  return spread(b, (op === "and") === (value !== 0) ? x : y, broadcastShapes(op, x.shape, y.shape));
};

/** A full-size splat beside a full-size operand is a scalar. */
const bare = (b: Builder, x: Node): Node => {
  if (is(x, "broadcast")) return bare(b, x.inputs[0]!);
  const value = splatOf(x);
  return value !== undefined && x.shape.length > 0 ? b.constant(value, [], x.dtype) : x;
};

/**
 * Elementwise primitives take their operands before broadcasting and broadcast themselves; where all operands were
 * broadcast, the result is, after fewer operations.
 */
export const lateBroadcast: Rewrite = (b, op, inputs, attrs) => {
  if (!(isBinary(op) || isUnary(op) || op === "where" || op === "cast")) return undefined;
  const operands = inputs.map((x) => bare(b, x));
  if (operands.every((x, i) => x === inputs[i])) return undefined;
  const shape = broadcastShapes(op, ...inputs.map((x) => x.shape));
  // Nothing is gained where the elements are none.
  if (sizeOf(shape) === 0) return undefined;
  return spread(b, b.emit(op, operands, attrs), shape);
};
