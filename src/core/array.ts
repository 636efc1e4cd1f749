/** What a user keeps: a typed array with a shape. It needs no disposal and survives every scope. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "./errors.ts";
import { type Shape, showShape, sizeOf } from "./shape.ts";

/** Element types of arrays. Booleans are `int32` zeros and ones. */
export type DType = "float32" | "int32";

/** Data with a shape, in row-major order, outside any engine. */
export interface NdArray {
  readonly data: Float32Array | Int32Array;
  readonly shape: Shape;
  readonly dtype: DType;
  /** A tensor with these values, owned by the caller's scope. */
  tensor(): tf.Tensor;
}

/**
 * Wraps typed data. The data is not copied.
 *
 * @throws `shape` when the length is not the product of the shape.
 */
export function ndarray(data: Float32Array | Int32Array, shape: Shape = [data.length]): NdArray {
  if (data.length !== sizeOf(shape)) fail("shape", `${data.length} values cannot fill shape ${showShape(shape)}`);
  const dtype = data instanceof Int32Array ? "int32" : "float32";
  // tf.tensor of a typed array shares it lazily; a copy keeps a later write by the caller out of the engine.
  return { data, shape: [...shape], dtype, tensor: () => tf.tensor(data.slice(), [...shape], dtype) };
}

/** Copies a tensor's values out of the engine. */
export function fromTensor(tensor: tf.Tensor): NdArray {
  const data = tensor.dataSync();
  if (tensor.dtype === "bool") return ndarray(Int32Array.from(data as Uint8Array), tensor.shape);
  return ndarray((data as Float32Array | Int32Array).slice(), tensor.shape);
}

/** What a public function accepts as numbers: a number, a tensor, or an {@link NdArray}. */
export type ArrayLike = number | tf.Tensor | NdArray;

/**
 * A tensor of the given value in the current scope; a tensor passes through.
 *
 * @throws `argument` for anything else, plain and typed arrays too: they do not say which shape and type is meant.
 */
export function toTensor(value: ArrayLike): tf.Tensor {
  if (typeof value === "number") return tf.scalar(value);
  if (value instanceof tf.Tensor) return value;
  if (typeof value?.tensor === "function") return value.tensor();
  return fail(
    "argument",
    `expected a number, a tensor, or an array with a shape, got ${describe(value)}; write ndarray(Float32Array.of(1, 2)), ndarray(data, shape), or tf.tensor(...)`,
  );
}

/** What a value is, in a few words. */
function describe(value: unknown): string {
  if (Array.isArray(value)) return `a plain array of length ${value.length}`;
  if (ArrayBuffer.isView(value)) return `a bare ${value.constructor.name}`;
  return value === null || typeof value !== "object" ? String(value) : "an object";
}
