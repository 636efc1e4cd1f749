/**
 * The score of data, ∇_x log p(x), of a model whose latent is integrated out: by Fisher's identity with self-normalised weights, or, as a
 * named approximation, the gradient of the ELBO.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key, type Seed, toKey } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { showShape } from "../../core/shape.ts";
import { type Tree, toTensors } from "../../core/tree.ts";
import { normal } from "../../dist/index.ts";
import { interpret } from "../../effects/interpret.ts";
import { LEAST_ESS } from "../diagnostics/thresholds.ts";
import {
  checkSmooth,
  elboTerm,
  encoderDraws,
  type LatentVariableModel,
  likelihoodTerm,
  type ScoreTerm,
} from "../problem/latent-variable.ts";
import { diagnose, normalizeWeights, sumWeights } from "../weights/weights.ts";

/** Options of {@link fisherScore} and {@link elboScore}. */
export interface ScoreOptions {
  readonly seed: Seed | Key;
  /** Unconstrained parameters, as a fit's `params`. */
  readonly params?: Tree<NdArray>;
  /** Draws of q(z|x) for each row. Default 256. */
  readonly particles?: number;
}

/** A gradient of log p(x) in x, row by row. */
export interface Score {
  /** `[n, features]`. */
  readonly gradient: NdArray;
  /** Monte Carlo standard error of every entry, `[n, features]`. It does not include a bias. */
  readonly standardError: NdArray;
  /**
   * What this estimates: `fisher`, ∇ log p(x), consistent in the number of particles; `elbo-approximation`, ∇ ELBO(x), which stays
   * off by the gradient of KL(q(z|x) ‖ p(z|x)).
   */
  readonly method: "fisher" | "elbo-approximation";
  /** Effective share of each row's particles, ESS/K; 1 for the ELBO, which has no weights. */
  readonly essRatio: Float64Array;
  /** Reasons not to trust it. */
  readonly warnings: readonly string[];
}

/** Rows × particles in one run. */
const CHUNK = 1 << 14;

/**
 * ∇_x log p(x) = E_{p(z|x)}[∇_x log p(x|z)] ≈ Σ_k w_k ∇_x log p(x|z_k), z_k ~ q(z|x), w_k ∝ p(x, z_k)/q(z_k|x).
 *
 * The weights correct the errors of the encoder; the bias is O(1/K). The standard error is that of the ratio,
 * √(Σ w_k² (g_k − ĝ)²).
 *
 * @param x - Where to take it, `[n, features]`.
 * @throws `shape` unless x is `[n, features]`; `not-differentiable` for a discrete likelihood: run chains over (z, ε) with `inNoise`.
 */
export function fisherScore(net: LatentVariableModel, x: NdArray, options: ScoreOptions): Score {
  const { rows, particles, ...terms } = perParticle("fisherScore", net, x, options, likelihoodTerm(net));
  const weights = new Float64Array(rows * particles);
  const essRatio = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    const ofRow = Float64Array.from({ length: particles }, (_, k) => terms.logWeights[k * rows + i] as number);
    const sums = sumWeights(ofRow);
    if (!(sums.sum > 0))
      fail("non-finite", `fisherScore: row ${i} has density 0, or one that is not finite, at every draw`);
    essRatio[i] = diagnose(sums).essRatio;
    normalizeWeights(ofRow).forEach((w, k) => {
      weights[k * rows + i] = w;
    });
  }
  const poor = essRatio.reduce((count, ratio) => count + (ratio * particles < LEAST_ESS.score ? 1 : 0), 0);
  const warnings =
    poor === 0
      ? []
      : [
          `fisherScore: ${poor} of ${rows} rows have fewer than ${LEAST_ESS.score} effective particles of ${particles}: the encoder is far from the posterior there; take more particles`,
        ];
  return { ...weightedMean(terms.gradients, weights, rows, particles, x.shape), method: "fisher", essRatio, warnings };
}

