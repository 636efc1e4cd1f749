/** Convolutions as programs: images `[...batch, height, width, channels]`. */
import * as tf from "@tensorflow/tfjs-core";
import { ndarray } from "../core/array.ts";
import { checkWhole } from "../core/check.ts";
import { fail } from "../core/errors.ts";
import { showShape, sizeOf } from "../core/shape.ts";
import { param } from "../effects/effects.ts";
import { heNormal, type LinearOptions, type Network, spectrallyNormalized } from "./layers.ts";

/** Options of {@link convolution}. */
export interface ConvolutionOptions extends LinearOptions {
  /** Side of the square kernel. Default 3. */
  readonly kernel?: number;
  /** Default 1. With padding, a side of n becomes ⌈n/stride⌉. */
  readonly stride?: number;
}

/**
 * A two-dimensional convolution with zero padding, over the last three axes. Parameters `name/weight` `[kernel, kernel, in, out]` and
 * `name/bias` `[out]`.
 *
 * @remarks With `spectralNorm` the kernel, as a matrix `[kernel² · in, out]`, is divided by its largest singular value (Miyato et al. 2018).
 * That bounds a patch's gain by 1, and the layer's by about kernel/stride.
 * @throws `shape` when x has not `inputs` channels on its last axis.
 */
export function convolution<const N extends string>(
  name: N,
  inputs: number,
  outputs: number,
  options: ConvolutionOptions = {},
): Network<`${N}/weight` | `${N}/bias`> {
  const { kernel = 3, stride = 1, weightInit = heNormal, bias = true, spectralNorm = false } = options;
  for (const [what, value] of Object.entries({ inputs, outputs, kernel, stride }))
    checkWhole(`convolution("${name}")`, what, value);
  const fanIn = kernel * kernel * inputs;
  const shape: [number, number, number, number] = [kernel, kernel, inputs, outputs];
  return function* (x) {
    if (x.rank < 3 || x.shape[x.rank - 1] !== inputs)
      fail("shape", `layer "${name}" takes [..., height, width, ${inputs}], got shape ${showShape(x.shape)}`);
    const raw = yield* param(`${name}/weight`, (key) => ndarray(weightInit(key, fanIn, outputs).data, shape));
    const filter = spectralNorm ? tf.reshape(spectrallyNormalized(tf.reshape(raw, [fanIn, outputs])), shape) : raw;
    const lead = x.shape.slice(0, -3);
    const images = x.rank === 4 ? x : tf.reshape(x, [sizeOf(lead), ...x.shape.slice(-3)]);
    const y = tf.conv2d(images as tf.Tensor4D, filter as tf.Tensor4D, stride, "same");
    const out = x.rank === 4 ? y : tf.reshape(y, [...lead, ...y.shape.slice(1)]);
    if (!bias) return out;
    return tf.add(out, yield* param(`${name}/bias`, () => ndarray(new Float32Array(outputs))));
  };
}
