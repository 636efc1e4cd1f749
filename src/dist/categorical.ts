/** The categorical distribution: one of k classes, by its index. */
import * as tf from "@tensorflow/tfjs-core";
import type { Key } from "../core/key.ts";
import { bits } from "../core/random/draws.ts";
import type { Shape } from "../core/shape.ts";
import { logSoftmax } from "../engine/ops.ts";
import type { Constraint } from "./constraint.ts";
import { independent, integerInterval, real, simplex } from "./constraints.ts";
import { within } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";
import type { DrawContext, Family } from "./family.ts";
import { isCount } from "./geometric.ts";
import { fromEitherForm, type ProbsOrLogits } from "./logits.ts";

type Form = "probs" | "logits";

/** The parameters, in whichever form. */
export interface ClassParams {
  readonly probs?: tf.Tensor;
  readonly logits?: tf.Tensor;
}

/** The constraint of each form: `[...batch, k]`. */
export const CLASS_PARAMS: { readonly [F in Form]: Constraint } = { probs: simplex, logits: independent(real, 1) };

/** log p of every class, `[...batch, k]`; −∞ for a probability of zero. */
export function logClassProbs({ probs, logits }: ClassParams): tf.Tensor {
  if (probs === undefined) return logSoftmax(logits as tf.Tensor);
  // The gradient of log at a zero would be 0/0 there.
  const never = tf.equal(probs, 0);
  return tf.where(
    never,
    tf.fill(probs.shape, Number.NEGATIVE_INFINITY),
    tf.log(tf.where(never, tf.onesLike(probs), probs)),
  );
}

/** p of every class. */
export const classProbs = ({ probs, logits }: ClassParams): tf.Tensor =>
  probs ?? tf.exp(logSoftmax(logits as tf.Tensor));

/** Σ over the last axis of weights·logs, where a weight of zero counts nothing though its logarithm is −∞. */
export function weightedLogs(weights: tf.Tensor, logs: tf.Tensor): tf.Tensor {
  const nothing = tf.equal(weights, 0);
  return tf.sum(
    tf.where(nothing, tf.zerosLike(logs), tf.mul(weights, tf.where(nothing, tf.zerosLike(logs), logs))),
    -1,
  );
}

/** Shape of the parameters: `[...batch, k]`. */
const paramShape = ({ probs, logits }: ClassParams): Shape => ((logits ?? probs) as tf.Tensor).shape;

/** Number of classes. */
export const classesOf = (params: ClassParams): number => paramShape(params).at(-1) as number;

const TWO_TO_MINUS_32 = 2 ** -32;

/**
 * Indices of classes by the inverse distribution function: draw i depends on (key, offset + i) only, and costs log k.
 *
 * @param probs - Rows of k probabilities (or anything proportional to them), used in turn: draw i takes row (offset + i) mod rows.
 */
export function drawIndices(key: Key, probs: ArrayLikeOfNumbers, k: number, n: number, offset: number): Int32Array {
  const rows = probs.length / k;
  const cumulative = new Float64Array(probs.length);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let j = 0; j < k; j++) cumulative[r * k + j] = sum += probs[r * k + j] as number;
  }
  const words = bits(key, n, offset);
  const out = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const start = ((offset + i) % rows) * k;
    const u = ((words[i] as number) + 0.5) * TWO_TO_MINUS_32 * (cumulative[start + k - 1] as number);
    let [low, high] = [0, k - 1];
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((cumulative[start + mid] as number) > u) high = mid;
      else low = mid + 1;
    }
    out[i] = low;
  }
  return out;
}

type ArrayLikeOfNumbers = { readonly length: number; readonly [i: number]: number };

/** Class indices for a sampler's shape. */
export function classDraws(params: ClassParams, d: DrawContext): Int32Array {
  const k = classesOf(params);
  // One row of probabilities for each entry of the batch, not for each draw.
  const batch = d.shape.slice(d.shape.length - (paramShape(params).length - 1));
  const rows = tf.broadcastTo(classProbs(params), [...batch, k]).dataSync();
  return drawIndices(d.key, rows, k, d.size, d.offset);
}

/** The classes 0 … k − 1 as an axis on the right. */
const isClass = (value: tf.Tensor, k: number): tf.Tensor =>
  tf.equal(tf.expandDims(value, -1), tf.range(0, k, 1, "float32"));

function family<P extends Form>(form: P): Family<P> {
  return {
    family: "categorical",
    params: { [form]: CLASS_PARAMS[form] } as Family<P>["params"],
    support: (params) => integerInterval(0, classesOf(params) - 1),
    discrete: true,
    logProb(params, x) {
      const k = classesOf(params);
      const logs = tf.add(logClassProbs(params), tf.zeros([...x.shape, 1]));
      const chosen = tf.where(isClass(x, k), logs, tf.zerosLike(logs));
      const inside = tf.logicalAnd(isCount(x), tf.lessEqual(x, k - 1));
      return within(inside, tf.sum(chosen, -1));
    },
    draw: (params, d) => tf.tensor(classDraws(params, d), [...d.shape], "int32"),
    entropy: (params) => tf.neg(weightedLogs(classProbs(params), logClassProbs(params))),
  };
}

const byProbs = family("probs");
const byLogits = family("logits");

/**
 * P(i) = pᵢ for i = 0 … k − 1, from `{ probs }` or `{ logits }` (unnormalised log-probabilities) of shape `[...batch, k]`.
 * Draws are `int32` tensors, ready for `gather`.
 */
export const categorical = (p: ProbsOrLogits): Distribution => fromEitherForm(p, byProbs, byLogits);
