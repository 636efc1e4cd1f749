/** The inverse gamma distribution: of 1/X for X gamma. */
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { HALF_LOG_2PI } from "../core/numeric/elementary.ts";
import { digammaCorrection, stirlingCorrection } from "../engine/special.ts";
import { positive } from "./constraints.ts";
import type { Distribution } from "./distribution.ts";
import { type Family, fromFamily } from "./family.ts";
import { logGammaDensity } from "./gamma.ts";
import { gammaNoise } from "./gamma-path.ts";

const orInfinity = (exists: tf.Tensor, value: tf.Tensor): tf.Tensor =>
  tf.where(exists, value, tf.fill(value.shape, Number.POSITIVE_INFINITY));

const inverseGammaFamily: Family<"concentration" | "scale"> = {
  family: "inverseGamma",
  params: { concentration: positive, scale: positive },
  support: positive,
  logProb: ({ concentration, scale }, x) => logGammaDensity(concentration, x, (inside) => tf.div(scale, inside)),
  draw: ({ concentration, scale }, d) => tf.mul(scale, tf.exp(tf.neg(gammaNoise(concentration, d, { scale: "log" })))),
  mean({ concentration: a, scale }) {
    return orInfinity(tf.greater(a, tf.onesLike(scale)), tf.div(scale, tf.sub(a, 1)));
  },
  variance({ concentration: a, scale }) {
    const value = tf.div(tf.square(tf.div(scale, tf.sub(a, 1))), tf.sub(a, 2));
    return orInfinity(tf.greater(a, tf.fill(scale.shape, 2)), value);
  },
  // a + log b + log Γ(a) − (1 + a)ψ(a), with Stirling's terms taken out by hand.
  entropy({ concentration: a, scale }) {
    const bend = tf.mul(tf.add(1, a), tf.sub(tf.div(0.5, a), digammaCorrection(a)));
    const log = tf.sub(tf.log(scale), tf.mul(tf.log(a), 1.5));
    return tf.add(tf.add(log, bend), tf.add(stirlingCorrection(a), HALF_LOG_2PI));
  },
};

/**
 * p(x) = scale^a x^{−a−1} e^{−scale/x}/Γ(a) on x > 0, a the concentration. Its mean is infinite unless a > 1, its variance
 * unless a > 2. Draws are differentiable in both parameters (once).
 */
export const inverseGamma = (concentration: ArrayLike, scale: ArrayLike): Distribution =>
  fromFamily(inverseGammaFamily, { concentration, scale });
