/** The KL divergence of a guide's distribution from a model's, where it has a closed form. */
import type * as tf from "@tensorflow/tfjs-core";
import type { Distribution } from "../dist/distribution.ts";
import * as families from "../dist/index.ts";

type Kl = (p: Distribution, q: Distribution) => { readonly value: tf.Tensor; readonly exact: boolean };

/** KL(q ‖ p) per entry of the batch, or `undefined`. */
export function closedKl(q: Distribution, p: Distribution): tf.Tensor | undefined {
  const kl = (families as { readonly kl?: Kl }).kl;
  const found = kl?.(q, p);
  return found?.exact === true ? found.value : undefined;
}
