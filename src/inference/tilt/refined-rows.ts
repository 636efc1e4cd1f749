/**
 * Posterior draws better than the encoder's: sampling-importance-resampling of each datum's latent, from the encoder's Gaussian and
 * a shared pool. An encoder misplaces data it was not trained on; a tilt fitted to its draws would learn those misplacements.
 */
import * as tf from "@tensorflow/tfjs-core";
import { type NdArray, ndarray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fold, type Key, type Seed, toKey } from "../../core/key.ts";
import { HALF_LOG_2PI } from "../../core/numeric/elementary.ts";
import { logAddExp } from "../../core/numeric/log-sum-exp.ts";
import { bits, normal } from "../../core/random/draws.ts";
import { scope } from "../../core/scope.ts";
import { currentArray, hostTensor } from "../../core/tracing.ts";
import type { Tree } from "../../core/tree.ts";
import type { ParamEffect, Program } from "../../effects/effects.ts";
import { mapRows } from "../../effects/map-rows.ts";
import { predictive } from "../../effects/predictive.ts";
import { logDensities } from "../../effects/trace.ts";
import type { LatentVariableModel, Posteriors } from "../problem/latent-variable.ts";
import { resampleRows } from "../weights/resample.ts";
import { normalizeWeights } from "../weights/weights.ts";
import type { DrawableRows } from "./fit-tilt-types.ts";
import { aggregateBase, type LatentBase } from "./latent-base.ts";

/** An encoder, and a decoder that gives the logits of a Bernoulli for each feature. A `vae` is one. */
export interface BernoulliVae {
  readonly encoder: LatentVariableModel["encode"];
  readonly decoder: (z: tf.Tensor) => Program<ParamEffect, tf.Tensor>;
}

/** Options of {@link refinedRows}. */
export interface RefineOptions {
  readonly seed: Seed | Key;
  /** Candidates shared by all data, drawn from the aggregated posterior. Default 8192. */
  readonly pool?: number;
  /** Candidates for each datum, drawn from q(z|x). Default 16. */
  readonly own?: number;
  /** Draws kept for each datum. Default 32. */
  readonly draws?: number;
}

/**
 * Draws of the posterior p(z|x) ∝ p(x|z) p(z) of every row of `x`: candidates z come from the mixture a·q(z|x) + (1 − a)·q_agg(z),
 * weigh p(x|z) p(z) over that mixture, and are resampled.
 *
 * @param aggregate - The posteriors whose mixture q_agg is the pool's, usually those of the training data.
 * @returns Rows of which `draw` gives one of the kept draws, afresh at every call.
 * @throws `argument` when a number of candidates or draws is not a positive integer.
 */
export function refinedRows(
  net: BernoulliVae,
  params: Tree<NdArray>,
  x: NdArray,
  aggregate: Posteriors,
  options: RefineOptions,
): DrawableRows {
  const { pool = 8192, own = 16, draws = 32 } = options;
  for (const [name, value] of Object.entries({ pool, own, draws })) checkWhole("refinedRows", name, value);
  const key = toKey(options.seed);
  const base = aggregateBase(aggregate);
  const q = mapRows(x, params, net.encoder);
  const [m, d] = q.loc.shape as [number, number];

  const shared = predictive(base, { draws: pool, seed: fold(key, "pool") }).z as NdArray;
  const personal = ownCandidates(q, own, fold(key, "own"));
  const scores = { shared: targetOf(net, params, base, shared), personal: targetOf(net, params, base, personal) };
  const likelihood = products(x, scores.shared.logits, scores.shared.softplus);
  const table = new Float32Array(m * draws * d);
  const logWeights = new Float64Array(pool + own);
  const [logA, logB] = [Math.log(own / (own + pool)), Math.log(pool / (own + pool))];

  for (let i = 0; i < m; i++) {
    const logQ = gaussian(q, i);
    const weigh = (z: NdArray, at: number, logLikelihood: number, logAggregate: number): number => {
      const proposal = logAddExp(logA + logQ(z, at), logB + logAggregate);
      return logLikelihood + standardNormal(z, at) - proposal;
    };
    for (let p = 0; p < pool; p++) {
      logWeights[p] = weigh(shared, p, likelihood[i * pool + p] as number, scores.shared.logAggregate[p] as number);
    }
    for (let k = 0; k < own; k++) {
      const at = i * own + k;
      const fit = rowProduct(x, i, scores.personal.logits, at) - (scores.personal.softplus[at] as number);
      logWeights[pool + k] = weigh(personal, at, fit, scores.personal.logAggregate[at] as number);
    }
    const rows = resampleRows(normalizeWeights(logWeights), draws, "systematic", fold(fold(key, "resample"), i));
    rows.forEach((row, j) => {
      const [from, at] = row < pool ? [shared, row] : [personal, i * own + row - pool];
      table.set(from.data.subarray(at * d, (at + 1) * d), (i * draws + j) * d);
    });
  }
  return {
    count: m,
    draw(drawKey, rows) {
      return hostTensor(() => {
        const choice = bits(fold(drawKey, "refined"), rows.length);
        const out = new Float32Array(rows.length * d);
        currentArray(rows).forEach((row, n) => {
          const at = row * draws + ((choice[n] as number) % draws);
          out.set(table.subarray(at * d, (at + 1) * d), n * d);
        });
        return out;
      }, [rows.length, d]);
    },
  };
}

