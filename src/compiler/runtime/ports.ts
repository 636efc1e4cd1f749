/** Inputs and outputs of a session: arrays by name, their element types, and how much of them a run uses. */
import { fail } from "../../core/errors.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import { type NumericArray, textOf } from "../ir/node.ts";
import type { Port } from "../lower/nodes.ts";
import type { Precision } from "../onnx/emit.ts";

/** Arrays by name, row-major. Real numbers are Float32Array or Float64Array, int32 is Int32Array, bool is Uint8Array. */
export type Arrays = Readonly<Record<string, NumericArray>>;

/** The kind of array that holds elements of a type. */
export const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, bool: Uint8Array } as const;

/** An input or output with the type of its elements. */
export interface TypedPort extends Port {
  readonly type: keyof typeof ARRAYS;
}

/** Ports of a program in a precision. */
export const typedPorts = (ports: readonly Port[], precision: Precision): readonly TypedPort[] =>
  ports.map((port) => ({ ...port, type: port.dtype === "float32" ? precision : port.dtype }));

/** Numbers in one row of a port that has one an iteration. */
const rowSize = ({ shape }: Port): number => sizeOf(shape.slice(1));

/** The shape of a port in a run of so many iterations. */
export const shapeIn = (port: Port, steps: number): Shape =>
  port.perStep === true ? [steps, ...port.shape.slice(1)] : port.shape;

/** The part of an array that a run of so many iterations uses. */
export const usedIn = (port: Port, array: NumericArray, steps: number): NumericArray =>
  port.perStep === true ? array.subarray(0, steps * rowSize(port)) : array;

/** Iterations of a run: as many as its slices have rows; one for a program that does not repeat anything. */
export function stepsOf(ports: readonly Port[], inputs: Arrays): number {
  const port = ports.find(({ perStep, name }) => perStep === true && inputs[name] !== undefined);
  return port === undefined ? 1 : (inputs[port.name] as NumericArray).length / rowSize(port);
}

/**
 * An array as its port wants it: itself, or a copy of another type.
 *
 * @throws `argument` when it is missing, `shape` when its length is wrong.
 */
export function arrayFor(port: TypedPort, data: NumericArray | undefined, steps: number): NumericArray {
  if (!data) return fail("argument", `Program input ${port.name} is missing; give ${port.dtype}${textOf(port.shape)}.`);
  const isRun = port.perStep !== true || (Number.isInteger(steps) && steps <= (port.shape[0] as number));
  if (!isRun || data.length !== sizeOf(shapeIn(port, steps)))
    fail(
      "shape",
      `Program input ${port.name}: found ${data.length} elements; expected ${port.perStep === true ? `rows of ${rowSize(port)}, at most ` : ""}${sizeOf(port.shape)} for ${port.dtype}${textOf(port.shape)}.`,
    );
  const kind = ARRAYS[port.type];
  return data instanceof kind ? data : new kind(data);
}
