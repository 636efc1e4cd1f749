/**
 * The loss whose gradient is that of −L, L the log-likelihood of a tilted model p_E = e^{−E} p/Z: ∇_E L = −E_q[∇E] + E_{p_E}[∇E], and for a
 * base that trains too ∇_φ L = E_q[∇ log p] − E_{p_E}[∇ log p].
 */
import * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../../core/array.ts";
import { fold, type Key } from "../../core/key.ts";
import type { TensorTree } from "../../core/tree.ts";
import { logJoint } from "../../effects/density.ts";
import type { Effect, Model } from "../../effects/effects.ts";
import { replay } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { withPlates } from "../../effects/run-handlers.ts";
import { logSumExp, stopGradient } from "../../engine/ops.ts";
import type { LossOutput } from "../train/loss.ts";
import { evaluate } from "./energy-program.ts";
import type { Trainable } from "./tilt-likelihood-types.ts";
import type { TiltSetup } from "./tilt-setup.ts";

/** Means that a step reports: energies of data, E_q[E], and of negatives, E_{p_E}[E]; ESS/n of weighted negatives. */
export type LikelihoodMetric = "target" | "negatives" | "essRatio";

/** The parts of the loss that stay the same from step to step. */
export interface LikelihoodSpec {
  readonly setup: TiltSetup;
  readonly joint: Trainable | true | undefined;
  /** Whether negatives are draws of the base, to be weighed by e^{−E}, or draws of p_E. */
  readonly weighted: boolean;
  /** α of α(E_q[(E − c)²] + E_{p_E}[(E − c)²]), c the mean energy of negatives, held fixed. */
  readonly penalty: number;
}

/** Draws of one step. */
export interface LikelihoodBatch {
  /** Rows of data, `[b, ...event]`. */
  readonly x: tf.Tensor;
  /** Latents of the base, the tilted site among them, `[n, ...event]`. */
  readonly negatives: TensorTree;
}

/** The loss of one batch. Call it inside `scope`. */
export function likelihoodLoss(
  { setup, joint, weighted, penalty }: LikelihoodSpec,
  { x, negatives }: LikelihoodBatch,
  params: TensorTree,
  key: Key,
): LossOutput {
  const at = negatives[setup.site.name] as tf.Tensor;
  const [rows, count] = [x.shape[0] as number, at.shape[0] as number];
  // One pass of the network over both: small networks cost by the call, not by the row.
  const both = evaluate(setup.network, tf.concat([x, at], 0), params);
  const [plus, minus] = tf.split(both, [rows, count]) as [tf.Tensor, tf.Tensor];
  const weights = weighted ? stopGradient(tf.softmax(tf.neg(minus))) : tf.fill([count], 1 / count);
  const target = tf.mean(plus);
  const metrics: TensorTree = {
    target,
    negatives: tf.sum(tf.mul(weights, minus)),
    ...(weighted && { essRatio: tf.div(1 / count, tf.sum(tf.square(weights))) }),
  };
  let loss = weighted
    ? tf.add(target, tf.sub(logSumExp(tf.neg(minus)), Math.log(count)))
    : tf.sub(target, tf.mean(minus));
  if (penalty > 0) loss = tf.add(loss, tf.mul(penalty, spread(plus, minus)));
  if (joint !== undefined) {
    // log p(x⁻, z⁻): z⁻ was drawn with x⁻, so this is an unbiased ∇ log p(x⁻) (Fisher's identity with an exact posterior draw).
    const logP = logProbs(setup, negatives, count, params);
    const negative = tf.sum(tf.mul(weights, logP));
    const positive =
      joint === true
        ? tf.mean(logProbs(setup, { [setup.site.name]: x }, rows, params))
        : elboOf(joint, x, rows, params, key);
    loss = tf.add(loss, tf.sub(negative, positive));
  }
  return { loss, metrics };
}

/** Mean squares of energies about the mean of those of negatives. */
function spread(plus: tf.Tensor, minus: tf.Tensor): tf.Tensor {
  const centre = stopGradient(tf.mean(minus));
  const about = (e: tf.Tensor) => tf.mean(tf.square(tf.sub(e, centre)));
  return tf.add(about(plus), about(minus));
}

/** log p of given latents of the base, `[n]`. */
const logProbs = ({ base, depth }: TiltSetup, latents: TensorTree, particles: number, params: TensorTree): tf.Tensor =>
  tf.reshape(logJoint(interpret(replay({ latents })(base)(), { particles, depth, params })), [-1]);

/** Mean over rows of a one-draw ELBO: a lower bound that stands for log p(x) in the base's gradient. */
function elboOf({ model, guide }: Trainable, x: tf.Tensor, rows: number, params: TensorTree, key: Key): tf.Tensor {
  // The models take arrays; this one gives the tensor of the step.
  const data: NdArray = { data: new Float32Array(0), shape: x.shape, dtype: "float32", tensor: () => x };
  const q = interpret(guide(data), { key: fold(key, "guide"), params });
  const latents = Object.fromEntries(
    [...q.sites.values()].flatMap((s) => (s.kind === "sample" ? [[s.name, s.value as tf.Tensor]] : [])),
  );
  const placed = withPlates(q.plates)(model as Model<[NdArray], Effect, unknown>);
  const p = interpret(replay({ latents })(placed)(data), { key: fold(key, "model"), params });
  return tf.div(tf.sub(logJoint(p), logJoint(q)), rows);
}
