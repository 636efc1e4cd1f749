/** The graph: nodes with a static shape and a dtype. `primitives/` defines each op. */
import type { Shape } from "../../core/shape.ts";

export type DType = "float32" | "int32" | "bool";
/** Element storage of constants, inputs and outputs. Doubles stay doubles until lowering. */
export type NumericArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** Everything about a node that is not an input; each primitive uses the few fields that its constructor names. */
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
  /** Computed in single precision even in a float64 program: a first guess that its user refines. */
  readonly single?: boolean;
}

/** Shape and dtype of a value. */
export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** One value of the graph. Nodes of one builder are equal exactly when they are the same object. */
export interface Node extends TensorType {
  readonly id: number;
  /** The name of a primitive. */
  readonly op: string;
  readonly inputs: readonly Node[];
  readonly attrs: Attrs;
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

export const textOf = (shape: Shape): string => `[${shape.join(",")}]`;

/** Row-major strides. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * shape[i + 1]!;
  return strides;
}
