/**
 * Products of matrices on the wasm engine. tfjs has a fast routine for one plain product only: transposed and batched ones
 * (so every gradient) fall back to a scalar loop some fifteen times slower, and weights that were reshaped meet a cache that
 * forgot their shape. Here they run in loops of our own; where those cannot run, or where tfjs's threads are faster, every
 * product is brought to the fast routine: transposed copies, one slice of a batch at a time.
 */
import { getThreadsCount } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { sizeOf } from "../core/shape.ts";
import { hasFusedProducts } from "../core/simd/assembler.ts";
import { type WasmBackend, wrappedKernel } from "./kernels/heap.ts";
import { gemmLoops, TILE_COLUMNS, TILE_ROWS } from "./wasm/gemm.ts";
import { type Native, type NativeBackend, nativeLoops } from "./wasm/memory.ts";

type Backend = WasmBackend & NativeBackend;

interface MatMulAttrs {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** `count` matrices of `rows` × `columns`, each stored as its transpose if `transposed`. */
interface Factor {
  readonly dataId: object;
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
  readonly transposed: boolean;
}

function factor({ dataId, shape }: tf.TensorInfo, transposed: boolean): Factor {
  const [first, second] = shape.slice(-2) as [number, number];
  const [rows, columns] = transposed ? [second, first] : [first, second];
  return { dataId, count: sizeOf(shape.slice(0, -2)), rows, columns, transposed };
}

/** As stored. */
const info = ({ dataId, count, rows, columns, transposed }: Factor): tf.TensorInfo => ({
  dataId,
  shape: transposed ? [count, columns, rows] : [count, rows, columns],
  dtype: "float32",
});

/** Rows, depth and columns of a block: its packed left part stays in the second-level cache, one panel of the right in the first. */
const BLOCK_ROWS = 128;
const BLOCK_DEPTH = 512;
const BLOCK_COLUMNS = 1024;
const FLOAT = 4;

const ceil = (x: number, unit: number): number => Math.ceil(x / unit) * unit;

/** Addresses of the factors and of the product. */
interface Addresses {
  readonly a: number;
  readonly b: number;
  readonly out: number;
}

/** out = a·b for one pair, block by block. */
function multiply({ run, workspace }: Native, left: Factor, right: Factor, { a, b, out }: Addresses): void {
  const [m, depth, n] = [left.rows, left.columns, right.columns];
  const most = {
    rows: Math.min(m, BLOCK_ROWS),
    depth: Math.min(depth, BLOCK_DEPTH),
    columns: Math.min(n, BLOCK_COLUMNS),
  };
  const tile = TILE_ROWS * TILE_COLUMNS * FLOAT;
  const leftBytes = ceil(most.rows, TILE_ROWS) * most.depth * FLOAT;
  const rightBytes = ceil(most.columns, TILE_COLUMNS) * most.depth * FLOAT;
  const scratch = workspace(tile + leftBytes + rightBytes);
  const leftPanels = scratch + tile;
  const rightPanels = leftPanels + leftBytes;
  for (let j = 0; j < n; j += BLOCK_COLUMNS) {
    const columns = Math.min(BLOCK_COLUMNS, n - j);
    for (let l = 0; l < depth; l += BLOCK_DEPTH) {
      const part = Math.min(BLOCK_DEPTH, depth - l);
      if (right.transposed) run.packColumns8?.(b + (j * depth + l) * FLOAT, rightPanels, part, columns, depth);
      else run.packRows8?.(b + (l * n + j) * FLOAT, rightPanels, part, columns, n);
      for (let i = 0; i < m; i += BLOCK_ROWS) {
        const rows = Math.min(BLOCK_ROWS, m - i);
        if (left.transposed) run.packRows4?.(a + (l * m + i) * FLOAT, leftPanels, part, rows, m);
        else run.packColumns4?.(a + (i * depth + l) * FLOAT, leftPanels, part, rows, depth);
        const to = out + (i * n + j) * FLOAT;
        run.multiply?.(leftPanels, rightPanels, to, rows, columns, part, n, l > 0 ? 1 : 0, scratch);
      }
    }
  }
}

/** Every product of a batch, by the SIMD loops. */
function multiplyAll(backend: Backend, native: Native, left: Factor, right: Factor, out: tf.TensorInfo): void {
  const [a, b, to] = [left, right, out].map(({ dataId }) => backend.getMemoryOffset(dataId)) as [
    number,
    number,
    number,
  ];
  if (right.count === 1 && !left.transposed) {
    // Rows of a batch are rows.
    multiply(native, { ...left, rows: left.rows * left.count }, right, { a, b, out: to });
    return;
  }
  const step = ({ count, rows, columns }: Factor) => (count === 1 ? 0 : rows * columns * FLOAT);
  const outStep = left.rows * right.columns * FLOAT;
  const count = Math.max(left.count, right.count);
  for (let i = 0; i < count; i++) {
    multiply(native, left, right, { a: a + i * step(left), b: b + i * step(right), out: to + i * outStep });
  }
}

/** The shape under which tfjs has cached the data of a right factor: its cache of packed weights is keyed by the data only. */
const cachedShape = new WeakMap<object, string>();

/** The same through tfjs's own routine: `plain` multiplies two matrices that are neither transposed nor in a batch. */
function multiplyByParts(
  backend: Backend,
  plain: tf.KernelFunc,
  left: Factor,
  right: Factor,
  out: tf.TensorInfo,
): void {
  const temporary: object[] = [];
  const keep = (x: tf.TensorInfo): object => {
    temporary.push(x.dataId);
    return x.dataId;
  };
  const upright = (x: Factor): Factor => {
    if (!x.transposed) return x;
    const { kernelFunc } = tf.getKernel("Transpose", "wasm") as tf.KernelConfig;
    const copy = kernelFunc({ inputs: { x: info(x) }, attrs: { perm: [0, 2, 1] }, backend }) as tf.TensorInfo;
    return { ...x, dataId: keep(copy), transposed: false };
  };
  /** Matrix i by itself, as a copy. */
  const slice = (x: Factor, i: number): Factor => {
    const length = x.rows * x.columns;
    const copy = backend.makeOutput([1, x.rows, x.columns], "float32");
    backend.typedArrayFromHeap(copy).set(backend.typedArrayFromHeap(info(x)).subarray(i * length, (i + 1) * length));
    return { ...x, dataId: keep(copy), count: 1 };
  };
  /** A right factor whose data tfjs has cached under no other shape. */
  const known = (x: Factor): Factor => {
    const shape = `${x.rows}×${x.columns}`;
    const before = cachedShape.get(x.dataId);
    if (before !== undefined && before !== shape) return slice(x, 0);
    cachedShape.set(x.dataId, shape);
    return x;
  };
  try {
    const [a, b] = [upright(left), upright(right)];
    const step = a.rows * b.columns;
    const kept = temporary.length;
    for (let i = 0; i < Math.max(a.count, b.count); i++) {
      const one = a.count === 1 ? a : slice(a, i);
      const other = known(b.count === 1 ? b : slice(b, i));
      const attrs = { transposeA: false, transposeB: false };
      const product = plain({ inputs: { a: info(one), b: info(other) }, attrs, backend }) as tf.TensorInfo;
      backend.typedArrayFromHeap(out).set(backend.typedArrayFromHeap(product), i * step);
      for (const id of [product.dataId, ...temporary.splice(kept)]) backend.disposeData(id);
    }
  } finally {
    for (const id of temporary) backend.disposeData(id);
  }
}

// Fused or not, rounding is within the bound of a product; the last bits differ between machines with and without.
const fused = hasFusedProducts();
const loops = nativeLoops(() => gemmLoops(fused));

/** Fewest multiplications for which tfjs's threads pay. */
const MIN_THREADED_SIZE = 2 ** 23;
/** So many threads of tfjs are slower than one of ours. */
const SLOWER_THREADS = fused ? 2 : 1;

const isThreaded = ({ rows, columns }: Factor, right: Factor): boolean =>
  getThreadsCount() > SLOWER_THREADS && !right.transposed && rows * columns * right.columns >= MIN_THREADED_SIZE;

/** BatchMatMul of factors whose batches are alike, or single. */
export const products = wrappedKernel("BatchMatMul", (original, args) => {
  const backend = args.backend as unknown as Backend;
  const { a, b } = args.inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  const { transposeA = false, transposeB = false } = args.attrs as MatMulAttrs;
  const [left, right] = [factor(a, transposeA), factor(b, transposeB)];
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const out = backend.makeOutput([...batch, left.rows, right.columns], "float32");
  if (sizeOf(out.shape) === 0) return out;
  if (left.columns === 0) {
    backend.typedArrayFromHeap(out).fill(0);
    return out;
  }
  const native = loops(backend);
  if (native === undefined || isThreaded(left, right)) multiplyByParts(backend, original, left, right, out);
  else multiplyAll(backend, native, left, right, out);
  return out;
});
