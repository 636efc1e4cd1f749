/** What autoencoders with a Gaussian latent share: the prior, the last layer of the encoder, the plate of their data. */
import * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { showShape } from "../core/shape.ts";
import type { Distribution } from "../dist/distribution.ts";
import { normal } from "../dist/index.ts";
import type { ParamEffect, PlateEffect, Program } from "../effects/effects.ts";
import type { PlateOptions } from "../effects/plate.ts";
import type { Posteriors } from "../inference/problem/latent-variable.ts";
import { linear, type WeightInit } from "../nn/layers.ts";

/** Effects of a program that works on rows: its sites, parameters and the plate `data`. */
export type InDataPlate<Sites> = Sites | ParamEffect | PlateEffect<"data">;

/** N(0, I) in `n` dimensions. */
export const standardNormal = (n: number): Distribution => normal(tf.zeros([n]), 1).event(1);

/** Smallest standard deviation of q(z|x): keeps its log-density finite in float32. */
const MIN_SCALE = 1e-4;

/** From the last hidden layer `[...batch, width]` to q(z|x) = N(loc, scale²): parameters `encoder/loc` and `encoder/scale`. */
export function encoderHead(
  width: number,
  latent: number,
  weightInit: WeightInit,
): (h: tf.Tensor) => Program<ParamEffect, Posteriors<tf.Tensor>> {
  const loc = linear("encoder/loc", width, latent, { weightInit });
  const scale = linear("encoder/scale", width, latent, { weightInit });
  return function* (h) {
    return { loc: yield* loc(h), scale: tf.add(tf.softplus(yield* scale(h)), MIN_SCALE) };
  };
}

/**
 * Size and options of a plate over the rows of arrays `[n, features]`.
 *
 * @param batch - Rows of a minibatch; `undefined` is all.
 * @throws `shape` naming the array that has another shape.
 */
export function dataPlate(
  what: string,
  arrays: { readonly data: NdArray; readonly mask?: NdArray },
  features: number,
  batch: number | undefined,
): readonly [size: number, options: PlateOptions] {
  const n = arrays.data.shape[0] as number;
  for (const [name, { shape }] of Object.entries(arrays))
    if (shape.length !== 2 || shape[1] !== features || shape[0] !== n)
      fail("shape", `${what}: expected ${name} of shape [n, ${features}], got ${showShape(shape)}`);
  return [n, batch === undefined ? {} : { subsample: batch }];
}
