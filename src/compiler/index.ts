/** `tilted/compile`: functions of tensors as compiled programs, and values that the host computes for every run of one. */
export { currentArray, hostTensor } from "../core/tracing.ts";
export {
  type Compiled,
  type CompiledInput,
  type CompiledOutput,
  type CompileOptions,
  compile,
  type Float64NdArray,
  type Step,
} from "./compile.ts";
export type { Precision } from "./onnx/emit.ts";
