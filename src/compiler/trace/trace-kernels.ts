/** The kernels of the tracing backend: each becomes nodes of the trace under way. */
import * as tf from "@tensorflow/tfjs-core";
import { FUSED_KERNELS } from "../../engine/kernels/fused.ts";
import { MIXTURE, MIXTURE_SLOPE } from "../../engine/kernels/mixture.ts";
import { mixtureSlope, mixtureValue } from "../../engine/mixture-slices.ts";
import type { Builder } from "../primitives/builder.ts";
import { KERNELS } from "../primitives/families.ts";
import type { TraceKernel, TraceKernels } from "../primitives/primitive.ts";
import { BLOCK_KERNELS } from "./block-kernels.ts";
import { NORMALISATION_KERNELS } from "./normalisation-kernels.ts";
import type { Refusals } from "./refusals.ts";
import { RESIZING_KERNELS } from "./resizing-kernels.ts";

/** What a trace does with a kernel. */
export interface KernelTracer {
  run(name: string, kernel: TraceKernel<Builder>, inputs: tf.NamedTensorInfoMap, attrs: tf.NamedAttrMap): unknown;
  readonly refusals: Pick<Refusals, "draw" | "kernel">;
}

const TRACED: TraceKernels<Builder> = {
  ...KERNELS,
  ...NORMALISATION_KERNELS,
  ...BLOCK_KERNELS,
  ...RESIZING_KERNELS,
};

/** Kernels that call ops, which are traced themselves. */
const IN_OPS: readonly Pick<tf.KernelConfig, "kernelName" | "kernelFunc">[] = [
  ...FUSED_KERNELS,
  { kernelName: MIXTURE, kernelFunc: ({ inputs }) => mixtureValue(inputs.x as tf.Tensor, inputs.rows as tf.Tensor) },
  {
    kernelName: MIXTURE_SLOPE,
    kernelFunc: ({ inputs }) => mixtureSlope(inputs.x as tf.Tensor, inputs.rows as tf.Tensor),
  },
];

/** Kernels whose result is another at every call, whatever goes into them. */
const RANDOM = new Set(["Multinomial"]);

let installed = false;

/** Registers the kernels of the tracing backend; their nodes belong to the trace under way. */
export function installTraceKernels(backendName: string, current: () => KernelTracer): void {
  if (installed) return;
  installed = true;
  const register = (kernelName: string, kernelFunc: tf.KernelFunc) =>
    tf.registerKernel({ kernelName, backendName, kernelFunc });
  for (const [name, kernel] of Object.entries(TRACED)) {
    register(name, ({ inputs, attrs }) => current().run(name, kernel, inputs, attrs ?? {}) as tf.TensorInfo);
  }
  for (const { kernelName, kernelFunc } of IN_OPS) register(kernelName, kernelFunc);
  const others = (tf.getKernelsForBackend("wasm") ?? []).map(({ kernelName }) => kernelName);
  for (const name of others.filter((other) => tf.getKernel(other, backendName) === undefined)) {
    register(name, ({ inputs, attrs }) => {
      if (RANDOM.has(name)) return current().refusals.draw(name);
      return current().run(name, () => current().refusals.kernel(name), inputs, attrs ?? {}) as tf.TensorInfo;
    });
  }
}
