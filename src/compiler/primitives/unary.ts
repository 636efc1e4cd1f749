/** Functions of one element. */
import type { Lowering } from "../onnx/emit.ts";
import { contribDomain } from "../onnx/model.ts";
import { always, direct, type ElementwisePrimitive, type Rest, scalarLike } from "./elementwise-row.ts";
import type { Decomposition, TypeRule } from "./primitive.ts";
import { erf, round, SELU_ALPHA, SELU_SCALE } from "./scalar.ts";
import * as special from "./special-functions.ts";

type Row = ElementwisePrimitive;
type Meaning = (x: number) => number;
type InDoubles = Decomposition<special.Algebra>;

const sameType: TypeRule = ([x]) => ({ shape: x!.shape, dtype: x!.dtype });
const boolType: TypeRule = ([x]) => ({ shape: x!.shape, dtype: "bool" });

/** A real function: an int32 or bool operand is cast to float32 first. */
const real = (meaning: Meaning, lower: Lowering | undefined, rest: Rest): Row => ({
  type: sameType,
  operand: "real",
  meaning,
  ...(lower && { lower }),
  ...rest,
});

/** A function that keeps float32 and int32. */
const keeping = (meaning: Meaning, lower: Lowering, kernel: string): Row => ({
  type: sameType,
  operand: "number",
  meaning,
  lower,
  kernel,
});

/** A test: bool out. */
const testing = (meaning: Meaning, lower: Lowering | undefined, rest: Rest): Row => ({
  type: boolType,
  operand: "number",
  meaning,
  ...(lower && { lower }),
  ...rest,
});

/** A kernel that ONNX Runtime has for single precision only; in doubles, a guess to refine (see `Attrs.single`). */
const single =
  (op: string): Lowering =>
  (e, _, [x]) =>
    e.precision === "float32" ? e.op(op, [x!]) : e.cast(e.op(op, [e.cast(x!, "float32")]), "float64");

/** A real function with an ONNX kernel of its name for both precisions; tfjs's kernel has that name too. */
const plain = (meaning: Meaning, kernel: string): Row => real(meaning, direct(kernel), { kernel });

/** A real function with an ONNX kernel of its name for single precision only. */
const singleOnly = (meaning: Meaning, kernel: string, float64: InDoubles): Row =>
  real(meaning, single(kernel), { kernel, decompose: { float64 } });

/** On integers these change nothing. */
const rounding =
  (op: string): Lowering =>
  (e, node, [x]) =>
    node.dtype === "float32" ? e.op(op, [x!]) : x!;

export const UNARY = {
  exp: plain(Math.exp, "Exp"),
  log: plain(Math.log, "Log"),
  log1p: real(Math.log1p, undefined, { kernel: "Log1p", decompose: always(special.log1p) }),
  expm1: real(Math.expm1, undefined, { kernel: "Expm1", decompose: always(special.expm1) }),
  sqrt: plain(Math.sqrt, "Sqrt"),
  rsqrt: real(
    (x) => 1 / Math.sqrt(x),
    (e, _, [x]) => e.op("Reciprocal", [e.op("Sqrt", [x!])]),
    { kernel: "Rsqrt" },
  ),
  reciprocal: plain((x) => 1 / x, "Reciprocal"),
  sigmoid: plain((x) => 1 / (1 + Math.exp(-x)), "Sigmoid"),
  /** x·sigmoid(x). tfjs has no kernel of it; the compiler finds it. */
  silu: real(
    (x) => x / (1 + Math.exp(-x)),
    (e, _, [x]) => e.op("QuickGelu", [x!], { alpha: { float: 1 } }, contribDomain),
    { decompose: { float64: special.silu } },
  ),
  softplus: real((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), single("Softplus"), {
    kernel: "Softplus",
    decompose: { float32: special.fastSoftplus, float64: special.softplus },
  }),
  tanh: plain(Math.tanh, "Tanh"),
  elu: singleOnly((x) => (x < 0 ? Math.expm1(x) : x), "Elu", special.elu),
  selu: singleOnly((x) => SELU_SCALE * (x < 0 ? SELU_ALPHA * Math.expm1(x) : x), "Selu", special.selu),
  erf: singleOnly(erf, "Erf", special.erf),
  sin: plain(Math.sin, "Sin"),
  cos: plain(Math.cos, "Cos"),
  tan: singleOnly(Math.tan, "Tan", special.tan),
  asin: singleOnly(Math.asin, "Asin", special.asin),
  acos: singleOnly(Math.acos, "Acos", special.acos),
  atan: singleOnly(Math.atan, "Atan", special.atan),
  sinh: singleOnly(Math.sinh, "Sinh", special.sinh),
  cosh: singleOnly(Math.cosh, "Cosh", special.cosh),
  asinh: singleOnly(Math.asinh, "Asinh", special.asinh),
  acosh: singleOnly(Math.acosh, "Acosh", special.acosh),
  atanh: singleOnly(Math.atanh, "Atanh", special.atanh),

  neg: keeping((x) => -x, direct("Neg"), "Neg"),
  abs: keeping(Math.abs, direct("Abs"), "Abs"),
  sign: keeping(Math.sign, direct("Sign"), "Sign"),
  square: keeping(
    (x) => x * x,
    (e, _, [x]) => e.op("Mul", [x!, x!]),
    "Square",
  ),
  relu: keeping(
    (x) => Math.max(x, 0),
    (e, node, [x]) => (node.dtype === "float32" ? e.op("Relu", [x!]) : e.op("Max", [x!, scalarLike(e, node, 0)])),
    "Relu",
  ),
  floor: keeping(Math.floor, rounding("Floor"), "Floor"),
  ceil: keeping(Math.ceil, rounding("Ceil"), "Ceil"),
  /** To the nearest integer, halves to the even one. */
  round: keeping(round, rounding("Round"), "Round"),

  isNaN: testing((x) => Number(Number.isNaN(x)), direct("IsNaN"), { kernel: "IsNan" }),
  isInf: testing((x) => Number(Math.abs(x) === Number.POSITIVE_INFINITY), direct("IsInf"), { kernel: "IsInf" }),
  isFinite: testing((x) => Number(Number.isFinite(x)), undefined, {
    kernel: "IsFinite",
    decompose: always(special.isFiniteNumber),
  }),
  not: { ...testing((x) => Number(x === 0), direct("Not"), { kernel: "LogicalNot" }), operand: "truth" },
} satisfies { readonly [op: string]: ElementwisePrimitive };

export type UnaryOp = keyof typeof UNARY;
export const isUnary = (op: string): op is UnaryOp => Object.hasOwn(UNARY, op);
