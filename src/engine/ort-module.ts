/** The ONNX Runtime that a program brings itself: a bundler sees the program's own import, and never that of an optional peer. */

/** The module `onnxruntime-web`, or one of its variants. */
export interface OnnxRuntimeModule {
  readonly InferenceSession: { readonly create: unknown };
  readonly Tensor: unknown;
}

/** Brings the module, when a program is compiled for the first time. */
export type OnnxRuntimeSource = () => Promise<OnnxRuntimeModule>;

let provided: OnnxRuntimeSource | undefined;

/** From now on this module is used instead of an installed `onnxruntime-web`. */
export function provideRuntime(source: OnnxRuntimeSource): void {
  provided = source;
}

export const providedRuntime = (): OnnxRuntimeSource | undefined => provided;
