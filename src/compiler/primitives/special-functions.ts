/** Real functions that ONNX Runtime lacks, has for single precision only, or computes slowly, written with other primitives. */

import { sizeOf } from "../../core/shape.ts";
import type { Core } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import type { Decomposition } from "./primitive.ts";
import { SELU_ALPHA, SELU_SCALE } from "./scalar.ts";

/** The elementwise primitives that the others are written with. */
export interface Algebra extends Core {
  unary(op: UsedUnary, x: Node): Node;
  binary(op: UsedBinary, a: Node, b: Node): Node;
  where(condition: Node, a: Node, b: Node): Node;
}
type UsedUnary =
  | ("abs" | "neg" | "sign" | "sqrt" | "square" | "relu")
  | ("exp" | "expm1" | "log" | "log1p" | "sin" | "cos" | "asin" | "atan");
type UsedBinary = "add" | "sub" | "mul" | "div" | "maximum" | "minimum" | "less" | "greater" | "equal";

/** A function of one number, or of two. */
type Formula = Decomposition<Algebra>;

/** Arithmetic of nodes and numbers, in readable order. */
const arithmetic = (b: Algebra) => {
  const node = (x: Node | number) => (typeof x === "number" ? b.constant(x) : x);
  const two = (op: UsedBinary) => (x: Node | number, y: Node | number) => b.binary(op, node(x), node(y));
  return {
    add: two("add"),
    sub: two("sub"),
    mul: two("mul"),
    div: two("div"),
    max: two("maximum"),
    less: two("less"),
    greater: two("greater"),
    equal: two("equal"),
    where: (c: Node, x: Node | number, y: Node | number) => b.where(c, node(x), node(y)),
  };
};

/** log u + (x − (u − 1))/u with u = 1 + x rounded: the second term is what the rounding lost. */
export const log1p: Formula = (b, [x]) => {
  const { add, sub, div, less, where } = arithmetic(b);
  const u = add(x!, 1);
  const log = b.unary("log", u);
  const lost = div(sub(x!, sub(u, 1)), u);
  return where(less(b.unary("abs", log), Infinity), add(log, lost), log);
};

/** (u − 1)·x/log u with u = exp x rounded (Kahan): near zero the errors of u − 1 and log u cancel. */
export const expm1: Formula = (b, [x]) => {
  const { sub, mul, div, less, equal, where } = arithmetic(b);
  const u = b.unary("exp", x!);
  const gap = sub(u, 1);
  const near = where(equal(gap, 0), x!, div(mul(gap, x!), b.unary("log", u)));
  return where(less(b.unary("abs", x!), 1), near, gap);
};

/** Finite numbers alone are below infinity in size. */
export const isFiniteNumber: Formula = (b, [x]) => arithmetic(b).less(b.unary("abs", x!), Infinity);

export const atan2: Formula = (b, [y, x]) => {
  const { add, div, less, greater, where } = arithmetic(b);
  const angle = b.unary("atan", div(y!, x!));
  const below = less(y!, 0);
  const left = add(angle, where(below, -Math.PI, Math.PI));
  const upright = where(below, -Math.PI / 2, where(greater(y!, 0), Math.PI / 2, add(y!, x!)));
  return where(greater(x!, 0), angle, where(less(x!, 0), left, upright));
};

export const softplus: Formula = (b, [x]) => {
  const { add, max } = arithmetic(b);
  const tail = b.unary("log1p", b.unary("exp", b.unary("neg", b.unary("abs", x!))));
  return add(max(x!, 0), tail);
};

/** Elements from which the many passes of {@link fastSoftplus} cost less than the one slow kernel. */
const manyElements = 2048;

/** 2·artanh s = s·(2 + s²·(2/3 + s²·(2/5 + …))): for s ≤ 1/3 these terms leave out less than single precision holds. */
const artanhTerms = [2 / 11, 2 / 9, 2 / 7, 2 / 5, 2 / 3, 2] as const;

/**
 * max(x, 0) + log(1 + u) with u = e^−|x| ≤ 1 and log(1 + u) = 2 artanh(u/(2 + u)), which keeps all digits of a small u. ONNX Runtime's
 * own kernel takes several times as long.
 */
export const fastSoftplus: Formula = (b, [x]) => {
  if (sizeOf(x!.shape) < manyElements) return undefined;
  const { add, mul, div } = arithmetic(b);
  const u = b.unary("exp", b.unary("neg", b.unary("abs", x!)));
  const s = div(u, add(u, 2));
  const square = mul(s, s);
  const [last, ...terms] = artanhTerms;
  const series = terms.reduce<Node | number>((sum, term) => add(mul(sum, square), term), last);
  return add(b.unary("relu", x!), mul(s, series));
};

export const silu: Formula = (b, [x]) => {
  const { add, div } = arithmetic(b);
  return div(x!, add(b.unary("exp", b.unary("neg", x!)), 1));
};

export const elu: Formula = (b, [x]) => {
  const { less, where } = arithmetic(b);
  return where(less(x!, 0), b.unary("expm1", x!), x!);
};

