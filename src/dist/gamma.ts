/** The gamma distribution. */
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { HALF_LOG_2PI } from "../core/numeric/elementary.ts";
import { digammaCorrection, logRatioGap, stirlingCorrection } from "../engine/special.ts";
import { positive } from "./constraints.ts";
import { within } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";
import { type Family, fromFamily } from "./family.ts";
import { gammaNoise } from "./gamma-path.ts";

/**
 * a·log y − y − log Γ(a), the logarithm of y·p(y) for y ~ Gamma(a, 1), in Loader's form: the difference of the terms, not the
 * terms, so that a concentration of a million keeps its digits.
 */
export const logGammaKernel = (a: tf.Tensor, y: tf.Tensor): tf.Tensor =>
  tf.add(tf.mul(a, logRatioGap(y, a)), tf.sub(tf.mul(tf.log(a), 0.5), tf.add(stirlingCorrection(a), HALF_LOG_2PI)));

/** log p(x) of an x > 0 for which y(x) ~ Gamma(a, 1), y a constant times x or over x. */
export function logGammaDensity(a: tf.Tensor, x: tf.Tensor, y: (x: tf.Tensor) => tf.Tensor): tf.Tensor {
  const inside = tf.greater(x, 0);
  const safe = tf.where(inside, x, tf.onesLike(x));
  return within(inside, tf.sub(logGammaKernel(a, y(safe)), tf.log(safe)));
}

const gammaFamily: Family<"concentration" | "rate"> = {
  family: "gamma",
  params: { concentration: positive, rate: positive },
  support: positive,
  logProb: ({ concentration, rate }, x) => logGammaDensity(concentration, x, (inside) => tf.mul(rate, inside)),
  draw: ({ concentration, rate }, d) => tf.div(gammaNoise(concentration, d, { scale: "value" }), rate),
  mean: ({ concentration, rate }) => tf.div(concentration, rate),
  variance: ({ concentration, rate }) => tf.div(concentration, tf.square(rate)),
  // a − log b + log Γ(a) + (1 − a)ψ(a), with Stirling's terms taken out by hand.
  entropy({ concentration: a, rate }) {
    const bend = tf.mul(tf.sub(1, a), tf.sub(digammaCorrection(a), tf.div(0.5, a)));
    const log = tf.sub(tf.mul(tf.log(a), 0.5), tf.log(rate));
    return tf.add(tf.add(log, bend), tf.add(stirlingCorrection(a), HALF_LOG_2PI));
  },
};

/**
 * p(x) = rate^a x^{a−1} e^{−rate·x}/Γ(a) on x > 0, a the concentration. Draws are differentiable in both parameters (once).
 *
 * @remarks Draws smaller than 2⁻¹²⁶, which happen for concentrations below 0.1, are moved there.
 */
export const gamma = (concentration: ArrayLike, rate: ArrayLike): Distribution =>
  fromFamily(gammaFamily, { concentration, rate });
