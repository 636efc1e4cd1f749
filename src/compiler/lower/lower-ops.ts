/** Each primitive as ONNX nodes. What ONNX Runtime lacks was composed before (compose.ts), so most are one node. */
import { fail } from "../../core/errors.ts";
import { type Node, type Op, type Shape, sizeOf } from "../ir/node.ts";
import type { Lowering } from "./emit.ts";
import { conv2d, conv2dFilterGrad, conv2dInputGrad, pool } from "./lower-windows.ts";
import { contribDomain } from "./onnx.ts";

const direct =
  (op: string): Lowering =>
  (e, _, args) =>
    e.op(op, args);

/** A kernel that ONNX Runtime has only for real numbers of single width. */
const single =
  (op: string): Lowering =>
  (e, _, [x]) =>
    e.precision === "float32" ? e.op(op, [x!]) : e.cast(e.op(op, [e.cast(x!, "float32")]), "float64");

const scalar = (e: Parameters<Lowering>[0], node: Node, value: number) => e.constant(e.typeOf(node.dtype), [], value);

/** On integers these change nothing. */
const rounding =
  (op: string): Lowering =>
  (e, node, [x]) =>
    node.dtype === "float32" ? e.op(op, [x!]) : x!;

const unary: Record<string, Lowering> = {
  neg: direct("Neg"),
  abs: direct("Abs"),
  sign: direct("Sign"),
  exp: direct("Exp"),
  log: direct("Log"),
  sqrt: direct("Sqrt"),
  rsqrt: (e, _, [x]) => e.op("Reciprocal", [e.op("Sqrt", [x!])]),
  reciprocal: direct("Reciprocal"),
  square: (e, _, [x]) => e.op("Mul", [x!, x!]),
  sigmoid: direct("Sigmoid"),
  silu: (e, _, [x]) => e.op("QuickGelu", [x!], { alpha: { float: 1 } }, contribDomain),
  softplus: single("Softplus"),
  tanh: direct("Tanh"),
  relu: (e, node, [x]) => (node.dtype === "float32" ? e.op("Relu", [x!]) : e.op("Max", [x!, scalar(e, node, 0)])),
  elu: single("Elu"),
  selu: single("Selu"),
  erf: single("Erf"),
  sin: direct("Sin"),
  cos: direct("Cos"),
  tan: single("Tan"),
  asin: single("Asin"),
  acos: single("Acos"),
  atan: single("Atan"),
  sinh: single("Sinh"),
  cosh: single("Cosh"),
  asinh: single("Asinh"),
  acosh: single("Acosh"),
  atanh: single("Atanh"),
  floor: rounding("Floor"),
  ceil: rounding("Ceil"),
  round: rounding("Round"),
  isNaN: direct("IsNaN"),
  isInf: direct("IsInf"),
  not: direct("Not"),
};

/** Integers are divided in doubles: exact, and division by zero does not end the process. */
const floorDiv: Lowering = (e, node, args) => {
  if (node.dtype === "float32") return e.op("Floor", [e.op("Div", args)]);
  const doubles = args.map((x) => e.cast(x, "float64"));
  return e.cast(e.op("Floor", [e.op("Div", doubles)]), "int32");
};

/** The remainder takes the sign of the divisor. */
const mod: Lowering = (e, node, args) => {
  const [a, b] = args as readonly [string, string];
  if (node.dtype === "int32") return e.op("Sub", [a, e.op("Mul", [floorDiv(e, node, args), b])]);
  const rest = e.op("Mod", args, { fmod: 1 });
  const zero = scalar(e, node, 0);
  const negative = (x: string) => e.op("Less", [x, zero]);
  const opposite = e.op("Xor", [negative(rest), negative(b)]);
  const wrong = e.op("And", [opposite, e.op("Not", [e.op("Equal", [rest, zero])])]);
  return e.op("Where", [wrong, e.op("Add", [rest, b]), rest]);
};

const binary: Record<string, Lowering> = {
  floorDiv,
  mod,
  add: direct("Add"),
  sub: direct("Sub"),
  mul: direct("Mul"),
  div: direct("Div"),
  pow: direct("Pow"),
  maximum: direct("Max"),
  minimum: direct("Min"),
  squaredDifference: (e, _, args) => {
    const gap = e.op("Sub", args);
    return e.op("Mul", [gap, gap]);
  },
  less: direct("Less"),
  lessEqual: direct("LessOrEqual"),
  greater: direct("Greater"),
  greaterEqual: direct("GreaterOrEqual"),
  equal: direct("Equal"),
  notEqual: (e, _, args) => e.op("Not", [e.op("Equal", args)]),
  and: direct("And"),
  or: direct("Or"),
  xor: direct("Xor"),
};

const reduction =
  (op: string): Lowering =>
  (e, node, [x]) =>
    node.attrs.axes!.length === 0
      ? x!
      : e.op(op, [x!, e.ints(node.attrs.axes!)], { keepdims: node.attrs.keepDims ? 1 : 0 });