/** `own` draws of q(z|x_i) for every i, `[m·own, d]`. */
function ownCandidates({ loc, scale }: Posteriors, own: number, key: Key): NdArray {
  const [m, d] = loc.shape as [number, number];
  const data = normal(key, m * own * d);
  for (let i = 0; i < data.length; i++) {
    const at = Math.floor(i / (own * d)) * d + (i % d);
    data[i] = (loc.data[at] as number) + (scale.data[at] as number) * (data[i] as number);
  }
  return ndarray(data, [m * own, d]);
}

/** The parts of a candidate's weight: logits and Σ softplus(logits) of its decoding, and log q_agg. */
function targetOf({ decoder }: BernoulliVae, params: Tree<NdArray>, base: LatentBase, z: NdArray) {
  const logits = mapRows(z, params, decoder);
  const softplus = mapRows(logits, {}, function* (rows) {
    return tf.sum(tf.softplus(rows), 1);
  });
  return { logits, softplus: softplus.data, logAggregate: logDensities(base, { z }).data };
}

/** log p(x_i|z_p) = x_i·logits_p − Σ softplus(logits_p) for all pairs, `[m, pool]` flat. */
const products = (x: NdArray, logits: NdArray, softplus: ArrayLike<number>): Float32Array =>
  scope(() => {
    const dot = tf.matMul(x.tensor() as tf.Tensor2D, logits.tensor() as tf.Tensor2D, false, true);
    return tf
      .sub(dot, tf.tensor1d(Float32Array.from(softplus)))
      .dataSync()
      .slice() as Float32Array;
  });

function rowProduct(x: NdArray, i: number, logits: NdArray, at: number): number {
  const size = x.shape[1] as number;
  let sum = 0;
  for (let j = 0; j < size; j++) sum += (x.data[i * size + j] as number) * (logits.data[at * size + j] as number);
  return sum;
}

/** log q(z|x_i), with its constants computed once. */
function gaussian({ loc, scale }: Posteriors, i: number): (z: NdArray, at: number) => number {
  const d = loc.shape[1] as number;
  let constant = 0;
  for (let j = 0; j < d; j++) constant -= Math.log(scale.data[i * d + j] as number) + HALF_LOG_2PI;
  return (z, at) => {
    let sum = constant;
    for (let j = 0; j < d; j++) {
      const u = ((z.data[at * d + j] as number) - (loc.data[i * d + j] as number)) / (scale.data[i * d + j] as number);
      sum -= (u * u) / 2;
    }
    return sum;
  };
}

/** log N(z; 0, I). */
function standardNormal(z: NdArray, at: number): number {
  const d = z.shape[1] as number;
  let sum = -d * HALF_LOG_2PI;
  for (let j = 0; j < d; j++) sum -= (z.data[at * d + j] as number) ** 2 / 2;
  return sum;
}
