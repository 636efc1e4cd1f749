/** Kernels written in TypeScript over the memory (heap) of the wasm engine, which they read and write in place. */
import * as tf from "@tensorflow/tfjs-core";

export type Values = Float32Array | Int32Array | Uint8Array;

/** What these kernels use of tfjs's wasm backend. */
export interface WasmBackend {
  makeOutput(shape: readonly number[], dtype: tf.DataType): tf.TensorInfo;
  typedArrayFromHeap(info: tf.TensorInfo): Values;
  disposeData(id: object): boolean;
  /** One more tensor has this data. */
  incRef(id: object): void;
}

/** A tensor with the data of another: nothing writes to a tensor's data once it is there. */
export function share(backend: WasmBackend, { dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo {
  backend.incRef(dataId);
  return { dataId, shape, dtype };
}

export type Inputs = { readonly [name: string]: tf.TensorInfo };

/**
 * A wasm kernel written in TypeScript over the heap.
 *
 * @remarks Take views of the heap only after the last `makeOutput`: an allocation may grow and so move the heap.
 */
export const heapKernel = <A>(
  kernelName: string,
  run: (backend: WasmBackend, inputs: Inputs, attrs: A) => tf.TensorInfo,
): tf.KernelConfig => ({
  kernelName,
  backendName: "wasm",
  kernelFunc: ({ inputs, attrs, backend }) =>
    run(backend as unknown as WasmBackend, inputs as Inputs, attrs as unknown as A),
});

/** A wasm kernel composed of ops; the tape is off inside a kernel, so its gradient is registered apart. */
export const composedKernel = <A>(
  kernelName: string,
  run: (inputs: { readonly [name: string]: tf.Tensor }, attrs: A) => tf.Tensor,
): tf.KernelConfig => ({
  kernelName,
  backendName: "wasm",
  kernelFunc: ({ inputs, attrs }) =>
    tf.tidy(() => run(inputs as unknown as { readonly [name: string]: tf.Tensor }, attrs as unknown as A)),
});

/** A kernel in front of tfjs's own, which it may call. */
export interface Wrapper {
  readonly kernelName: string;
  readonly wrap: (original: tf.KernelConfig) => tf.KernelConfig;
}

export const wrappedKernel = (
  kernelName: string,
  run: (original: tf.KernelFunc, args: Parameters<tf.KernelFunc>[0]) => ReturnType<tf.KernelFunc>,
): Wrapper => ({
  kernelName,
  wrap: (original) => ({ ...original, kernelFunc: (args) => run(original.kernelFunc, args) }),
});
