/** The ONNX Runtime module that the user passes in: a bundler sees the user's own import, and never that of an optional peer. */

/** The module `onnxruntime-web`, or one of its variants. */
export interface OnnxRuntimeModule {
  readonly InferenceSession: { readonly create: unknown };
  readonly Tensor: unknown;
}

/** Imports the module; called when something is compiled for the first time. */
export type OnnxRuntimeSource = () => Promise<OnnxRuntimeModule>;

let userRuntime: OnnxRuntimeSource | undefined;

/** From now on this module is used instead of an installed `onnxruntime-web`. */
export function setOnnxRuntime(source: OnnxRuntimeSource): void {
  userRuntime = source;
}

export const userOnnxRuntime = (): OnnxRuntimeSource | undefined => userRuntime;
