/** Elementwise kernels in which a NaN must stay a NaN, and others that tfjs's wasm backend gets wrong for some elements. */
import * as tf from "@tensorflow/tfjs-core";
import { composedKernel, heapKernel, type Inputs, type Values, type Wrapper, wrappedKernel } from "./heap.ts";

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
  if (a.length === n && b.length === n) {
    for (let i = 0; i < n; i++) out[i] = f(a[i] as number, b[i] as number);
    return;
  }
  if (a.length === n && b.length === 1) {
    const y = b[0] as number;
    for (let i = 0; i < n; i++) out[i] = f(a[i] as number, y);
    return;
  }
  if (b.length === n && a.length === 1) {
    const x = a[0] as number;
    for (let i = 0; i < n; i++) out[i] = f(x, b[i] as number);
    return;
  }
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

const binary = (name: string, f: (a: number, b: number) => number): tf.KernelConfig =>
  heapKernel(name, (backend, inputs) => {
    const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
    const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const out = backend.makeOutput(shape, a.dtype);
    const [va, vb, vo] = [a, b, out].map((info) => backend.typedArrayFromHeap(info)) as [Values, Values, Values];
    broadcastInto(vo, va, vb, f, [shape, a.shape, b.shape]);
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

const unary = <A>(name: string, f: (x: number, attrs: A) => number): tf.KernelConfig =>
  heapKernel<A>(name, (backend, inputs: Inputs, attrs) => {
    const x = inputs.x as tf.TensorInfo;
    const out = backend.makeOutput(x.shape, x.dtype);
    const values = backend.typedArrayFromHeap(x);
    const to = backend.typedArrayFromHeap(out);
    for (let i = 0; i < to.length; i++) to[i] = f(values[i] as number, attrs);
    return out;
  });

/** A NaN is neither below nor above, and so stays. */
function clamp(x: number, low: number, high: number): number {
  if (x < low) return low;
  return Math.min(x, high);
}

export const ELEMENTWISE_KERNELS: readonly tf.KernelConfig[] = [
  // max(1, NaN) is 1 in tfjs on wasm: a NaN would vanish.
  binary("Maximum", Math.max),
  binary("Minimum", Math.min),
  unary<{ clipValueMin: number; clipValueMax: number }>("ClipByValue", (x, attrs) =>
    clamp(x, attrs.clipValueMin, attrs.clipValueMax),
  ),
  unary("Relu6", (x) => clamp(x, 0, 6)),
  // tfjs takes a number below 1e−7 for zero.
  unary("Sign", Math.sign),
  // tfjs does not broadcast alpha, and reads beyond its end.
  composedKernel("Prelu", ({ x, alpha }) => {
    const positive = tf.greater(x as tf.Tensor, 0);
    return tf.where(positive, x as tf.Tensor, tf.mul(x as tf.Tensor, alpha as tf.Tensor));
  }),
];

/** The truth of a float: tfjs truncates it first, so that one half is false. */
export const castToBool = wrappedKernel("Cast", (original, args) => {
  const x = args.inputs.x as tf.Tensor;
  const { dtype } = args.attrs as unknown as { dtype: tf.DataType };
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
