/** The categorical distribution over one-hot vectors. */
import * as tf from "@tensorflow/tfjs-core";
import { CLASS_PARAMS, classDraws, classesOf, classProbs, logClassProbs, weightedLogs } from "./categorical.ts";
import { oneHot } from "./constraints.ts";
import type { Distribution } from "./distribution.ts";
import type { Family } from "./family.ts";
import { fromEitherForm, type ProbsOrLogits } from "./logits.ts";

function family<P extends "probs" | "logits">(form: P): Family<P> {
  return {
    family: "oneHotCategorical",
    params: { [form]: CLASS_PARAMS[form] } as Family<P>["params"],
    support: oneHot,
    discrete: true,
    eventShape: (params) => [classesOf(params)],
    logProb(params, x) {
      const logs = tf.add(logClassProbs(params), tf.zerosLike(x));
      return weightedLogs(tf.add(x, tf.zerosLike(logs)), logs);
    },
    draw(params, d) {
      const indices = tf.tensor1d(classDraws(params, d), "int32");
      const k = classesOf(params);
      // As integers first: a float32 tf.oneHot of the wasm engine holds the bits of integers.
      return tf.reshape(tf.cast(tf.oneHot(indices, k), "float32"), [...d.shape, k]);
    },
    mean: (params) => classProbs(params),
    variance: (params) => tf.mul(classProbs(params), tf.sub(1, classProbs(params))),
    entropy: (params) => tf.neg(weightedLogs(classProbs(params), logClassProbs(params))),
  };
}

const byProbs = family("probs");
const byLogits = family("logits");

/**
 * P(eᵢ) = pᵢ over the unit vectors e₁ … e_k, from `{ probs }` or `{ logits }` (unnormalised log-probabilities) of shape
 * `[...batch, k]`.
 */
export const oneHotCategorical = (p: ProbsOrLogits): Distribution => fromEitherForm(p, byProbs, byLogits);
