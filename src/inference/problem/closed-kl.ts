/** The KL divergence of a guide's distribution from a model's, where it has a closed form. */
import type * as tf from "@tensorflow/tfjs-core";
import type { Distribution } from "../../dist/distribution.ts";
import { hasKl, kl } from "../../dist/kl.ts";

/** KL(q ‖ p) per entry of the batch, or `undefined`. */
export const closedKl = (q: Distribution, p: Distribution): tf.Tensor | undefined =>
  hasKl(q, p) ? kl(q, p).value : undefined;
