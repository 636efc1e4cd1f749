/** Elementwise kernels in which a NaN must stay a NaN, and others that tfjs's wasm backend gets wrong for some elements. */
import * as tf from "@tensorflow/tfjs-core";
import { SELU_SCALE, SELU_SCALE_ALPHA } from "../gradients/elementwise.ts";
import {
  composedKernel,
  heapKernel,
  share,
  type Values,
  type WasmBackend,
  type Wrapper,
  wrappedKernel,
} from "./heap.ts";

/** out = f(a, b) with broadcasting. */
function broadcastInto(
  out: Values,
  a: Values,
  b: Values,
  f: (a: number, b: number) => number,
  shapes: readonly number[][],
): void {
  const [outShape, aShape, bShape] = shapes as [number[], number[], number[]];
  const n = out.length;
  const stride = (shape: number[]) => {
    const strides = tf.util.computeStrides(shape).concat(shape.length > 0 ? [1] : []);
    return outShape.map((_, axis) => {
      const own = axis - (outShape.length - shape.length);
      return own < 0 || shape[own] === 1 ? 0 : (strides[own] as number);
    });
  };
  const [sa, sb] = [stride(aShape), stride(bShape)];
  const rank = outShape.length;
  const index = new Int32Array(rank);
  let ia = 0;
  let ib = 0;
  for (let i = 0; i < n; i++) {
    out[i] = f(a[ia] as number, b[ib] as number);
    for (let axis = rank - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      ia += sa[axis] as number;
      ib += sb[axis] as number;
      if ((index[axis] as number) < (outShape[axis] as number)) break;
      ia -= (sa[axis] as number) * (outShape[axis] as number);
      ib -= (sb[axis] as number) * (outShape[axis] as number);
      index[axis] = 0;
    }
  }
}

type SameShape = (out: Float32Array, a: Float32Array, b: Float32Array) => void;

const binary = (name: string, f: (a: number, b: number) => number, quick?: SameShape): tf.KernelConfig =>
  heapKernel(name, (backend, inputs) => {
    const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
    const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const out = backend.makeOutput(shape, a.dtype);
    const [va, vb, vo] = [a, b, out].map((info) => backend.typedArrayFromHeap(info)) as [Values, Values, Values];
    const plain = [va, vb].every((values) => values.length === vo.length || values.length === 1);
    if (quick && plain && a.dtype === "float32") quick(vo as Float32Array, va as Float32Array, vb as Float32Array);
    else broadcastInto(vo, va, vb, f, [shape, a.shape, b.shape]);
    return out;
  });

/** XNNPACK's binary kernels have this many axes; beyond, tfjs prints a line and returns uninitialised memory. */
const MAX_RANK = 6;

const highRank = (name: string, f: (a: number, b: number) => number): Wrapper => {
  const ours = binary(name, f);
  return wrappedKernel(name, (original, args) => {
    const { a, b } = args.inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
    return (Math.max(a.shape.length, b.shape.length) > MAX_RANK ? ours.kernelFunc : original)(args);
  });
};

/** The reciprocal of the smallest positive float32, 2⁻¹⁴⁹, in double precision. */
const SATURATE = 2 ** 149;

/** The larger for sign 1, the smaller for sign −1; a NaN wins. One loop for both, which the engine compiles once. */
function extremes(out: Float32Array, a: Float32Array, b: Float32Array, sign: number): void {
  const stepA = a.length === 1 ? 0 : 1;
  const stepB = b.length === 1 ? 0 : 1;
  for (let i = 0, ia = 0, ib = 0; i < out.length; i++, ia += stepA, ib += stepB) {
    out[i] = sign * Math.max(sign * (a[ia] as number), sign * (b[ib] as number));
  }
}

const extreme = (name: string, sign: 1 | -1): tf.KernelConfig => {
  const pick = sign === 1 ? Math.max : Math.min;
  return binary(name, pick, (out, a, b) => extremes(out, a, b, sign));
};

/** Math.max and Math.min keep a NaN. */
function clampInto(out: Float32Array, x: Float32Array, low: number, high: number): void {
  for (let i = 0; i < out.length; i++) out[i] = Math.min(Math.max(x[i] as number, low), high);
}

/** Whether every element is finite: 0 · x is 0 for those and NaN for the rest. */
function allFinite(x: Float32Array): boolean {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < x.length; i += 4) {
    a += (x[i] as number) * 0;
    b += (x[i + 1] as number) * 0;
    c += (x[i + 2] as number) * 0;
    d += (x[i + 3] as number) * 0;
  }
  for (; i < x.length; i++) a += (x[i] as number) * 0;
  return a + b + c + d === 0;
}

