/**
 * Implicit reparameterisation of gamma draws (Figurnov, Mohamed & Mnih 2018): a draw x of Gamma(α, 1) moves with α so that its
 * CDF stays constant, dx/dα = −(∂F/∂α)/f.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";
import type { Key } from "../core/key.ts";
import { logGammaSlope } from "../core/numeric/gamma-slope.ts";
import { gamma as gammaDraws, logGammaDraws } from "../core/random/rejection.ts";
import { type Shape, sizeOf } from "../core/shape.ts";
import { broadcastTo } from "../engine/smooth.ts";
import type { DrawContext } from "./family.ts";

/** Whether draws are given as they are or as logarithms. */
export type GammaScale = "value" | "log";

/**
 * Gamma(α, 1) draws (or their logarithms) as a tensor that is differentiable in α, once.
 *
 * @param alpha - Concentrations, of the shape of the draws.
 * @param draws - The draws, row-major.
 * @throws `not-differentiable` when a second derivative in α is asked for.
 */
export function gammaPath(alpha: tf.Tensor, draws: Float32Array, shape: Shape, scale: GammaScale): tf.Tensor {
  const slopes = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const a = (inputs[0] as tf.Tensor).dataSync();
    const out = new Float32Array(draws.length);
    for (let i = 0; i < out.length; i++) {
      const draw = draws[i] as number;
      const slope = logGammaSlope(a[i] as number, scale === "log" ? draw : Math.log(draw));
      out[i] = scale === "log" ? slope : slope * draw;
    }
    return {
      value: tf.tensor(out, [...shape], "float32"),
      gradFunc: () =>
        fail(
          "not-differentiable",
          "gamma draws are differentiable once in their concentration: a second derivative through the sampler was asked for. Differentiate the log-density instead, or stop the gradient at the concentration",
        ),
    };
  });
  return tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [a, save] = inputs as [tf.Tensor, tf.GradSaveFunc];
    save([a]);
    return {
      value: tf.tensor(draws.slice(), [...shape], "float32"),
      gradFunc: (dy: tf.Tensor, [a]: tf.Tensor[]) => tf.mul(dy, slopes(a as tf.Tensor)),
    };
  })(alpha);
}

/** The smallest normal number of float32: a draw that underflows is moved here, so that it stays positive. */
export const SMALLEST = 2 ** -126;

/** What {@link gammaNoise} draws. */
export interface GammaNoise {
  readonly scale: GammaScale;
  readonly key?: Key;
  /** Axes on the right of the concentration that belong to the event. */
  readonly extra?: Shape;
}

/** Standard gamma noise of shape `[...draws, ...batch, ...extra]`, differentiable in the concentration. */
export function gammaNoise(
  concentration: tf.Tensor,
  d: DrawContext,
  { scale, key = d.key, extra = [] }: GammaNoise,
): tf.Tensor {
  const shape = [...d.shape, ...extra];
  const alpha = d.values(concentration, extra);
  const sampler = scale === "log" ? logGammaDraws : gammaDraws;
  const draws = sampler(key, alpha, sizeOf(shape), d.offset * sizeOf(extra));
  const kept = scale === "log" ? draws : draws.map((x) => Math.max(x, SMALLEST));
  return gammaPath(broadcastTo(concentration, shape), kept, shape, scale);
}
