/** What the rows of elementwise primitives share. */
import type { Node } from "../ir/node.ts";
import type { Emitter, Lowering, Precision } from "../onnx/emit.ts";
import type { Decomposition, Primitive } from "./primitive.ts";
import type { Algebra } from "./special-functions.ts";

/**
 * What an operand is brought to before: `real`: float32; `truth`: bool; `number`: int32 if it is bool, and two operands to the higher of
 * their dtypes (int32 < float32).
 */
export type Operand = "real" | "number" | "truth";

/** An elementwise primitive. */
export interface ElementwisePrimitive extends Primitive<Algebra> {
  readonly operand: Operand;
  readonly meaning: (...x: number[]) => number;
  /** The tfjs kernel of the same operands. */
  readonly kernel?: string;
}

/** What a row says beside its meaning and lowering. */
export type Rest = Partial<Pick<ElementwisePrimitive, "decompose" | "kernel">>;

export type Decompositions = { readonly [P in Precision]: Decomposition<Algebra> };

/** One decomposition for every precision. */
export const always = (decomposition: Decomposition<Algebra>): Decompositions => ({
  float32: decomposition,
  float64: decomposition,
});

/** One ONNX node of the same operands. */
export const direct =
  (op: string): Lowering =>
  (e, _, args) =>
    e.op(op, args);

/** A constant of the dtype of a node. */
export const scalarLike = (e: Emitter, node: Node, value: number): string =>
  e.constant(e.typeOf(node.dtype), [], value);