/** ±1, or x itself where it is zero or NaN: a large multiple of a float32, clamped, without branches. */
function signInto(out: Float32Array, x: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = Math.min(Math.max((x[i] as number) * SATURATE, -1), 1);
}

/** A function of one float element, in a loop of ours where tfjs's kernel is wrong for some of the elements. */
const unary = <A>(
  name: string,
  rightFor: (x: Float32Array) => boolean,
  run: (out: Float32Array, x: Float32Array, attrs: A) => void,
): Wrapper =>
  wrappedKernel(name, (original, args) => {
    const x = args.inputs.x as tf.TensorInfo;
    const backend = args.backend as unknown as WasmBackend;
    if (x.dtype !== "float32" || rightFor(backend.typedArrayFromHeap(x) as Float32Array)) return original(args);
    const out = backend.makeOutput(x.shape, x.dtype);
    const [to, from] = [out, x].map((info) => backend.typedArrayFromHeap(info)) as [Float32Array, Float32Array];
    run(to, from, args.attrs as unknown as A);
    return out;
  });

type ClipAttrs = { readonly clipValueMin: number; readonly clipValueMax: number };

/** Kernels in which a NaN must stay one, and the sign of a small number its sign (tfjs takes it for zero below 1e−7). */
export const UNARY: readonly Wrapper[] = [
  unary<ClipAttrs>("ClipByValue", allFinite, (out, x, { clipValueMin, clipValueMax }) =>
    clampInto(out, x, clipValueMin, clipValueMax),
  ),
  unary("Relu6", allFinite, (out, x) => clampInto(out, x, 0, 6)),
  unary("Sign", () => false, signInto),
];

/** tfjs copies the data, for every tensor that a gradient keeps. */
const identity = heapKernel("Identity", (backend, { x }) => share(backend, x as tf.TensorInfo));

export const ELEMENTWISE_KERNELS: readonly tf.KernelConfig[] = [
  identity,
  // max(1, NaN) is 1 in tfjs on wasm: a NaN would vanish.
  extreme("Maximum", 1),
  extreme("Minimum", -1),
  // tfjs does not broadcast alpha, and reads beyond its end.
  composedKernel("Prelu", ({ x, alpha }) => {
    const positive = tf.greater(x as tf.Tensor, 0);
    return tf.where(positive, x as tf.Tensor, tf.mul(x as tf.Tensor, alpha as tf.Tensor));
  }),
  // tfjs subtracts 1 from the exponential, and is 0 near 0.
  composedKernel("Selu", ({ x }) => {
    const negative = tf.mul(tf.expm1(tf.minimum(x as tf.Tensor, 0)), SELU_SCALE_ALPHA);
    return tf.add(tf.mul(tf.relu(x as tf.Tensor), SELU_SCALE), negative);
  }),
  // tfjs writes whole numbers, whatever the type.
  heapKernel<{ depth: number; onValue: number; offValue: number; dtype: tf.DataType }>(
    "OneHot",
    (backend, { indices }, { depth, onValue, offValue, dtype }) => {
      const { shape } = indices as tf.TensorInfo;
      const out = backend.makeOutput([...shape, depth], dtype);
      const [places, values] = [indices as tf.TensorInfo, out].map((info) => backend.typedArrayFromHeap(info));
      values?.fill(offValue);
      places?.forEach((place: number, row: number) => {
        if (place >= 0 && place < depth && values !== undefined) values[row * depth + place] = onValue;
      });
      return out;
    },
  ),
];

/** The truth of a float: tfjs truncates it first, so that one half is false. A cast to the same type takes no copy. */
export const castToBool = wrappedKernel("Cast", (original, args) => {
  const x = args.inputs.x as tf.Tensor;
  const { dtype } = args.attrs as unknown as { dtype: tf.DataType };
  if (dtype === x.dtype) return share(args.backend as unknown as WasmBackend, x);
  if (dtype === "bool" && x.dtype === "float32") return tf.notEqual(x, tf.scalar(0));
  return original(args);
});

/** Arithmetic of tensors with more than six axes. */
export const HIGH_RANK: readonly Wrapper[] = [
  highRank("Add", (a, b) => a + b),
  highRank("Sub", (a, b) => a - b),
  highRank("Multiply", (a, b) => a * b),
  highRank("RealDiv", (a, b) => a / b),
  highRank("SquaredDifference", (a, b) => (a - b) ** 2),
];
