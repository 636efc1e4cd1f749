/** The geometric distribution: failures before the first success. */
import * as tf from "@tensorflow/tfjs-core";
import { exponential as exponentialDraws } from "../core/random/draws.ts";
import { coinEntropy } from "./bernoulli.ts";
import type { Constraint } from "./constraint.ts";
import { nonNegativeInteger, real } from "./constraints.ts";
import { within } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";
import type { Family } from "./family.ts";
import { fromEitherForm, fromLogits, fromProbs, type Odds, type ProbsOrLogits } from "./logits.ts";

/** 0 < p ≤ 1: with p = 0 there is no first success. */
const successProbability: Constraint = {
  name: "in (0, 1]",
  eventRank: 0,
  discrete: false,
  check: (x) => tf.logicalAnd(tf.greater(x, 0), tf.lessEqual(x, 1)),
  example: (shape) => tf.fill([...shape], 0.5),
  bijection: real.bijection,
};

/** Whether x is 0, 1, 2, … */
export const isCount = (x: tf.Tensor): tf.Tensor => tf.logicalAnd(tf.greaterEqual(x, 0), tf.equal(x, tf.floor(x)));

function family<P extends "probs" | "logits">(form: P, odds: Odds): Family<P> {
  const one = tf.onesLike;
  return {
    family: "geometric",
    params: { [form]: form === "probs" ? successProbability : real } as Family<P>["params"],
    support: nonNegativeInteger,
    discrete: true,
    logProb(params, k) {
      const p = params[form];
      return within(isCount(k), tf.add(odds.timesLog(one(p), p), odds.timesLogComplement(k, p)));
    },
    // An exponential waiting time with rate −log(1 − p), rounded down.
    draw(params, d) {
      const p = params[form];
      return tf.floor(tf.div(d.noise(exponentialDraws), tf.neg(odds.timesLogComplement(one(p), p))));
    },
    mean: (params) => tf.div(odds.complement(params[form]), odds.probs(params[form])),
    variance: (params) => tf.div(odds.complement(params[form]), tf.square(odds.probs(params[form]))),
    entropy: (params) => tf.div(coinEntropy(odds.logits(params[form])), odds.probs(params[form])),
  };
}

const byProbs = family("probs", fromProbs);
const byLogits = family("logits", fromLogits);

/** P(k) = p(1 − p)ᵏ for k = 0, 1, 2, …, from `{ probs }` or `{ logits }`. */
export const geometric = (p: ProbsOrLogits): Distribution => fromEitherForm(p, byProbs, byLogits);
