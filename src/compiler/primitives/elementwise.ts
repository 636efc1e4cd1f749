/** Elementwise primitives: functions of one and two elements, choice and casts. */

import { sizeOf } from "../../core/shape.ts";
import type { Core } from "../ir/builder.ts";
import type { DType, Node } from "../ir/node.ts";
import type { Emitter } from "../onnx/emit.ts";
import { BINARY, type BinaryOp } from "./binary.ts";
import type { ElementwisePrimitive } from "./elementwise-row.ts";
import type { Constructors, Family, TraceKernel, TraceKernels } from "./primitive.ts";
import type { Algebra } from "./special-functions.ts";
import { broadcastShapes } from "./types.ts";
import { UNARY, type UnaryOp } from "./unary.ts";

export interface Elementwise extends Algebra {
  /** Real functions cast int32 and bool to float32 first. `round` is half to even, `sign(NaN)` is NaN. */
  unary(op: UnaryOp, x: Node): Node;
  /**
   * With NumPy broadcasting; operands are brought to the higher dtype (bool < int32 < float32).
   * `maximum` and `minimum` propagate NaN; `mod` and `floorDiv` round towards −∞; `div` of int32 is `floorDiv`.
   */
  binary(op: BinaryOp, a: Node, b: Node): Node;
  /** condition ? a : b, all three broadcast. */
  where(condition: Node, a: Node, b: Node): Node;
  /** To int32 truncates towards zero; to bool is x ≠ 0. */
  cast(x: Node, dtype: DType): Node;
}

/** Last axes up to this length: ONNX Runtime chooses along such a short run at a fifth of the speed at which it chooses along all. */
const SHORT_RUN = 16;

/** The condition of a choice, repeated along the last axis where it has one element there and the result a few. */
function wideMask(e: Emitter, node: Node, condition: string): string {
  const [last, { shape }] = [node.shape.at(-1) ?? 1, node.inputs[0]!];
  const narrow = shape.length > 0 && shape.at(-1) === 1 && sizeOf(shape) > 1 && last > 1 && last <= SHORT_RUN;
  if (!narrow) return condition;
  const repeat = () => e.op("Concat", new Array<string>(last).fill(condition), { axis: shape.length - 1 });
  return e.once(`${condition} × ${last}`, repeat);
}

export const ELEMENTWISE = {
  ...UNARY,
  ...BINARY,
  where: {
    type: (inputs, _, op) => ({
      shape: broadcastShapes(op, ...inputs.map((x) => x.shape)),
      dtype: inputs[1]!.dtype,
    }),
    meaning: (c, x, y) => (c ? x! : y!),
    lower: (e, node, [c, a, b]) => {
      if (node.dtype !== "bool") return e.op("Where", [wideMask(e, node, c!), a!, b!]);
      return e.op("Or", [e.op("And", [c!, a!]), e.op("And", [e.op("Not", [c!]), b!])]);
    },
  },
  cast: {
    type: ([x], attrs) => ({ shape: x!.shape, dtype: attrs.dtype! }),
    // What the value becomes in its dtype is seen to wherever it is kept.
    meaning: (x) => x!,
    lower: (e, node, [x]) => e.cast(x!, e.typeOf(node.dtype)),
  },
} satisfies Family<Algebra>;

export const cast = (b: Core, x: Node, dtype: DType): Node => (x.dtype === dtype ? x : b.emit("cast", [x], { dtype }));

const rank: Record<DType, number> = { bool: 0, int32: 1, float32: 2 };
const highest = (nodes: readonly Node[]): DType =>
  nodes.reduce<DType>((d, x) => (rank[x.dtype] > rank[d] ? x.dtype : d), "bool");

/** All brought to the highest of their dtypes. */
export const alike = (b: Core, ...xs: readonly Node[]): readonly Node[] => xs.map((x) => cast(b, x, highest(xs)));

/** Operands as an elementwise primitive takes them. */
function prepared(b: Core, { operand }: ElementwisePrimitive, xs: readonly Node[]): readonly Node[] {
  if (operand === "truth") return xs.map((x) => cast(b, x, "bool"));
  const same = alike(b, ...xs);
  if (operand === "real") return same.map((x) => cast(b, x, "float32"));
  return same[0]!.dtype === "bool" ? same.map((x) => cast(b, x, "int32")) : same;
}

export const ELEMENTWISE_CONSTRUCTORS: Constructors<Elementwise, Core> = {
  unary(op, x) {
    return this.emit(op, prepared(this, UNARY[op], [x]));
  },
  binary(op, x, y) {
    const operands = prepared(this, BINARY[op], [x, y]);
    return this.emit(op === "div" && operands[0]!.dtype === "int32" ? "floorDiv" : op, operands);
  },
  where(condition, x, y) {
    return this.emit("where", [cast(this, condition, "bool"), ...alike(this, x, y)]);
  },
  cast(x, dtype) {
    return cast(this, x, dtype);
  },
};

type Kernel = TraceKernel<Elementwise>;

/** The kernels that tfjs has of the rows of a table. */
const kernelsOf = <Op extends string>(
  table: { readonly [O in Op]: ElementwisePrimitive },
  kernel: (op: Op) => Kernel,
): TraceKernels<Elementwise> =>
  Object.fromEntries(
    (Object.entries(table) as [Op, ElementwisePrimitive][]).flatMap(([op, row]) =>
      row.kernel === undefined ? [] : [[row.kernel, kernel(op)]],
    ),
  );

const scalar = (b: Elementwise, value: number, like: Node): Node => b.constant(value, [], like.dtype);

/** x where positive, `slope`·x elsewhere. */
const leaky = (b: Elementwise, x: Node, slope: Node): Node =>
  b.where(b.binary("greater", x, scalar(b, 0, x)), x, b.binary("mul", x, slope));

const clamp = (b: Elementwise, x: Node, low: number, high: number): Node =>
  b.binary("minimum", b.binary("maximum", x, scalar(b, low, x)), scalar(b, high, x));

export const ELEMENTWISE_KERNELS: TraceKernels<Elementwise> = {
  ...kernelsOf(
    UNARY,
    (op): Kernel =>
      (b, { x }) =>
        b.unary(op, x!),
  ),
  ...kernelsOf(
    BINARY,
    (op): Kernel =>
      (b, inputs) =>
        b.binary(op, inputs.a!, inputs.b!),
  ),
  Select: (b, { condition, t, e }) => b.where(condition!, t!, e!),
  Cast: (b, { x }, { dtype }: { dtype: DType }) => b.cast(x!, dtype),
  Identity: (_, { x }) => x!,
  AddN: (b, inputs) => Object.values(inputs).reduce((sum, term) => b.binary("add", sum, term)),
  ClipByValue: (b, { x }, { clipValueMin, clipValueMax }: { clipValueMin: number; clipValueMax: number }) =>
    clamp(b, x!, clipValueMin, clipValueMax),
  Relu6: (b, { x }) => clamp(b, x!, 0, 6),
  LeakyRelu: (b, { x }, { alpha }: { alpha: number }) => leaky(b, x!, b.constant(alpha)),
  Prelu: (b, { x, alpha }) => leaky(b, x!, alpha!),
  Step: (b, { x }, { alpha }: { alpha: number }) => {
    const positive = b.binary("greater", x!, scalar(b, 0, x!));
    return alpha === 0 ? b.cast(positive, "float32") : b.where(positive, b.constant(1), b.constant(alpha));
  },
  OnesLike: (b, { x }) => b.constant(1, x!.shape, x!.dtype),
  ZerosLike: (b, { x }) => b.constant(0, x!.shape, x!.dtype),
};