/** any and all are the extremes of zeros and ones. */
const logicalReduction =
  (op: string): Lowering =>
  (e, node, [x]) =>
    e.cast(reduction(op)(e, node, [e.cast(x!, "int32")]), "bool");

/** ReduceMax and ReduceMin pass over NaN; Clip does not: the clipped sum is 0, or NaN where there was one. */
const extremeReduction =
  (op: string): Lowering =>
  (e, node, args) => {
    const best = reduction(op)(e, node, args);
    if (node.dtype !== "float32" || node.attrs.axes!.length === 0) return best;
    const zero = scalar(e, node, 0);
    return e.op("Add", [best, reduction("ReduceSum")(e, node, [e.op("Clip", [args[0]!, zero, zero])])]);
  };

/** Fewer rows than this are not worth a product. */
const FEWEST_ROWS = 16;

/** A sum over the leading axes is the product of a row of ones with the rest: ONNX Runtime's kernel for it takes half the time. */
const sum: Lowering = (e, node, args) => {
  const { axes = [] } = node.attrs;
  const { shape } = node.inputs[0]!;
  const [rows, columns] = [sizeOf(shape.slice(0, axes.length)), sizeOf(shape.slice(axes.length))];
  const leading = axes.length < shape.length && axes.every((axis, i) => axis === i);
  if (!leading || node.dtype !== "float32" || e.precision !== "float32" || rows < FEWEST_ROWS || columns < 2)
    return reduction("ReduceSum")(e, node, args);
  const flat = shape.length === 2 ? args[0]! : e.op("Reshape", [args[0]!, e.ints([rows, columns])]);
  const total = e.op("MatMul", [e.constant("float32", [rows], 1), flat]);
  return node.shape.length === 1 ? total : e.op("Reshape", [total, e.ints(node.shape)]);
};

const reduce: Record<string, Lowering> = {
  sum,
  mean: reduction("ReduceMean"),
  prod: reduction("ReduceProd"),
  max: extremeReduction("ReduceMax"),
  min: extremeReduction("ReduceMin"),
  any: logicalReduction("ReduceMax"),
  all: logicalReduction("ReduceMin"),
};

const swapLast = (shape: Shape) => {
  const perm = shape.map((_, i) => i);
  return [...perm.slice(0, -2), perm.at(-1)!, perm.at(-2)!];
};

/** Rows and columns of a product from which its left operand is better turned beforehand: ONNX Runtime turns it again for every 128 columns. */
const [MANY_ROWS, MANY_COLUMNS] = [64, 200];

const matmul: Lowering = (e, node, [left, b, bias]) => {
  const [x, y] = node.inputs as readonly [Node, Node];
  const flat = x.shape.length === 2 && y.shape.length === 2;
  const large = node.shape.at(-2)! >= MANY_ROWS && node.shape.at(-1)! >= MANY_COLUMNS;
  const turned = flat && large && node.attrs.transposeA === true;
  const a = turned ? e.once(`${left} turned`, () => e.op("Transpose", [left!], { perm: [1, 0] })) : left;
  const flags = {
    transA: Number(!turned && (node.attrs.transposeA ?? false)),
    transB: Number(node.attrs.transposeB ?? false),
  };
  if (flat && node.dtype === "float32") {
    // A product without bias or flags is MatMul: Gemm would have to be told of a bias that is not there.
    if (bias || flags.transA || flags.transB) return e.op("Gemm", [a!, b!, ...(bias ? [bias] : [])], flags);
    return e.op("MatMul", [a!, b!]);
  }
  let product: string;
  if ((flags.transA || flags.transB) && node.dtype === "float32")
    product = e.op("FusedMatMul", [a!, b!], flags, contribDomain);
  else {
    const flipped = (name: string, of: Node, flip: number) =>
      flip ? e.op("Transpose", [name], { perm: swapLast(of.shape) }) : name;
    product = e.op("MatMul", [flipped(a!, x, flags.transA), flipped(b!, y, flags.transB)]);
  }
  return bias ? e.op("Add", [product, bias]) : product;
};

/** Constant index vectors are written as int64 at once, others are cast. */
const asInt64 = (e: Parameters<Lowering>[0], node: Node, name: string): string => {
  const { value } = node.attrs;
  return node.op === "constant" && typeof value === "object"
    ? e.constant("int64", node.shape, value)
    : e.cast(name, "int64");
};

const extreme =
  (op: string): Lowering =>
  (e, node, [x]) =>
    e.cast(e.op(op, [x!], { axis: node.attrs.axis!, keepdims: 0 }), "int32");

const slice: Lowering = (e, node, [x]) => {
  const { begin = [], strides = begin.map(() => 1) } = node.attrs;
  const axes = node.shape.flatMap((n, i) => (n === node.inputs[0]!.shape[i] && strides[i] === 1 ? [] : [i]));
  if (axes.length === 0) return x!;
  // A falling slice that reaches element 0 ends before it: a place that only a very negative number names.
  const beforeAll = -(2 ** 31);
  const end = (i: number) => {
    const last = begin[i]! + node.shape[i]! * strides[i]!;
    return last < 0 ? beforeAll : last;
  };
  const pick = (f: (i: number) => number) => e.ints(axes.map(f));
  return e.op("Slice", [x!, pick((i) => begin[i]!), pick(end), pick((i) => i), pick((i) => strides[i]!)]);
};

