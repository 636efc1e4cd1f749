/** Models of missingness, as programs: from the complete datum to the distribution of its mask, 1 where observed. */
import * as tf from "@tensorflow/tfjs-core";
import { ndarray } from "../core/array.ts";
import type { Distribution } from "../dist/distribution.ts";
import { bernoulli } from "../dist/index.ts";
import { type ParamEffect, type Program, param } from "../effects/effects.ts";
import { ndtr } from "../engine/special.ts";
import { linear, mlp, tanh } from "../nn/layers.ts";

/** p(s | x): entries of the mask, `[...batch, features]`, each a scalar event. */
export type MaskModel = (features: number) => (x: tf.Tensor) => Program<ParamEffect, Distribution>;

/** Options of {@link selfMasking}. */
export interface SelfMaskingOptions {
  /** P(s = 1 | x) = σ(·) or Φ(·). Default `logistic`. */
  readonly link?: "logistic" | "probit";
  /**
   * What is known of the sign. `high`: large values go missing, as when a sensor saturates; `low`: small ones do, as below a limit of detection;
   * either way the slope's size is a softplus. `free`: either sign. Default `high`.
   */
  readonly hides?: "high" | "low" | "free";
}

/** Keeps a probability away from 0 and 1, where its logarithm has no gradient in float32. */
const TINY = 1e-6;

/** P(s_j = 1 | x) = link(−w_j (x_j − b_j)): each entry's missingness depends on its own value (Ipsen, Mattei & Frellsen 2021). */
export const selfMasking =
  ({ link = "logistic", hides = "high" }: SelfMaskingOptions = {}): MaskModel =>
  (features) =>
    function* (x) {
      const raw = yield* param("mask/slope", () => ndarray(new Float32Array(features).fill(1)));
      const centre = yield* param("mask/centre", () => ndarray(new Float32Array(features)));
      const slope = hides === "free" ? raw : tf.softplus(raw);
      const rising = tf.mul(slope, tf.sub(x, centre));
      const logits = hides === "low" ? rising : tf.neg(rising);
      if (link === "logistic") return bernoulli({ logits });
      return bernoulli({ probs: tf.add(TINY, tf.mul(1 - 2 * TINY, ndtr(logits))) });
    };

/** P(s | x) = σ(xW + b): every entry of the mask may depend on every entry of the datum, linearly. Nothing is known of the signs. */
export const linearMask = (): MaskModel => (features) => {
  const logits = linear("mask", features, features);
  return function* (x) {
    return bernoulli({ logits: yield* logits(x) });
  };
};

/** P(s | x) = σ(network(x)). With a flexible decoder it is not identified: prefer a model that states what is known of the masking. */
export const networkMask =
  ({ hidden = [128] }: { readonly hidden?: readonly number[] } = {}): MaskModel =>
  (features) => {
    const logits = mlp("mask", [features, ...hidden, features], { activation: tanh });
    return function* (x) {
      return bernoulli({ logits: yield* logits(x) });
    };
  };
