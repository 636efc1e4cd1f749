/** What a graph is made of: nodes with a static shape and a dtype, and the small set of primitives. */

export type DType = "float32" | "int32" | "bool";
export type Shape = readonly number[];
/** Element storage of constants, inputs and outputs. Doubles stay doubles until lowering. */
export type NumericArray = Float32Array | Float64Array | Int32Array | Uint8Array;

const words = <T extends string>(...list: readonly T[]): readonly T[] => list;

/** Real functions: an int32 or bool operand is cast to float32 first. */
export const realUnary = words(
  ...words("exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "reciprocal", "sigmoid", "silu", "softplus", "tanh"),
  ...words(
    "elu",
    "selu",
    "erf",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "asinh",
    "acosh",
    "atanh",
  ),
);
/** Functions that keep float32 and int32. */
export const keepingUnary = words("neg", "abs", "sign", "square", "relu", "floor", "ceil", "round");
/** Tests: bool out. */
export const testingUnary = words("isNaN", "isInf", "isFinite", "not");
export type UnaryOp = (typeof realUnary)[number] | (typeof keepingUnary)[number] | (typeof testingUnary)[number];

/** Arithmetic: both operands brought to one dtype (bool < int32 < float32), which is the result's. */
export const arithmeticBinary = words(
  ...words("add", "sub", "mul", "div", "pow", "maximum", "minimum", "mod", "floorDiv", "atan2", "squaredDifference"),
);
/** Comparisons: bool out. */
export const comparingBinary = words("less", "lessEqual", "greater", "greaterEqual", "equal", "notEqual");
export const logicalBinary = words("and", "or", "xor");
export type BinaryOp =
  | (typeof arithmeticBinary)[number]
  | (typeof comparingBinary)[number]
  | (typeof logicalBinary)[number];

export const reductions = words("sum", "mean", "prod", "max", "min", "any", "all");
export type ReduceOp = (typeof reductions)[number];

export const structural = words(
  ...words("input", "constant", "where", "cast", "matmul", "argMax", "argMin", "reshape", "transpose", "broadcast"),
  ...words("concat", "slice", "stridedSlice", "pad", "reverse", "gather", "gatherND", "scatterND", "segmentSum"),
  ...words("cumsum", "topKValues", "topKIndices", "conv2d", "conv2dInputGrad", "conv2dFilterGrad"),
  ...words("avgPool", "maxPool"),
);
export type Op = UnaryOp | BinaryOp | ReduceOp | (typeof structural)[number];

/** Everything about a node that is not an input; each primitive uses the few fields its builder function names. */
export interface Attrs {
  readonly name?: string;
  /** A number is a splat: every element of the constant has this value. */
  readonly value?: number | NumericArray;
  readonly shape?: Shape;
  readonly dtype?: DType;
  readonly axis?: number;
  readonly axes?: readonly number[];
  readonly keepDims?: boolean;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly perm?: readonly number[];
  readonly begin?: readonly number[];
  readonly size?: readonly number[];
  readonly strides?: readonly number[];
  readonly dilations?: readonly number[];
  readonly window?: readonly number[];
  /** Before and after, axis by axis. */
  readonly paddings?: readonly (readonly [number, number])[];
  readonly groups?: number;
  readonly exclusive?: boolean;
  readonly reverse?: boolean;
  readonly k?: number;
  /** Computed in single width even in a float64 program: a first guess that its user refines. */
  readonly single?: boolean;
}

/** One value of the graph. Nodes of one builder are equal exactly when they are the same object. */
export interface Node {
  readonly id: number;
  readonly op: Op;
  readonly inputs: readonly Node[];
  readonly attrs: Attrs;
  readonly shape: Shape;
  readonly dtype: DType;
}

export interface Output {
  readonly name: string;
  readonly node: Node;
}

/** A finished program: the nodes the outputs need, operands first. Inputs that nothing uses are kept in `inputs`. */
export interface Graph {
  readonly inputs: readonly Node[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly Output[];
}

export const sizeOf = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);
export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i]);
export const textOf = (shape: Shape): string => `[${shape.join(",")}]`;

/** Row-major strides. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * shape[i + 1]!;
  return strides;
}

const kinds = new Map<string, "real" | "keeping" | "testing" | "arithmetic" | "comparing" | "logical" | "reduction">([
  ...realUnary.map((op) => [op, "real"] as const),
  ...keepingUnary.map((op) => [op, "keeping"] as const),
  ...testingUnary.map((op) => [op, "testing"] as const),
  ...arithmeticBinary.map((op) => [op, "arithmetic"] as const),
  ...comparingBinary.map((op) => [op, "comparing"] as const),
  ...logicalBinary.map((op) => [op, "logical"] as const),
  ...reductions.map((op) => [op, "reduction"] as const),
]);

/** The family of an elementwise primitive or a reduction; undefined for the structural ones. */
export const kindOf = (op: Op) => kinds.get(op);
export const isUnary = (op: Op): op is UnaryOp => ["real", "keeping", "testing"].includes(kindOf(op) ?? "");
export const isBinary = (op: Op): op is BinaryOp => ["arithmetic", "comparing", "logical"].includes(kindOf(op) ?? "");
export const isReduction = (op: Op): op is ReduceOp => kindOf(op) === "reduction";
