/** Functions of two elements. */
import type { Lowering } from "../onnx/emit.ts";
import { always, direct, type ElementwisePrimitive, type Operand, type Rest, scalarLike } from "./elementwise-row.ts";
import { floorMod } from "./scalar.ts";
import { atan2 } from "./special-functions.ts";
import { broadcastType } from "./types.ts";

type Row = ElementwisePrimitive;
type Meaning = (a: number, b: number) => number;

/** Arithmetic: the result has the dtype of both. */
const arithmetic = (meaning: Meaning, lower: Lowering | undefined, kernel: string, rest: Rest = {}): Row => ({
  type: broadcastType(),
  operand: "number",
  meaning,
  kernel,
  ...(lower && { lower }),
  ...rest,
});

const testing =
  (operand: Operand) =>
  (meaning: (a: number, b: number) => boolean, lower: Lowering, kernel: string): Row => ({
    type: broadcastType("bool"),
    operand,
    meaning: (a, b) => Number(meaning(a!, b!)),
    lower,
    kernel,
  });

/** Comparisons: bool out. */
const comparing = testing("number");
/** Bool in, bool out. */
const logical = testing("truth");

/** Integers are divided in doubles: exact, and division by zero does not end the process. */
const lowerFloorDiv: Lowering = (e, node, args) => {
  if (node.dtype === "float32") return e.op("Floor", [e.op("Div", args)]);
  const doubles = args.map((x) => e.cast(x, "float64"));
  return e.cast(e.op("Floor", [e.op("Div", doubles)]), "int32");
};

/** The remainder takes the sign of the divisor. */
const lowerMod: Lowering = (e, node, args) => {
  const [a, b] = args as readonly [string, string];
  if (node.dtype === "int32") return e.op("Sub", [a, e.op("Mul", [lowerFloorDiv(e, node, args), b])]);
  const rest = e.op("Mod", args, { fmod: 1 });
  const zero = scalarLike(e, node, 0);
  const negative = (x: string) => e.op("Less", [x, zero]);
  const opposite = e.op("Xor", [negative(rest), negative(b)]);
  const wrong = e.op("And", [opposite, e.op("Not", [e.op("Equal", [rest, zero])])]);
  return e.op("Where", [wrong, e.op("Add", [rest, b]), rest]);
};

const lowerSquaredDifference: Lowering = (e, _, args) => {
  const gap = e.op("Sub", args);
  return e.op("Mul", [gap, gap]);
};

export const BINARY = {
  add: arithmetic((a, b) => a + b, direct("Add"), "Add"),
  sub: arithmetic((a, b) => a - b, direct("Sub"), "Sub"),
  mul: arithmetic((a, b) => a * b, direct("Mul"), "Multiply"),
  div: arithmetic((a, b) => a / b, direct("Div"), "RealDiv"),
  pow: arithmetic((a, b) => a ** b, direct("Pow"), "Pow"),
  maximum: arithmetic(Math.max, direct("Max"), "Maximum"),
  minimum: arithmetic(Math.min, direct("Min"), "Minimum"),
  mod: arithmetic(floorMod, lowerMod, "Mod"),
  floorDiv: arithmetic((a, b) => Math.floor(a / b), lowerFloorDiv, "FloorDiv"),
  atan2: { ...arithmetic(Math.atan2, undefined, "Atan2", { decompose: always(atan2) }), operand: "real" },
  squaredDifference: arithmetic((a, b) => (a - b) * (a - b), lowerSquaredDifference, "SquaredDifference"),

  less: comparing((a, b) => a < b, direct("Less"), "Less"),
  lessEqual: comparing((a, b) => a <= b, direct("LessOrEqual"), "LessEqual"),
  greater: comparing((a, b) => a > b, direct("Greater"), "Greater"),
  greaterEqual: comparing((a, b) => a >= b, direct("GreaterOrEqual"), "GreaterEqual"),
  equal: comparing((a, b) => a === b, direct("Equal"), "Equal"),
  notEqual: comparing(
    (a, b) => a !== b,
    (e, _, args) => e.op("Not", [e.op("Equal", args)]),
    "NotEqual",
  ),

  and: logical((a, b) => a !== 0 && b !== 0, direct("And"), "LogicalAnd"),
  or: logical((a, b) => a !== 0 || b !== 0, direct("Or"), "LogicalOr"),
  xor: logical((a, b) => (a !== 0) !== (b !== 0), direct("Xor"), "LogicalXor"),
} satisfies { readonly [op: string]: ElementwisePrimitive };

export type BinaryOp = keyof typeof BINARY;
export const isBinary = (op: string): op is BinaryOp => Object.hasOwn(BINARY, op);
