/** log Σₖ exp(cₖ − ½ Σⱼ ((xⱼ − μₖⱼ)sₖⱼ)²): by a loop of its own where the engine has one, else in slices. */
import * as tf from "@tensorflow/tfjs-core";
import { kernel } from "./gradients/define.ts";
import { MIXTURE } from "./kernels/mixture.ts";
import { mixtureRowsGradient, mixtureSlope, mixtureValue } from "./mixture-slices.ts";

/**
 * The logarithm of a sum of bells at points `[n, d]`, for rows μ₁ …, s₁ …, c `[2d + 1, K]`: centres, inverse widths, logarithm
 * of the height. `[n]`.
 *
 * @remarks Memory does not grow with n·K in the value and in the first gradient; derivatives of any order exist, those from
 * the second on with a memory of n·K.
 */
export function logSumOfBells(x: tf.Tensor, rows: tf.Tensor): tf.Tensor {
  if (tf.getKernel(MIXTURE, tf.getBackend()) !== undefined) return kernel(MIXTURE, { x, rows });
  return tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [points, bells, save] = inputs as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    save([points, bells]);
    return {
      value: mixtureValue(points, bells),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [points, bells] = saved as [tf.Tensor, tf.Tensor];
        return [tf.mul(tf.expandDims(dy, 1), mixtureSlope(points, bells)), mixtureRowsGradient(dy, points, bells)];
      },
    };
  })(x, rows);
}
