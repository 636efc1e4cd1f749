/** Kernels of tfjs's wasm backend that are missing or wrong and have no repair: calling one is an error that says what to write instead. */
import type * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";

const COMPLEX = "the wasm engine has no complex numbers; keep real and imaginary parts as two tensors";
const CONV3D = "tfjs's gradient of it is wrong; fold one axis into the batch and use conv2d";

const ADVICE: { readonly [kernelName: string]: string } = {
  Complex: COMPLEX,
  ComplexAbs: COMPLEX,
  FFT: COMPLEX,
  IFFT: COMPLEX,
  Real: COMPLEX,
  Imag: COMPLEX,
  Dilation2D: "tfjs takes negative maxima for zero; write it as a maximum over shifted slices",
  Dilation2DBackpropInput: "see Dilation2D",
  Dilation2DBackpropFilter: "see Dilation2D",
  Conv3DBackpropInputV2: CONV3D,
  Conv3DBackpropFilterV2: CONV3D,
};

export const UNSUPPORTED_KERNELS: readonly tf.KernelConfig[] = Object.entries(ADVICE).map(([kernelName, why]) => ({
  kernelName,
  backendName: "wasm",
  kernelFunc: () => fail("unsupported", `${kernelName}: ${why}`),
}));
