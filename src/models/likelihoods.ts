/** Likelihoods of a datum given its latent: heads on a decoder that end in a distribution over entries. */
import * as tf from "@tensorflow/tfjs-core";
import { ndarray } from "../core/array.ts";
import type { Distribution } from "../dist/distribution.ts";
import { bernoulli, normal, studentT } from "../dist/index.ts";
import { type ParamEffect, type Program, param } from "../effects/effects.ts";
import { linear } from "../nn/layers.ts";

/** The distribution of every entry given the latent, `[...batch, features]`: entries are independent. */
export interface Entries {
  /** Its events are single numbers. */
  readonly dist: Distribution;
  /** E[x | z]. */
  readonly mean: tf.Tensor;
  /** Scale of the noise where the family is location-scale: x = mean + scale·ε. */
  readonly scale?: tf.Tensor;
}

/** Heads from the last hidden layer, of a given width, to the entries. */
export interface Likelihood {
  (width: number, features: number): (h: tf.Tensor) => Program<ParamEffect, Entries>;
  /** Whether entries are mean + scale·ε, ε ~ N(0, 1): {@link Entries.scale} is given. */
  readonly locationScale?: boolean;
}

/** Options of {@link gaussian}. */
export interface GaussianOptions {
  /** One scale for all features (default), one for each, or a head of the decoder. */
  readonly scale?: "shared" | "feature" | "head";
  /** Least standard deviation: without it a flexible decoder can put all mass on one datum. Default 1e-3. */
  readonly floor?: number;
}

/** Least standard deviation of an entry, for standardised data. */
export const MIN_ENTRY_SCALE = 1e-3;
/** softplus⁻¹(1): scales start at one. */
export const UNIT_SCALE = Math.log(Math.E - 1);

/** x_j ~ N(μ_j(z), σ_j²), σ = softplus(·) + floor. */
export const gaussian = ({ scale = "shared", floor = MIN_ENTRY_SCALE }: GaussianOptions = {}): Likelihood => {
  const heads = (width: number, features: number) => {
    const loc = linear("decoder/loc", width, features);
    const head = linear("decoder/scale", width, features);
    const size = scale === "shared" ? 1 : features;
    return function* (h: tf.Tensor): Program<ParamEffect, Entries> {
      const mean = yield* loc(h);
      const raw =
        scale === "head"
          ? yield* head(h)
          : yield* param("decoder/log-scale", () => ndarray(new Float32Array(size).fill(UNIT_SCALE)));
      const sd = tf.add(tf.softplus(raw), floor);
      return { dist: normal(mean, sd), mean, scale: sd };
    };
  };
  return Object.assign(heads, { locationScale: true });
};

/** Options of {@link student}. */
export interface StudentOptions {
  /** Least scale. Default 1e-3. */
  readonly floor?: number;
  /** Degrees of freedom are above it. Default 3: skewness exists. */
  readonly leastDf?: number;
}

/** x_j ~ t_ν(μ_j(z), σ_j(z)), ν_j(z) > 3: heavy tails for data with outliers. */
export const student =
  ({ floor = MIN_ENTRY_SCALE, leastDf = 3 }: StudentOptions = {}): Likelihood =>
  (width, features) => {
    const [loc, scale, df] = [
      linear("decoder/loc", width, features),
      linear("decoder/scale", width, features),
      linear("decoder/df", width, features),
    ];
    return function* (h) {
      const mean = yield* loc(h);
      const sd = tf.add(tf.softplus(yield* scale(h)), floor);
      const freedom = tf.add(tf.softplus(yield* df(h)), leastDf);
      return { dist: studentT(freedom, mean, sd), mean };
    };
  };

/** x_j ~ Bernoulli(σ(l_j(z))); grey values are scored by the cross-entropy. */
export const binary = (): Likelihood => (width, features) => {
  const logits = linear("decoder/logits", width, features);
  return function* (h) {
    return binaryEntries(yield* logits(h));
  };
};

/** Entries of a decoder that ends in logits. */
export const binaryEntries = (logits: tf.Tensor): Entries => ({
  dist: bernoulli({ logits }, { grey: true }),
  mean: tf.sigmoid(logits),
});
