/** The binomial distribution. */
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { binomial as binomialDraws } from "../core/random/rejection.ts";
import { broadcastShapes } from "../core/shape.ts";
import { logSigmoid, softplus } from "../engine/ops.ts";
import { broadcastTo } from "../engine/smooth.ts";
import { logChoose, logRatioGapAt, stirlingCorrection } from "../engine/special.ts";
import { integerInterval, nonNegativeInteger } from "./constraints.ts";
import { within } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";
import { type Family, fromFamily } from "./family.ts";
import { isCount } from "./geometric.ts";
import { fromLogits, fromProbs, givenForm, ODDS_PARAMS, type Odds, type ProbsOrLogits } from "./logits.ts";

/** Beyond these logits one of the means np, n(1 − p) is tiny: the plain form is exact there. */
const MAX_SADDLE_LOGIT = 20;

/** Within these logits (n/2) tanh(l/2) is smaller than either mean. */
const MAX_EVEN_LOGIT = 1;

/**
 * log P(k) for 0 < k < n: Loader's saddle point form where both means are moderate, whose terms are of the size of the result.
 * np − k and n(1 − p) − (n − k) are the same number but for the sign; rounding them apart would cost n·ε.
 */
function logMass(n: tf.Tensor, k: tf.Tensor, logits: tf.Tensor): tf.Tensor {
  const rest = tf.sub(n, k);
  const mean = tf.mul(n, tf.sigmoid(logits));
  // np − k, from what has the digits: near even odds np = n/2 + (n/2) tanh(l/2), beyond the smaller of the two means.
  const half = tf.mul(n, 0.5);
  const even = tf.add(tf.sub(half, k), tf.mul(half, tf.tanh(tf.mul(logits, 0.5))));
  const odd = tf.where(tf.less(logits, 0), tf.sub(mean, k), tf.sub(rest, tf.mul(n, tf.sigmoid(tf.neg(logits)))));
  const d = tf.where(tf.less(tf.abs(logits), MAX_EVEN_LOGIT), even, odd);
  const gap = tf.add(
    tf.mul(k, logRatioGapAt(mean, k, d)),
    tf.mul(rest, logRatioGapAt(tf.mul(n, tf.sigmoid(tf.neg(logits))), rest, tf.neg(d))),
  );
  const corrections = tf.sub(stirlingCorrection(n), tf.add(stirlingCorrection(k), stirlingCorrection(rest)));
  const root = tf.mul(tf.log(tf.div(n, tf.mul(tf.mul(k, rest), 2 * Math.PI))), 0.5);
  return tf.add(tf.add(gap, corrections), root);
}

/** log P(k) as a function of the logits alone, with the derivative k − np. */
function logProbOfLogits(n: tf.Tensor, k: tf.Tensor, logits: tf.Tensor): tf.Tensor {
  const shape = broadcastShapes(n.shape, k.shape, logits.shape);
  const [N, K] = [broadcastTo(n, shape), broadcastTo(k, shape)];
  return tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [l, save] = inputs as [tf.Tensor, tf.GradSaveFunc];
    const inner = tf.logicalAnd(tf.logicalAnd(tf.greater(K, 0), tf.less(K, N)), tf.less(tf.abs(l), MAX_SADDLE_LOGIT));
    const ones = tf.onesLike(l);
    const saddle = logMass(
      tf.where(inner, N, tf.mul(ones, 2)),
      tf.where(inner, K, ones),
      tf.where(inner, l, tf.zerosLike(l)),
    );
    const odds = tf.sub(tf.mul(K, logSigmoid(l)), tf.mul(tf.sub(N, K), softplus(l)));
    const edge = tf.logicalOr(tf.equal(K, 0), tf.equal(K, N));
    const plain = tf.add(tf.where(edge, tf.zerosLike(l), logChoose(N, K)), odds);
    save([l, N, K]);
    return {
      value: tf.where(inner, saddle, plain),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [l, N, K] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
        // k − np = k(1 − p) − (n − k)p, which keeps its digits at the ends.
        const successes = tf.mul(K, tf.sigmoid(tf.neg(l)));
        return tf.mul(dy, tf.sub(successes, tf.mul(tf.sub(N, K), tf.sigmoid(l))));
      },
    };
  })(broadcastTo(logits, shape));
}

function family<P extends "probs" | "logits">(form: P, odds: Odds): Family<P | "count"> {
  type All = P | "count";
  return {
    family: "binomial",
    params: { count: nonNegativeInteger, [form]: ODDS_PARAMS[form] } as Family<All>["params"],
    support: ({ count }) => integerInterval(0, count),
    discrete: true,
    logProb(params, k) {
      const { count } = params as { count: tf.Tensor };
      const p = params[form];
      const inside = tf.logicalAnd(isCount(k), tf.lessEqual(k, count));
      const safe = tf.where(inside, tf.add(k, tf.zerosLike(count)), tf.zerosLike(tf.add(k, count)));
      if (form === "logits") return within(inside, logProbOfLogits(count, safe, p));
      // A certain coin has infinite logits: its terms are 0·log 0.
      const sure = tf.logicalOr(tf.equal(p, 0), tf.equal(p, 1));
      const regular = logProbOfLogits(count, safe, odds.logits(tf.where(sure, tf.fill(p.shape, 0.5), p)));
      const certain = tf.add(odds.timesLog(safe, p), odds.timesLogComplement(tf.sub(count, safe), p));
      return within(inside, tf.where(sure, certain, regular));
    },
    draw(params, d) {
      const { count } = params as { count: tf.Tensor };
      const probs = d.values(odds.probs(params[form]));
      return tf.tensor(binomialDraws(d.key, d.values(count), probs, d.size, d.offset), [...d.shape], "float32");
    },
    mean: (params) => tf.mul((params as { count: tf.Tensor }).count, odds.probs(params[form])),
    variance(params) {
      const each = tf.mul(odds.probs(params[form]), odds.complement(params[form]));
      return tf.mul((params as { count: tf.Tensor }).count, each);
    },
  };
}

const byProbs = family("probs", fromProbs);
const byLogits = family("logits", fromLogits);

/** P(k) = n-choose-k · pᵏ(1 − p)^{n−k}, n the count, p from `{ probs }` or `{ logits }`. */
export const binomial = (count: ArrayLike, p: ProbsOrLogits): Distribution =>
  givenForm("binomial", p) === "probs"
    ? fromFamily(byProbs, { count, probs: (p as { probs: ArrayLike }).probs })
    : fromFamily(byLogits, { count, logits: (p as { logits: ArrayLike }).logits });
