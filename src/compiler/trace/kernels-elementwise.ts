/** Kernels of one, two or three elements. */
import type { Builder } from "../ir/graph.ts";
import type { BinaryOp, DType, Node, UnaryOp } from "../ir/node.ts";
import type { Nodes, TraceKernel } from "./kernel.ts";

type Table = { [kernelName: string]: TraceKernel };

const UNARY: { readonly [kernelName: string]: UnaryOp } = {
  Abs: "abs",
  Acos: "acos",
  Acosh: "acosh",
  Asin: "asin",
  Asinh: "asinh",
  Atan: "atan",
  Atanh: "atanh",
  Ceil: "ceil",
  Cos: "cos",
  Cosh: "cosh",
  Elu: "elu",
  Erf: "erf",
  Exp: "exp",
  Expm1: "expm1",
  Floor: "floor",
  IsFinite: "isFinite",
  IsInf: "isInf",
  IsNan: "isNaN",
  Log: "log",
  Log1p: "log1p",
  LogicalNot: "not",
  Neg: "neg",
  Reciprocal: "reciprocal",
  Relu: "relu",
  Round: "round",
  Rsqrt: "rsqrt",
  Selu: "selu",
  Sigmoid: "sigmoid",
  Sign: "sign",
  Sin: "sin",
  Sinh: "sinh",
  Softplus: "softplus",
  Sqrt: "sqrt",
  Square: "square",
  Tan: "tan",
  Tanh: "tanh",
};

const BINARY: { readonly [kernelName: string]: BinaryOp } = {
  Add: "add",
  Atan2: "atan2",
  Equal: "equal",
  FloorDiv: "floorDiv",
  Greater: "greater",
  GreaterEqual: "greaterEqual",
  Less: "less",
  LessEqual: "lessEqual",
  LogicalAnd: "and",
  LogicalOr: "or",
  LogicalXor: "xor",
  Maximum: "maximum",
  Minimum: "minimum",
  Mod: "mod",
  Multiply: "mul",
  NotEqual: "notEqual",
  Pow: "pow",
  RealDiv: "div",
  SquaredDifference: "squaredDifference",
  Sub: "sub",
};

const fromTable = <T>(table: { readonly [name: string]: T }, kernel: (op: T) => TraceKernel): Table =>
  Object.fromEntries(Object.entries(table).map(([name, op]) => [name, kernel(op)]));

const x = (nodes: Nodes): Node => nodes.x as Node;
const scalar = (b: Builder, value: number, like: Node): Node => b.constant(value, [], like.dtype);

/** x where positive, `slope`·x elsewhere. */
const leaky = (b: Builder, at: Node, slope: Node): Node =>
  b.where(b.binary("greater", at, scalar(b, 0, at)), at, b.binary("mul", at, slope));

const clamp = (b: Builder, at: Node, low: number, high: number): Node =>
  b.binary("minimum", b.binary("maximum", at, scalar(b, low, at)), scalar(b, high, at));

export const ELEMENTWISE: Table = {
  ...fromTable(UNARY, (op) => (b, inputs) => b.unary(op, x(inputs))),
  ...fromTable(BINARY, (op) => (b, inputs) => b.binary(op, inputs.a as Node, inputs.b as Node)),
  AddN: (b, inputs) => Object.values(inputs).reduce((sum, term) => b.binary("add", sum, term)),
  Cast: (b, inputs, { dtype }: { dtype: DType }) => b.cast(x(inputs), dtype),
  ClipByValue: (b, inputs, attrs: { clipValueMin: number; clipValueMax: number }) =>
    clamp(b, x(inputs), attrs.clipValueMin, attrs.clipValueMax),
  Identity: (_, inputs) => x(inputs),
  LeakyRelu: (b, inputs, { alpha }: { alpha: number }) => leaky(b, x(inputs), b.constant(alpha)),
  OnesLike: (b, inputs) => b.constant(1, x(inputs).shape, x(inputs).dtype),
  Prelu: (b, inputs) => leaky(b, x(inputs), inputs.alpha as Node),
  Relu6: (b, inputs) => clamp(b, x(inputs), 0, 6),
  Select: (b, { condition, t, e }) => b.where(condition as Node, t as Node, e as Node),
  Step: (b, inputs, { alpha }: { alpha: number }) => {
    const positive = b.binary("greater", x(inputs), scalar(b, 0, x(inputs)));
    return alpha === 0 ? b.cast(positive, "float32") : b.where(positive, b.constant(1), b.constant(alpha));
  },
  ZerosLike: (b, inputs) => b.constant(0, x(inputs).shape, x(inputs).dtype),
};
