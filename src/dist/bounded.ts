/** Continuous families on part of the line: uniform, exponential. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, fromTensor, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { exponential as exponentialDraws, uniform as uniformDraws } from "../core/random/draws.ts";
import { checkAll } from "../core/tracing.ts";
import { finite, interval, nonNegative, positive } from "./constraints.ts";
import { within } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";
import { type Family, fromFamily } from "./family.ts";

/** Refuses bounds that are not in order. */
export function checkOrder(family: string, low: ArrayLike, high: ArrayLike): void {
  tf.tidy(() => {
    const [a, b] = [toTensor(low), toTensor(high)];
    const ordered = tf.less(a, b);
    if (checkAll(ordered)) return;
    const bad = ordered.dataSync().indexOf(0);
    const [x, y] = [a, b].map((bound) => tf.broadcastTo(bound, ordered.shape).dataSync()[bad]);
    const where = ordered.size === 1 ? "" : ` (entry ${bad})`;
    fail("parameter", `${family}: low must be less than high, got ${x} and ${y}${where}`);
  });
}

/** A copy outside the engine: a support may outlive the scope of the parameters it came from. */
export const onHost = (x: tf.Tensor): ArrayLike => (x.rank === 0 ? (x.dataSync()[0] as number) : fromTensor(x));

const uniformFamily: Family<"low" | "high"> = {
  family: "uniform",
  params: { low: finite, high: finite },
  support: ({ low, high }) => interval(onHost(low), onHost(high)),
  logProb({ low, high }, x) {
    const inside = tf.logicalAnd(tf.greaterEqual(x, low), tf.lessEqual(x, high));
    return within(inside, tf.add(tf.zerosLike(x), tf.neg(tf.log(tf.sub(high, low)))));
  },
  // The rounding of the difference may lead beyond the upper bound by a unit in the last place.
  draw: ({ low, high }, d) => tf.minimum(tf.add(low, tf.mul(tf.sub(high, low), d.noise(uniformDraws))), high),
  mean: ({ low, high }) => tf.div(tf.add(low, high), 2),
  variance: ({ low, high }) => tf.div(tf.square(tf.sub(high, low)), 12),
  entropy: ({ low, high }) => tf.log(tf.sub(high, low)),
};

/** p(x) = 1/(high − low) on [low, high]. @throws `parameter` unless low < high. */
export function uniform(low: ArrayLike, high: ArrayLike): Distribution {
  checkOrder("uniform", low, high);
  return fromFamily(uniformFamily, { low, high });
}

const exponentialFamily: Family<"rate"> = {
  family: "exponential",
  params: { rate: positive },
  support: nonNegative,
  logProb: ({ rate }, x) => within(tf.greaterEqual(x, 0), tf.sub(tf.log(rate), tf.mul(rate, x))),
  draw: ({ rate }, d) => tf.div(d.noise(exponentialDraws), rate),
  mean: ({ rate }) => tf.reciprocal(rate),
  variance: ({ rate }) => tf.reciprocal(tf.square(rate)),
  entropy: ({ rate }) => tf.sub(1, tf.log(rate)),
};

/** p(x) = rate·exp(−rate·x) on x ≥ 0. */
export const exponential = (rate: ArrayLike): Distribution => fromFamily(exponentialFamily, { rate });
