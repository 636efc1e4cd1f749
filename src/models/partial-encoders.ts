/**
 * Encoders of incomplete data. The summary of a datum is a function of its observed entries alone: whatever number, or NaN, is in the place of
 * a missing entry contributes nothing.
 */
import * as tf from "@tensorflow/tfjs-core";
import { ndarray } from "../core/array.ts";
import { type ParamEffect, type Program, param } from "../effects/effects.ts";
import { heNormal, linear } from "../nn/layers.ts";

/** A summary `[...batch, width]` of data and mask `[...batch, features]`. */
export interface PartialEncoder {
  /** Width of the summary. */
  readonly width: number;
  readonly program: (x: tf.Tensor, mask: tf.Tensor) => Program<ParamEffect, tf.Tensor>;
}

/** Makes an encoder for data of so many features. */
export type PartialEncoding = (features: number) => PartialEncoder;

/** The data with `instead` where nothing was observed. */
export const filled = (x: tf.Tensor, mask: tf.Tensor, instead: tf.Tensor | number): tf.Tensor =>
  tf.where(tf.cast(mask, "bool"), x, typeof instead === "number" ? tf.fill(x.shape, instead) : instead);

/** Missing entries are 0 (the mean of standardised data), as MIWAE has it; with `mask` the mask is concatenated to the data. */
export const zeroFilled =
  ({ mask: withMask = false }: { readonly mask?: boolean } = {}): PartialEncoding =>
  (features) => ({
    width: withMask ? 2 * features : features,
    *program(x, mask) {
      const zero = filled(x, mask, 0);
      return withMask ? tf.concat([zero, tf.cast(mask, "float32")], -1) : zero;
    },
  });

/** Missing entries are a learnt constant for each feature. */
export const learntConstant = (): PartialEncoding => (features) => ({
  width: features,
  *program(x, mask) {
    const constant = yield* param("encoder/constant", () => ndarray(new Float32Array(features)));
    return filled(x, mask, tf.broadcastTo(constant, x.shape));
  },
});

/** Options of {@link pointNet}. */
export interface PointNetOptions {
  /** Length of each feature's embedding. Default 10. */
  readonly embedding?: number;
  /** Width of the summary. Default 64. */
  readonly width?: number;
  /** `concat`: h([x_j, e_j]); `product`: h(x_j·e_j). Default `concat`. */
  readonly form?: "concat" | "product";
}

/**
 * The sum Σ_{j observed} relu(W·[x_j, e_j] + b) over entries as a set, e_j learnt for each feature (Ma et al. 2019, after Qi et al. 2017).
 * A missing entry is left out with its bias.
 */
export const pointNet =
  ({ embedding = 10, width = 64, form = "concat" }: PointNetOptions = {}): PartialEncoding =>
  (features) => {
    const entry = linear("encoder/entry", form === "concat" ? embedding + 1 : embedding, width, {
      weightInit: heNormal,
    });
    return {
      width,
      *program(x, mask) {
        const e = yield* param("encoder/embedding", (key) => heNormal(key, features, embedding));
        const column = tf.expandDims(filled(x, mask, 0), -1);
        const all = [...x.shape, embedding];
        const points = form === "product" ? tf.mul(column, e) : tf.concat([column, tf.broadcastTo(e, all)], -1);
        const h = tf.relu(yield* entry(points));
        return tf.sum(tf.mul(h, tf.expandDims(tf.cast(mask, "float32"), -1)), -2);
      },
    };
  };
