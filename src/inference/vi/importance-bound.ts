/**
 * The importance-weighted bound and its gradient estimators, from log-weights per particle and row (Burda et al. 2016):
 *
 *   L_K = Σ_rows E log (1/K) Σ_k w_k,   w_k = p(x, z_k)/q(z_k),   z_k ~ q.
 *
 * K = 1 is the evidence lower bound. The log-mean-exp over particles is taken within each row, then rows are summed: the other
 * order bounds the same evidence, but far more loosely.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { constantsOf, isConcrete, withValues } from "../../core/tracing.ts";
import { scored } from "../../effects/density.ts";
import type { Execution, SiteRecord } from "../../effects/interpret.ts";
import { logOfSum, noGrad, shiftedExp, stopGradient } from "../../engine/ops.ts";
import type { ModelAndGuide } from "../problem/model-and-guide.ts";
import type { RunOptions } from "../problem/runs.ts";
import { perPopulationRow, type Weighed, type WeighOptions, weigh } from "../problem/weigh.ts";
import { learningSignal, type SignalOptions } from "./learning-signal.ts";

/**
 * How gradients are taken.
 *
 * - `pathwise`: the bound as it is, through reparameterised draws. Unbiased.
 * - `stl`: without the score of q at fixed draws, which has mean zero for K = 1: variance 0 where q is the posterior
 *   (Roeder et al. 2017). For K > 1 it is biased.
 * - `dreg`: doubly reparameterised, Σ_k w̃_k² ∂log w_k/∂z_k ∂z_k/∂φ for the guide, w̃ the normalised weights. Unbiased, and its
 *   signal-to-noise ratio does not fall as K grows (Tucker et al. 2019). For K = 1 it is `stl`.
 */
export type Estimator = "pathwise" | "stl" | "dreg";

/** What to estimate. */
export interface BoundOptions extends RunOptions, SignalOptions {
  /** K: particles inside one bound. */
  readonly k: number;
  /** Independent bounds of K particles, averaged. */
  readonly draws: number;
  readonly estimator: Estimator;
  readonly closed: boolean;
}

/** A bound that can be differentiated. */
export interface Surrogate {
  /** Scalar: its value is the estimate of the bound over the population, its gradient the chosen estimate of the gradient. */
  readonly bound: tf.Tensor;
  /** Mean of the bound over rows, where the baseline is `running-mean`; known after the run. */
  readonly signal: () => number;
}

/** `x` with the value of `x` and the gradient of `y`. */
const withGradientOf = (x: tf.Tensor, y: tf.Tensor): tf.Tensor => tf.add(stopGradient(x), tf.sub(y, stopGradient(y)));

/** Estimates the bound, with gradients. Call it inside `scope` and inside a gradient. */
export function surrogate(pair: ModelAndGuide, options: BoundOptions): Surrogate {
  const { k, draws, estimator } = options;
  const particles = k * draws === 1 ? undefined : k * draws;
  // Known only after the forward pass; read by the gates in the backward pass.
  let normalized: (() => tf.Tensor) | undefined;
  const gated = estimator === "dreg" && k > 1;
  const weighing: WeighOptions = {
    ...options,
    particles,
    pathOnly: estimator !== "pathwise",
    ...(gated && { gate: (value, site) => gateBy(() => (normalized as () => tf.Tensor)(), pair, value, site) }),
  };
  const weighed = weigh(pair, weighing);
  const rows = weighed.logWeights.shape[1];
  const logW = tf.reshape(perPopulationRow(weighed), [draws, k, rows]);
  const relative = k === 1 ? undefined : shiftedExp(logW, 1);
  // [draws, rows]
  const perRow = tf.reshape(relative === undefined ? logW : tf.sub(logOfSum(relative), Math.log(k)), [draws, rows]);
  let gradient = perRow;
  if (gated && relative !== undefined) {
    normalized = constantsOf(noGrad(() => tf.div(relative.exp, relative.sum)));
    gradient = tf.sum(tf.mul(logW, normalized()), 1);
  }
  let signal = 0;
  if (weighed.logScores !== undefined) {
    const learning = noGrad(() => learningSignal(tf.reshape(perRow, [draws, 1, rows]), logW, relative, options));
    const scores = tf.reshape(weighed.logScores, [draws, k, rows]);
    gradient = tf.add(gradient, tf.sum(tf.mul(scores, learning), 1));
    if (options.baseline === "running-mean") {
      const mean = noGrad(() => tf.mean(perRow));
      withValues(mean, ([value]) => {
        signal = value as number;
      });
    }
  }
  const reduce = (x: tf.Tensor) => tf.mul(tf.sum(tf.mean(x, 0)), weighed.rowScale);
  const bound = gradient === perRow ? reduce(perRow) : withGradientOf(reduce(perRow), reduce(gradient));
  explainInfinity(bound, weighed);
  return { bound, signal: () => signal };
}

/** The identity, whose derivative is multiplied by the normalised weight of each particle in each row. */
function gateBy(weights: () => tf.Tensor, pair: ModelAndGuide, value: tf.Tensor, site: SiteRecord): tf.Tensor {
  const particles = value.shape[0] as number;
  const lead = value.rank - site.eventRank;
  const rows = value.shape.slice(lead - pair.rows.length, lead);
  const ones = (n: number) => Array<number>(n).fill(1);
  const shape = [particles, ...ones(lead - 1 - rows.length), ...rows, ...ones(site.eventRank)];
  return tf.customGrad((x: tf.Tensor | tf.GradSaveFunc) => ({
    value: (x as tf.Tensor).clone(),
    gradFunc: (dy: tf.Tensor) => tf.mul(dy, tf.reshape(weights(), shape)),
  }))(value);
}

/** A site of probability zero. */
const impossibleSite = (run: Execution): SiteRecord | undefined =>
  scored(run).find((site) => site.logProb?.dataSync().includes(Number.NEGATIVE_INFINITY));

/** @throws `non-finite` naming the site, when a draw of the guide is impossible under the model. */
function explainInfinity(bound: tf.Tensor, { model }: Weighed): void {
  if (!isConcrete(bound)) return;
  const value = bound.dataSync()[0] as number;
  if (Number.isFinite(value)) return;
  const site = impossibleSite(model);
  if (site === undefined) return;
  fail(
    "non-finite",
    `the bound is ${value}: what the guide drew has probability zero at "${site.name}"; give the guide the same support as the model`,
    { site: site.name },
  );
}
