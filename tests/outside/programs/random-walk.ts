/** Random-walk Metropolis (Metropolis et al. 1953): a normal step in any direction, accepted or rejected. It follows no gradient. */
import * as tf from "@tensorflow/tfjs-core";
import { type Kernel, type KernelState, metropolis } from "tilted/inference";

interface WalkState extends KernelState {
  readonly logp: tf.Tensor;
}

/** x' = x + √(2η) ξ, accepted with probability min(1, p(x')/p(x)). */
export const randomWalk = (): Kernel<WalkState, { readonly xi: "normal"; readonly accept: "uniform" }> => ({
  name: "random-walk",
  noise: { xi: "normal", accept: "uniform" },
  init: (x, target) => ({ x, logp: target.logp(x) }),
  step({ x, logp, eta }, { xi, accept }, target) {
    const y = tf.add(x, tf.mul(tf.sqrt(tf.mul(2, eta)), xi));
    const to = target.logp(y);
    const { accepted, info } = metropolis(tf.sub(to, logp), accept);
    return [{ x: tf.where(tf.expandDims(accepted, 1), y, x), logp: tf.where(accepted, to, logp), eta }, info];
  },
});
