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
import { currentTracer, hostTensor, isConcrete } from "../../core/tracing.ts";
import type { SiteRecord } from "../../effects/interpret.ts";
import { logSoftmax, logSumExp, stopGradient } from "../../engine/ops.ts";
import { type Weighed, type WeighOptions, weigh } from "../problem/log-weights.ts";
import { impossibleSite, type ModelAndGuide, type PairOptions } from "../problem/match-guide.ts";

/**
 * How gradients are taken.
 *
 * - `pathwise`: the bound as it is, through reparameterised draws. Unbiased.
 * - `stl`: without the score of q at fixed draws, which has mean zero for K = 1: variance 0 where q is the posterior
 *   (Roeder et al. 2017). For K > 1 it is biased.
 * - `dreg`: doubly reparameterised, Σ_k w̃_k² ∂log w_k/∂z_k ∂z_k/∂φ for the guide, w̃ the normalised weights. Unbiased, and its
 *   signal does not fade as K grows (Tucker et al. 2019). For K = 1 it is `stl`.
 */
export type Estimator = "pathwise" | "stl" | "dreg";

/** What replaces the mean of the learning signal at draws that cannot be reparameterised; it changes variance, never the mean. */
export type Baseline = "leave-one-out" | "running-mean" | "none";

/** What to estimate. */
export interface BoundOptions extends PairOptions {
  /** K: particles inside one bound. */
  readonly k: number;
  /** Independent bounds of K particles, averaged. */
  readonly draws: number;
  readonly estimator: Estimator;
  readonly closed: boolean;
  readonly baseline: Baseline;
  /** Mean learning signal of earlier steps, for `running-mean`. */
  readonly expected?: () => number;
}

/** A bound that can be differentiated. */
export interface Surrogate {
  /** Scalar: its value is the estimate of the bound over the population, its gradient the chosen estimate of the gradient. */
  readonly bound: tf.Tensor;
  /** Mean over rows of the learning signal, for `running-mean`; known when the run is done. */
  readonly signal: () => number;
}

/** `x` with the value of `x` and the gradient of `y`. */
const withGradientOf = (x: tf.Tensor, y: tf.Tensor): tf.Tensor => tf.add(stopGradient(x), tf.sub(y, stopGradient(y)));

/** Estimates the bound, with gradients. Call it inside `scope` and inside a gradient. */
export function surrogate(pair: ModelAndGuide, options: BoundOptions): Surrogate {
  const { k, draws, estimator } = options;
  const particles = k * draws === 1 ? undefined : k * draws;
  // Known only after the forward pass; read by the gates on the way back.
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
  const logW = tf.reshape(weighed.logWeights, [draws, k, rows]);
  // [draws, rows]
  const perRow = k === 1 ? tf.reshape(logW, [draws, rows]) : tf.sub(logSumExp(logW, 1), Math.log(k));
  let gradient = perRow;
  if (gated) {
    normalized = normalizedWeights(logW, draws, k, rows);
    gradient = tf.sum(tf.mul(logW, normalized()), 1);
  }
  let signal = () => 0;
  if (weighed.logScores !== undefined) {
    const learned = learningSignal(weighed.logWeights, perRow, options, rows);
    signal = learned.mean;
    const scores = tf.reshape(weighed.logScores, [draws, k, rows]);
    gradient = tf.add(gradient, tf.sum(tf.mul(scores, learned.signal), 1));
  }
  const reduce = (x: tf.Tensor) => tf.mul(tf.sum(tf.mean(x, 0)), weighed.rowScale);
  const bound = gradient === perRow ? reduce(perRow) : withGradientOf(reduce(perRow), reduce(gradient));
  explainInfinity(bound, weighed);
  return { bound, signal };
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

/** Weights of each bound in each row, summing to 1 over its k particles; layout `[draws, k, rows]`. */
function normalizedWeights(logW: tf.Tensor, draws: number, k: number, rows: number): () => tf.Tensor {
  const trace = currentTracer();
  if (trace?.isSymbolic(logW)) return trace.alias(tf.exp(logSoftmax(logW, 1)));
  const out = normalizeOnHost(logW.dataSync(), draws, k, rows);
  return () => tf.tensor(out, [draws, k, rows]);
}

function normalizeOnHost(logWeights: ArrayLike<number>, draws: number, k: number, rows: number): Float32Array {
  const out = new Float32Array(logWeights.length);
  for (let d = 0; d < draws; d++) {
    for (let r = 0; r < rows; r++) {
      const at = (j: number) => (d * k + j) * rows + r;
      let max = Number.NEGATIVE_INFINITY;
      for (let j = 0; j < k; j++) max = Math.max(max, logWeights[at(j)] as number);
      let sum = 0;
      for (let j = 0; j < k; j++) sum += Math.exp((logWeights[at(j)] as number) - max);
      for (let j = 0; j < k; j++) out[at(j)] = Math.exp((logWeights[at(j)] as number) - max) / sum;
    }
  }
  return out;
}

/**
 * What multiplies the score of every particle, `[draws, k, rows]`: the bound of its row less a baseline that does not depend on
 * the particle. Leave-one-out: for K = 1 the mean over the other draws; for K > 1 the bound with the particle's log-weight
 * replaced by the mean of the others' (VIMCO, Mnih & Rezende 2016).
 */
function learningSignal(
  logWeights: tf.Tensor2D,
  perRow: tf.Tensor,
  { k, draws, baseline, expected = () => 0 }: BoundOptions,
  rows: number,
): { readonly signal: tf.Tensor; readonly mean: () => number } {
  if (!isConcrete(logWeights)) return recordedSignal(logWeights, perRow, { k, draws, baseline, expected }, rows);
  const bounds = perRow.dataSync();
  const out = new Float32Array(draws * k * rows);
  const logW = logWeights.dataSync();
  let total = 0;
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let d = 0; d < draws; d++) sum += bounds[d * rows + r] as number;
    total += sum / draws;
    for (let d = 0; d < draws; d++) {
      const bound = bounds[d * rows + r] as number;
      const column = (j: number) => logW[(d * k + j) * rows + r] as number;
      const others = baseline === "leave-one-out" && k > 1 ? leaveOneOut(column, k) : undefined;
      const outside =
        baseline === "running-mean" ? expected() : baseline === "none" || draws === 1 ? 0 : (sum - bound) / (draws - 1);
      for (let j = 0; j < k; j++) out[(d * k + j) * rows + r] = bound - (others?.[j] ?? outside);
    }
  }
  return { signal: tf.tensor(out, [draws, k, rows]), mean: () => total / rows };
}

