/** log Σₖ exp(cₖ − ½ Σⱼ ((xⱼ − μₖⱼ)sₖⱼ)²): by a fused kernel where the engine has one, else in slices. */
import * as tf from "@tensorflow/tfjs-core";
import { kernel } from "./gradients/define.ts";
import { MIXTURE } from "./kernels/mixture.ts";
import { mixtureRowsGradient, mixtureSlope, mixtureValue } from "./mixture-slices.ts";

/**
 * The logarithm of a sum of Gaussians at points `[n, d]`, shape `[n]`. `rows` is `[2d + 1, K]`: the means μ₁ …, the inverse scales
 * s₁ …, and the log-height c of each of K components.
 *
 * @remarks Memory does not grow with n·K in the value and in the first gradient; derivatives of any order exist, those from
 * the second on with a memory of n·K.
 */
export function logSumGaussians(x: tf.Tensor, rows: tf.Tensor): tf.Tensor {
  if (tf.getKernel(MIXTURE, tf.getBackend()) !== undefined) return kernel(MIXTURE, { x, rows });
  return tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [points, components, save] = inputs as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    save([points, components]);
    return {
      value: mixtureValue(points, components),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [points, components] = saved as [tf.Tensor, tf.Tensor];
        return [
          tf.mul(tf.expandDims(dy, 1), mixtureSlope(points, components)),
          mixtureRowsGradient(dy, points, components),
        ];
      },
    };
  })(x, rows);
}
