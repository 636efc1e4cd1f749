/** How a gradient is written down: what it saves, and one expression per input, in ops that have gradients themselves. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";

/** The derivative of each input, computed when it is asked for. */
export type InputGradients = { readonly [input: string]: () => tf.Tensor };

type Saved<I extends string> = { readonly [name in I]: tf.Tensor } & { readonly y: tf.Tensor };

/**
 * The gradient of a kernel.
 *
 * @param inputs the inputs that the rule needs; `"y"` stands for the output.
 * @param rule from the derivative of the output, what was saved and the kernel's attributes to those of the inputs.
 */
export function gradient<I extends string, A = Record<string, unknown>>(
  kernelName: string,
  inputs: readonly I[],
  rule: (dy: tf.Tensor, saved: Saved<Exclude<I, "y">>, attrs: A) => InputGradients,
): tf.GradConfig {
  const names = inputs.filter((name) => name !== "y") as string[];
  const keepsOutput = names.length < inputs.length;
  return {
    kernelName,
    inputsToSave: names,
    outputsToSave: keepsOutput ? [true] : [],
    gradFunc: (dy, saved, attrs) => {
      const record: Record<string, tf.Tensor | undefined> = Object.fromEntries(
        names.map((name, i) => [name, saved[i]]),
      );
      if (keepsOutput) record.y = saved[names.length];
      return rule(dy as tf.Tensor, record as Saved<Exclude<I, "y">>, attrs as unknown as A) as ReturnType<
        tf.GradConfig["gradFunc"]
      >;
    },
  } as tf.GradConfig;
}

/** A rule for one input `x`: its derivative is `dy` times this factor of `x` and the output `y`. */
export const unary = (kernelName: string, factor: (x: tf.Tensor) => tf.Tensor): tf.GradConfig =>
  gradient(kernelName, ["x"], (dy, { x }) => ({ x: () => tf.mul(dy, factor(x)) }));

/** As {@link unary}, of the output alone. */
export const unaryOfOutput = (kernelName: string, factor: (y: tf.Tensor) => tf.Tensor): tf.GradConfig =>
  gradient(kernelName, ["y"], (dy, { y }) => ({ x: () => tf.mul(dy, factor(y)) }));

/** A kernel that is constant almost everywhere: every input has a zero derivative (a float, whatever the input's type). */
export const zeroGradient = (kernelName: string, inputs: readonly string[]): tf.GradConfig =>
  gradient(kernelName, inputs, (_, saved) =>
    Object.fromEntries(inputs.map((name) => [name, () => tf.zeros((saved as Record<string, tf.Tensor>)[name]!.shape)])),
  );

/** A kernel whose derivative tfjs gets wrong or lacks, and which has a better way to write it. */
export const refuseGradient = (kernelName: string, instead: string): tf.GradConfig => ({
  kernelName,
  gradFunc: () => fail("not-differentiable", `${kernelName} has no derivative here: ${instead}`),
});

/** Sums `x` over the axes along which `shape` was broadcast to it. */
export function unbroadcast(x: tf.Tensor, shape: readonly number[]): tf.Tensor {
  const axes = tf.broadcast_util.getReductionAxes([...shape], x.shape);
  return tf.reshape(axes.length > 0 ? tf.sum(x, axes) : x, [...shape]);
}

/** `a` as a plain list of axes, none negative. */
export const axesOf = (axis: number | number[] | undefined | null, shape: readonly number[]): number[] =>
  tf.util.parseAxisParam(axis as number[], [...shape]);

/** Runs a kernel that has no public op. */
export const kernel = (name: string, inputs: object, attrs: object = {}): tf.Tensor =>
  tf.engine().runKernel(name, inputs as tf.NamedTensorMap, attrs as tf.NamedAttrMap) as tf.Tensor;