/** The same in ops, for a step that is being recorded. */
function recordedSignal(
  logWeights: tf.Tensor2D,
  perRow: tf.Tensor,
  { k, draws, baseline, expected }: Required<Pick<BoundOptions, "k" | "draws" | "baseline" | "expected">>,
  rows: number,
): { readonly signal: tf.Tensor; readonly mean: () => number } {
  const bounds = stopGradient(tf.reshape(perRow, [draws, 1, rows]));
  let mean = 0;
  currentTracer()?.hostCallback(tf.mean(bounds), (values) => {
    mean = values[0] as number;
  });
  return { signal: tf.sub(bounds, baselineOf()), mean: () => mean };

  function baselineOf(): tf.Tensor {
    if (baseline === "leave-one-out" && k > 1)
      return leaveOneOutOf(stopGradient(tf.reshape(logWeights, [draws, k, rows])));
    if (baseline === "running-mean") return hostTensor(() => Float32Array.of(expected()), [1, 1, 1]);
    if (baseline === "none" || draws === 1) return tf.zeros([draws, 1, rows]);
    return tf.div(tf.sub(tf.sum(bounds, 0, true), bounds), draws - 1);
  }
}

/** {@link leaveOneOut} for all particles: entry [j, i] of the table is the i-th log-weight, its own replaced on the diagonal. */
function leaveOneOutOf(logW: tf.Tensor): tf.Tensor {
  const [draws, k, rows] = logW.shape as [number, number, number];
  const stand = tf.div(tf.sub(tf.sum(logW, 1, true), logW), k - 1);
  const own = tf.reshape(tf.cast(tf.eye(k), "bool"), [1, k, k, 1]);
  const full = [draws, k, k, rows];
  const others = tf.broadcastTo(tf.reshape(logW, [draws, 1, k, rows]), full);
  const mine = tf.broadcastTo(tf.reshape(stand, [draws, k, 1, rows]), full);
  return tf.sub(logSumExp(tf.where(tf.broadcastTo(own, full), mine, others), 2), Math.log(k));
}

/** For each j: log (1/K)(Σ_{i≠j} w_i + ŵ_j), where log ŵ_j is the mean of the other log-weights. */
function leaveOneOut(logWeight: (i: number) => number, k: number): Float64Array {
  let sum = 0;
  for (let i = 0; i < k; i++) sum += logWeight(i);
  return Float64Array.from({ length: k }, (_, j) => {
    const stand = (sum - logWeight(j)) / (k - 1);
    let max = stand;
    for (let i = 0; i < k; i++) if (i !== j) max = Math.max(max, logWeight(i));
    let rest = Math.exp(stand - max);
    for (let i = 0; i < k; i++) if (i !== j) rest += Math.exp(logWeight(i) - max);
    return max + Math.log(rest / k);
  });
}

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