/**
 * **An approximation**: ∇_x ELBO(x) = ∇_x E_{q(z|x)}[log p(x, z) − log q(z|x)], through the reparameterised encoder.
 *
 * It differs from the score by −∇_x KL(q(z|x) ‖ p(z|x)), at any number of particles: zero where the encoder is exact, of unknown size
 * elsewhere. It is here to be compared with {@link fisherScore}.
 *
 * @throws As {@link fisherScore}.
 */
export function elboScore(net: LatentVariableModel, x: NdArray, options: ScoreOptions): Score {
  const { rows, particles, gradients } = perParticle("elboScore", net, x, options, elboTerm(net));
  const equal = new Float64Array(rows * particles).fill(1 / particles);
  return {
    ...weightedMean(gradients, equal, rows, particles, x.shape),
    method: "elbo-approximation",
    essRatio: new Float64Array(rows).fill(1),
    warnings: ["elboScore: the gradient of a bound, off by that of KL(q(z|x) ‖ p(z|x)); fisherScore has no such bias"],
  };
}

/** For each of K draws z_k ~ q(z|x): the gradient of `term` in x at fixed noise, `[K, n, features]`, and log p(x, z_k)/q(z_k|x), `[K, n]`. */
function perParticle(what: string, net: LatentVariableModel, x: NdArray, options: ScoreOptions, term: ScoreTerm) {
  const { particles = 256, params = {} } = options;
  const { features, latent } = net;
  if (x.shape.length !== 2 || x.shape[1] !== features)
    fail("shape", `${what}: expected data of shape [n, ${features}], got ${showShape(x.shape)}`);
  checkWhole(what, "particles", particles);
  const key = toKey(options.seed);
  const rows = x.shape[0] as number;
  const gradients = new Float32Array(particles * rows * features);
  const logWeights = new Float32Array(particles * rows);
  const size = Math.max(1, Math.floor(CHUNK / particles));
  for (let from = 0; from < rows; from += size) {
    const count = Math.min(size, rows - from);
    const part = ndarray(x.data.slice(from * features, (from + count) * features), [count, features]);
    const [gradient, logWeight] = scope(() => {
      // Parameters that are not given take their initial values, the same in every chunk.
      const given = { params: toTensors(params), key: fold(key, "init") };
      const at = tf.tile(tf.expandDims(part.tensor(), 0), [particles, 1, 1]);
      const noise = normal(tf.zeros([count, latent]), 1).sample(fold(fold(key, "score"), from), [particles]);
      const run = interpret(encoderDraws(net, part.tensor(), noise), given).result;
      checkSmooth(what, run.dist);
      const gradientAt = tf.grad((moved: tf.Tensor) => tf.sum(interpret(term(moved, run.z, noise), given).result));
      return [fromTensor(gradientAt(at)).data, fromTensor(run.logWeights).data] as const;
    });
    for (let k = 0; k < particles; k++) {
      const width = count * features;
      gradients.set(gradient.subarray(k * width, (k + 1) * width), (k * rows + from) * features);
      logWeights.set(logWeight.subarray(k * count, (k + 1) * count), k * rows + from);
    }
  }
  return { rows, particles, gradients, logWeights };
}

/** Weighted means over particles with their standard errors, in double precision. */
function weightedMean(
  gradients: Float32Array,
  weights: Float64Array,
  rows: number,
  particles: number,
  shape: NdArray["shape"],
): Pick<Score, "gradient" | "standardError"> {
  const features = shape[1] as number;
  const mean = new Float64Array(rows * features);
  const variance = new Float64Array(rows * features);
  const each = (visit: (weight: number, gradient: number, at: number) => void) => {
    for (let k = 0; k < particles; k++)
      for (let at = 0; at < rows * features; at++)
        visit(
          weights[k * rows + Math.floor(at / features)] as number,
          gradients[k * rows * features + at] as number,
          at,
        );
  };
  each((w, g, at) => {
    mean[at] = (mean[at] as number) + w * g;
  });
  each((w, g, at) => {
    variance[at] = (variance[at] as number) + (w * (g - (mean[at] as number))) ** 2;
  });
  return {
    gradient: ndarray(Float32Array.from(mean), shape),
    standardError: ndarray(Float32Array.from(variance, Math.sqrt), shape),
  };
}
