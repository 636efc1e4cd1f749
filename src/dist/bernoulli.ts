/** The Bernoulli distribution: a coin. */
import * as tf from "@tensorflow/tfjs-core";
import { uniform as uniformDraws } from "../core/random/draws.ts";
import { softplus } from "../engine/ops.ts";
import { boolean, closedUnitInterval } from "./constraints.ts";
import type { Distribution } from "./distribution.ts";
import type { Family } from "./family.ts";
import { fromEitherForm, fromLogits, fromProbs, ODDS_PARAMS, type Odds, type ProbsOrLogits } from "./logits.ts";

/** Entropy of a coin in nats, from its logits; even in them. */
export function coinEntropy(logits: tf.Tensor): tf.Tensor {
  const low = tf.neg(tf.abs(logits));
  return tf.sub(softplus(low), tf.mul(low, tf.sigmoid(low)));
}

function family<P extends "probs" | "logits">(form: P, odds: Odds, grey: boolean): Family<P> {
  return {
    family: "bernoulli",
    params: { [form]: ODDS_PARAMS[form] } as Family<P>["params"],
    support: grey ? closedUnitInterval : boolean,
    discrete: true,
    logProb(params, x) {
      const p = params[form];
      // For a coin, −softplus(∓logit) keeps its digits at any confidence; grey values mix the two.
      if (form === "logits" && !grey) return tf.neg(softplus(tf.mul(p, tf.sub(1, tf.mul(x, 2)))));
      if (form === "logits") return tf.sub(tf.mul(x, p), softplus(p));
      return tf.add(odds.timesLog(x, p), odds.timesLogComplement(tf.sub(1, x), p));
    },
    draw: (params, d) => tf.cast(tf.less(d.noise(uniformDraws), odds.probs(params[form])), "float32"),
    mean: (params) => odds.probs(params[form]),
    variance: (params) => tf.mul(odds.probs(params[form]), odds.complement(params[form])),
    entropy(params) {
      if (form === "logits") return coinEntropy(params[form]);
      const [p, q] = [odds.probs(params[form]), odds.complement(params[form])];
      return tf.neg(tf.add(odds.timesLog(p, params[form]), odds.timesLogComplement(q, params[form])));
    },
  };
}

const families = (grey: boolean) => ({
  probs: family("probs", fromProbs, grey),
  logits: family("logits", fromLogits, grey),
});
const coin = families(false);
const greyCoin = families(true);

/** Options of {@link bernoulli}. */
export interface BernoulliOptions {
  /**
   * Accept values between 0 and 1, as of grey pixels, with log p(x) = x log p + (1 − x) log(1 − p): the usual reconstruction
   * term of a variational auto-encoder. It is no normalised density then; draws are still 0 or 1.
   */
  readonly grey?: boolean;
}

/** P(1) = p, P(0) = 1 − p, from `{ probs }` or `{ logits }`. Values are 0 and 1. */
export function bernoulli(p: ProbsOrLogits, options: BernoulliOptions = {}): Distribution {
  const { probs, logits } = options.grey === true ? greyCoin : coin;
  return fromEitherForm(p, probs, logits);
}
