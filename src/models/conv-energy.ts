/** An energy of images: strided convolutions, then one number. */
import * as tf from "@tensorflow/tfjs-core";
import { checkWhole } from "../core/check.ts";
import { fail } from "../core/errors.ts";
import { showShape } from "../core/shape.ts";
import type { ParamEffect, Program } from "../effects/effects.ts";
import { convolution } from "../nn/convolution.ts";
import { type Activation, heNormal, linear, silu } from "../nn/layers.ts";

/** Options of {@link convEnergy}. */
export interface ConvEnergyOptions {
  /** Channels of the layers, each of which halves the sides. Default `[16, 32]`. */
  readonly channels?: readonly number[];
  /** Side of the kernels. Default 3. */
  readonly kernel?: number;
  /** Default {@link silu}. */
  readonly activation?: Activation;
  /** Normalises every layer by its spectral norm. Default false. */
  readonly spectralNorm?: boolean;
  /** Prefix of its parameters. Default `energy`. */
  readonly name?: string;
}

/**
 * An energy of grey-scale images, flat on the last axis, `[...batch, height·width]` → `[...batch]`.
 *
 * @example
 * const tilted = pipe(net.base, tilt("x", convEnergy([28, 28])));
 * @throws `shape` when the last axis has not height·width entries; `argument` on sides that are no positive integers.
 */
export function convEnergy(
  [height, width]: readonly [number, number],
  options: ConvEnergyOptions = {},
): (x: tf.Tensor) => Program<ParamEffect, tf.Tensor> {
  const { channels = [16, 32], kernel = 3, activation = silu, spectralNorm = false, name = "energy" } = options;
  for (const [what, side] of Object.entries({ height, width })) checkWhole("convEnergy", what, side);
  const layers = channels.map((out, i) =>
    convolution(`${name}/conv-${i}`, channels[i - 1] ?? 1, out, { kernel, stride: STRIDE, spectralNorm }),
  );
  const sides = channels.reduce(([h, w]) => [Math.ceil(h / STRIDE), Math.ceil(w / STRIDE)] as const, [
    height,
    width,
  ] as const);
  const features = sides[0] * sides[1] * (channels[channels.length - 1] ?? 1);
  const head = linear(`${name}/out`, features, 1, { spectralNorm, weightInit: heNormal });
  return function* (x) {
    if (x.shape[x.rank - 1] !== height * width)
      fail("shape", `convEnergy: expected ${height}·${width} pixels on the last axis, got shape ${showShape(x.shape)}`);
    const lead = x.shape.slice(0, -1);
    let h: tf.Tensor = tf.reshape(x, [-1, height, width, 1]);
    for (const layer of layers) h = activation(yield* layer(h));
    return tf.reshape(yield* head(tf.reshape(h, [-1, features])), lead);
  };
}

/** Of every layer: it halves the sides. */
const STRIDE = 2;
