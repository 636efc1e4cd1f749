/** Probabilities given as themselves or as log-odds: what the families on top of them need, each from what was given. */
import * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { logSigmoid, softplus } from "../engine/ops.ts";
import { log1p, xlog1py, xlogy } from "../engine/special.ts";
import { closedUnitInterval, real } from "./constraints.ts";
import type { Distribution } from "./distribution.ts";
import { type Family, fromFamily } from "./family.ts";

/** Probabilities, or their logits log p/(1 − p): one of the two. */
export type ProbsOrLogits = { readonly probs: ArrayLike } | { readonly logits: ArrayLike };

/** How a family computes with its probability, whichever way it was given. */
export interface Odds {
  readonly probs: (p: tf.Tensor) => tf.Tensor;
  /** 1 − p, with its digits. */
  readonly complement: (p: tf.Tensor) => tf.Tensor;
  readonly logits: (p: tf.Tensor) => tf.Tensor;
  /** k·log p, 0 where k = 0. */
  readonly timesLog: (k: tf.Tensor, p: tf.Tensor) => tf.Tensor;
  /** k·log(1 − p), 0 where k = 0. */
  readonly timesLogComplement: (k: tf.Tensor, p: tf.Tensor) => tf.Tensor;
}

export const fromLogits: Odds = {
  probs: (l) => tf.sigmoid(l),
  complement: (l) => tf.sigmoid(tf.neg(l)),
  logits: (l) => l,
  timesLog: (k, l) => tf.mul(k, logSigmoid(l)),
  timesLogComplement: (k, l) => tf.neg(tf.mul(k, softplus(l))),
};

export const fromProbs: Odds = {
  probs: (p) => p,
  complement: (p) => tf.sub(1, p),
  logits: (p) => tf.sub(tf.log(p), log1p(tf.neg(p))),
  timesLog: xlogy,
  timesLogComplement: (k, p) => xlog1py(k, tf.neg(p)),
};

/** The constraint of each form. */
export const ODDS_PARAMS = { probs: closedUnitInterval, logits: real } as const;

/** The distribution of a family by the form that was given. @throws `argument` unless exactly one was. */
export const fromEitherForm = (
  given: ProbsOrLogits,
  byProbs: Family<"probs">,
  byLogits: Family<"logits">,
): Distribution =>
  givenForm(byProbs.family, given) === "probs"
    ? fromFamily(byProbs, given as { probs: ArrayLike })
    : fromFamily(byLogits, given as { logits: ArrayLike });

/** Which of the two was given. @throws `argument` unless exactly one was. */
export function givenForm(family: string, given: ProbsOrLogits): "probs" | "logits" {
  const { probs, logits } = given as { readonly probs?: ArrayLike; readonly logits?: ArrayLike };
  if ((probs === undefined) === (logits === undefined)) {
    fail("argument", `${family}: give either { probs } or { logits }, got ${probs === undefined ? "neither" : "both"}`);
  }
  return probs === undefined ? "logits" : "probs";
}