const reverse: Lowering = (e, node, [x]) => {
  const axes = node.attrs.axes!;
  const all = (value: number) => e.ints(axes.map(() => value));
  return e.op("Slice", [x!, all(-1), all(-(2 ** 31)), e.ints(axes), all(-1)]);
};

const topK =
  (output: 0 | 1): Lowering =>
  (e, node, [x]) => {
    const key = (i: number) => `topK${i} ${x} ${node.attrs.k}`;
    if (!e.scope.found.has(key(0))) {
      const made = e.ops("TopK", [x!, e.ints([node.attrs.k!])], 2);
      made.forEach((name, i) => {
        e.scope.found.set(key(i), name);
      });
    }
    const name = e.scope.found.get(key(output))!;
    return output === 0 ? name : e.cast(name, "int32");
  };

/** A splat larger than this is spread at run time instead of being written out. */
const writtenSplat = 64;

/** Last axes up to this length: ONNX Runtime chooses along such a short run at a fifth of the speed at which it chooses along all. */
const SHORT_RUN = 16;

/** The condition of a choice, repeated along the last axis where it has one element there and the result a few. */
function wideMask(e: Parameters<Lowering>[0], node: Node, condition: string): string {
  const [last, { shape }] = [node.shape.at(-1) ?? 1, node.inputs[0]!];
  const narrow = shape.length > 0 && shape.at(-1) === 1 && sizeOf(shape) > 1 && last > 1 && last <= SHORT_RUN;
  if (!narrow) return condition;
  const repeat = () => e.op("Concat", new Array<string>(last).fill(condition), { axis: shape.length - 1 });
  return e.once(`${condition} × ${last}`, repeat);
}

const structural: Record<string, Lowering> = {
  constant: (e, node) => {
    const type = e.typeOf(node.dtype);
    const { value } = node.attrs;
    const splat = typeof value === "number" && node.shape.reduce((a, b) => a * b, 1) > writtenSplat;
    return splat
      ? e.op("Expand", [e.constant(type, [], value), e.ints(node.shape)])
      : e.constant(type, node.shape, value!);
  },
  where: (e, node, [c, a, b]) => {
    if (node.dtype !== "bool") return e.op("Where", [wideMask(e, node, c!), a!, b!]);
    return e.op("Or", [e.op("And", [c!, a!]), e.op("And", [e.op("Not", [c!]), b!])]);
  },
  cast: (e, node, [x]) => e.cast(x!, e.typeOf(node.dtype)),
  matmul,
  argMax: extreme("ArgMax"),
  argMin: extreme("ArgMin"),
  reshape: (e, node, [x]) => e.op("Reshape", [x!, e.ints(node.shape)], { allowzero: 1 }),
  transpose: (e, node, [x]) => e.op("Transpose", [x!], { perm: node.attrs.perm! }),
  broadcast: (e, node, [x]) => e.op("Expand", [x!, e.ints(node.shape)]),
  concat: (e, node, args) => e.op("Concat", args, { axis: node.attrs.axis! }),
  slice,
  stridedSlice: slice,
  pad: (e, node, [x]) => {
    const pads = node.attrs.paddings!;
    const amounts = e.ints([...pads.map((p) => p[0]), ...pads.map((p) => p[1])]);
    return e.op("Pad", [x!, amounts, e.constant(e.typeOf(node.dtype), [], node.attrs.value!)]);
  },
  reverse,
  gather: (e, node, args) => e.op("Gather", args, { axis: node.attrs.axis! }),
  gatherND: (e, node, [x, at]) => e.op("GatherND", [x!, asInt64(e, node.inputs[1]!, at!)]),
  scatterND: (e, node, [at, updates]) => {
    const zero = e.constant(e.typeOf(node.dtype), [], 0);
    const zeros = e.op("Expand", [zero, e.ints(node.shape)]);
    return e.op("ScatterND", [zeros, asInt64(e, node.inputs[0]!, at!), updates!], { reduction: "add" });
  },
  cumsum: (e, node, [x]) =>
    e.op("CumSum", [x!, e.constant("int64", [], node.attrs.axis!)], {
      exclusive: Number(node.attrs.exclusive ?? false),
      reverse: Number(node.attrs.reverse ?? false),
    }),
  topKValues: topK(0),
  topKIndices: topK(1),
  conv2d,
  conv2dInputGrad,
  conv2dFilterGrad,
  avgPool: pool("AveragePool"),
  maxPool: pool("MaxPool"),
};

const table: Readonly<Record<string, Lowering>> = { ...unary, ...binary, ...reduce, ...structural };

/** The lowering of `op`, or an error of code `unsupported`. */
export const loweringOf = (op: Op): Lowering =>
  table[op] ?? fail("unsupported", `The compiler has no lowering of ${op}; it should have been composed.`);