export const selu: Formula = (b, [x]) => {
  const { mul, less, where } = arithmetic(b);
  return mul(where(less(x!, 0), mul(b.unary("expm1", x!), SELU_ALPHA), x!), SELU_SCALE);
};

export const tan: Formula = (b, [x]) => arithmetic(b).div(b.unary("sin", x!), b.unary("cos", x!));

/** A guess in single precision, off by ~1e-7 = δ, and the first-order term of δ: what is left is of order δ³. */
const guess = (b: Algebra, op: "asin" | "atan", x: Node) => {
  const y = b.emit(op, [x], { single: true });
  return { y, sin: b.unary("sin", y), cos: b.unary("cos", y) };
};

export const atan: Formula = (b, [x]) => {
  const { add, sub, mul, div, less, where } = arithmetic(b);
  const { y, sin, cos } = guess(b, "atan", x!);
  const better = add(y, div(sub(mul(x!, cos), sin), add(cos, mul(x!, sin))));
  return where(less(b.unary("abs", x!), Infinity), better, mul(b.unary("sign", x!), Math.PI / 2));
};

export const asin: Formula = (b, [x]) => {
  const { add, sub, mul } = arithmetic(b);
  const { y, sin, cos } = guess(b, "asin", x!);
  const root = b.unary("sqrt", mul(sub(1, x!), add(x!, 1)));
  return add(y, sub(mul(x!, cos), mul(root, sin)));
};

export const acos: Formula = (b, [x]) => arithmetic(b).sub(Math.PI / 2, b.unary("asin", x!));

export const sinh: Formula = (b, [x]) => {
  const { add, sub, mul, div, less, where } = arithmetic(b);
  const small = b.unary("expm1", x!);
  const near = mul(add(small, div(small, add(small, 1))), 0.5);
  const far = mul(sub(b.unary("exp", x!), b.unary("exp", b.unary("neg", x!))), 0.5);
  return where(less(b.unary("abs", x!), 1), near, far);
};

export const cosh: Formula = (b, [x]) => {
  const { add, mul } = arithmetic(b);
  return mul(add(b.unary("exp", x!), b.unary("exp", b.unary("neg", x!))), 0.5);
};

export const asinh: Formula = (b, [x]) => {
  const { add, mul, div, greater, where } = arithmetic(b);
  // From here on asinh |x| = log 2|x| to the last digit, and the square would soon overflow.
  const far = 1e9;
  const size = b.unary("abs", x!);
  const square = mul(size, size);
  const rest = div(square, add(b.unary("sqrt", add(square, 1)), 1));
  const near = b.unary("log1p", add(size, rest));
  return mul(b.unary("sign", x!), where(greater(size, far), add(b.unary("log", size), Math.LN2), near));
};

export const acosh: Formula = (b, [x]) => {
  const { add, sub, mul } = arithmetic(b);
  const root = (y: Node) => b.unary("sqrt", y);
  return b.unary("log", add(x!, mul(root(sub(x!, 1)), root(add(x!, 1)))));
};

export const atanh: Formula = (b, [x]) => {
  const { sub, mul, div } = arithmetic(b);
  return mul(b.unary("log1p", div(mul(x!, 2), sub(1, x!))), 0.5);
};

/** Terms of the series below 1; the last is under 1e-17. */
const erfTerms = 18;
/** Step and number of nodes of the rule beyond 1. */
const [erfStep, erfNodes] = [0.5, 13];

/**
 * erf in doubles: its power series below 1; beyond, 1 − erfc by the trapezium rule with step h,
 * erfc(x) = (2xh/π)·exp(−x²)·(1/(2x²) + Σ exp(−n²h²)/(n²h² + x²)) − 2/(exp(2πx/h) − 1)  (Chiarella and Reichel 1968).
 */
export const erf: Formula = (b, [x]) => {
  const { add, sub, mul, div, less, where } = arithmetic(b);
  // erf(6) = 1 to the last digit, and beyond the two parts of the rule no longer cancel.
  const bounded = b.binary("minimum", b.unary("abs", x!), b.constant(6));
  const square = b.unary("square", bounded);
  let series: Node = b.constant(0);
  for (let n = erfTerms, factorial = factorialOf(n); n >= 0; factorial /= Math.max(n, 1), n--)
    series = add(mul(series, square), (n % 2 ? -1 : 1) / (factorial * (2 * n + 1)));
  const near = mul(mul(bounded, series), 2 / Math.sqrt(Math.PI));
  let sum = div(0.5, square);
  for (let n = 1; n <= erfNodes; n++) {
    const node = (n * erfStep) ** 2;
    sum = add(sum, div(Math.exp(-node), add(square, node)));
  }
  const main = mul(mul(mul(bounded, (2 * erfStep) / Math.PI), b.unary("exp", b.unary("neg", square))), sum);
  const periodic = div(2, sub(b.unary("exp", mul(bounded, (2 * Math.PI) / erfStep)), 1));
  const far = sub(1, sub(main, periodic));
  return mul(b.unary("sign", x!), where(less(bounded, 1), near, far));
};

/** n! */
const factorialOf = (n: number): number => (n < 2 ? 1 : n * factorialOf(n - 1));
