/**
 * Products of matrices on the wasm engine. tfjs has a fast routine for one plain product only: transposed and batched ones
 * (so every gradient) fall back to a scalar loop some fifteen times slower, and weights that were reshaped meet a cache that
 * forgot their shape. Here every product is brought to the fast routine: transposed copies, one slice of a batch at a time.
 */
import * as tf from "@tensorflow/tfjs-core";
import { type WasmBackend, wrappedKernel } from "./kernels/heap.ts";

interface MatMulAttrs {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

const size = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** The shape with which tfjs has seen the data of a right factor: its cache of packed weights knows the data only. */
const seen = new WeakMap<object, string>();

/** `count` matrices of `rows` × `columns` among the values of x. */
interface Matrices {
  readonly dataId: object;
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
}

const info = ({ dataId, count, rows, columns }: Matrices): tf.TensorInfo => ({
  dataId,
  shape: [count, rows, columns],
  dtype: "float32",
});

export const products = wrappedKernel("BatchMatMul", (original, args) => {
  const backend = args.backend as unknown as WasmBackend;
  const { a, b } = args.inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  const { transposeA = false, transposeB = false } = args.attrs as MatMulAttrs;
  const temporary: object[] = [];
  const keep = (x: tf.TensorInfo) => {
    temporary.push(x.dataId);
    return x.dataId;
  };

  const matrices = (x: tf.TensorInfo, transposed: boolean): Matrices => {
    const [rows, columns] = x.shape.slice(-2) as [number, number];
    const plain = { dataId: x.dataId, count: size(x.shape.slice(0, -2)), rows, columns };
    if (!transposed) return plain;
    const swapped = (tf.getKernel("Transpose", "wasm") as tf.KernelConfig).kernelFunc({
      inputs: { x: info(plain) },
      attrs: { perm: [0, 2, 1] },
      backend: args.backend,
    }) as tf.TensorInfo;
    return { ...plain, dataId: keep(swapped), rows: columns, columns: rows };
  };

  /** Matrix i by itself, in memory of its own. */
  const slice = (x: Matrices, i: number): Matrices => {
    const length = x.rows * x.columns;
    const copy = backend.makeOutput([1, x.rows, x.columns], "float32");
    backend.typedArrayFromHeap(copy).set(backend.typedArrayFromHeap(info(x)).subarray(i * length, (i + 1) * length));
    return { ...x, dataId: keep(copy), count: 1 };
  };

  /** A right factor whose data tfjs knows with no other shape. */
  const factor = (x: Matrices): Matrices => {
    const shape = `${x.rows}×${x.columns}`;
    const known = seen.get(x.dataId);
    if (known !== undefined && known !== shape) return slice(x, 0);
    seen.set(x.dataId, shape);
    return x;
  };

  const product = (left: Matrices, right: Matrices): tf.TensorInfo =>
    original({
      inputs: { a: info(left), b: info(factor(right)) },
      attrs: { transposeA: false, transposeB: false } as unknown as tf.NamedAttrMap,
      backend: args.backend,
    }) as tf.TensorInfo;

  try {
    const [left, right] = [matrices(a, transposeA), matrices(b, transposeB)];
    const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const shape = [...batch, left.rows, right.columns];
    if (size(shape) === 0 || left.columns === 0) {
      const empty = backend.makeOutput(shape, "float32");
      backend.typedArrayFromHeap(empty).fill(0);
      return empty;
    }
    const count = size(batch);
    if (left.count === 1 && right.count === 1) return { ...product(left, right), shape };
    const out = backend.makeOutput(shape, "float32");
    const step = left.rows * right.columns;
    const kept = temporary.length;
    for (let i = 0; i < count; i++) {
      const one = product(left.count === 1 ? left : slice(left, i), right.count === 1 ? right : slice(right, i));
      backend.typedArrayFromHeap(out).set(backend.typedArrayFromHeap(one), i * step);
      for (const id of [one.dataId, ...temporary.splice(kept)]) backend.disposeData(id);
    }
    return out;
  } finally {
    for (const id of temporary) backend.disposeData(id);
  }
});
