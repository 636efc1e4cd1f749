/** The result of importance sampling with one weight for each draw: weighted draws, their diagnostics, and estimates from them. */
import type * as tf from "@tensorflow/tfjs-core";
import { type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key, type Seed, toKey } from "../../core/key.ts";
import { sizeOf } from "../../core/shape.ts";
import type { TensorTree, Tree } from "../../core/tree.ts";
import type { Effect } from "../../effects/effects.ts";
import type { DeterministicsOf, LatentsOf } from "../../effects/sites.ts";
import type { EngineInfo } from "../../engine/engine.ts";
import { LARGEST_SHARE, LEAST_ESS } from "../diagnostics/thresholds.ts";
import type { Problem } from "../method/infer.ts";
import { expectationStream } from "../numeric/weight-loops.ts";
import { evaluateParts, siteOf, takeRows } from "../problem/site-draws.ts";
import { type Bound, type EvidenceOf, evidenceLabel, type Sandwich } from "../weights/bound.ts";
import { FEWEST_FOR_BOUNDS, logZ } from "../weights/log-z.ts";
import { paretoK, UNRELIABLE_K } from "../weights/pareto.ts";
import { type ResamplingScheme, resampleRows } from "../weights/resample.ts";
import { beginSums, diagnose, normalizeWeights } from "../weights/weights.ts";

/** A self-normalised mean and its standard error. */
export interface Estimate {
  readonly value: number;
  readonly standardError: number;
}

/** The same for every entry of a site. */
export interface SiteEstimate {
  /** Of the site's shape, `[...plates, ...event]`. */
  readonly value: NdArray;
  readonly standardError: NdArray;
}

/** Sites with draws: latent and deterministic ones. */
export type ResultSites<E extends Effect> = LatentsOf<E> | DeterministicsOf<E>;

/** Weighted draws of a model's latent sites. */
export interface SnisResult<E extends Effect = Effect> {
  /** Draws `[n, ...plates, ...event]` of latent and deterministic sites, as proposed, not yet weighted. */
  readonly sites: { readonly [N in ResultSites<E>]: NdArray };
  /** log p(z, data) − log q(z) for every draw, `[n]`, not normalised. */
  readonly logWeights: NdArray;
  /** Number of draws. */
  readonly n: number;
  /** Effective sample size, (Σw)²/Σw². */
  readonly ess: number;
  readonly essRatio: number;
  /** Share of all weight that the heaviest draw holds. */
  readonly largestWeight: number;
  /** Pareto shape of the weights: below .5 fine, to .7 usable, above unreliable. */
  readonly khat: number;
  /** log of the mean weight. Its expectation is at most the truth; `of` names the quantity. */
  readonly logEvidence: Bound<EvidenceOf<E>>;
  /** The same from both sides, see `logZ`; `undefined` with fewer than 64 draws. */
  readonly evidence: Sandwich<EvidenceOf<E>> | undefined;
  /** Whether diagnostics support the weighted means; if not, `warnings` say why. */
  readonly trusted: boolean;
  readonly warnings: readonly string[];
  /** Parameters used, unconstrained. */
  readonly params: Tree<NdArray>;
  readonly engine: EngineInfo;
  /** Weights that sum to 1. */
  weights(): Float64Array;
  /** Mean of a scalar site, or of a function of the sites that gives one number for each draw. */
  expectation(of: ResultSites<E> | ((sites: { readonly [N in ResultSites<E>]: tf.Tensor }) => tf.Tensor)): Estimate;
  /** Mean of every entry of a site. */
  mean(site: ResultSites<E>): SiteEstimate;
  /** Variance of every entry of a site, Σ w (z − mean)². */
  variance(site: ResultSites<E>): NdArray;
  /** `m` unweighted draws of every site, `[m, ...]`, in random order; draws repeat when m is large or some weights are large. */
  resample(m: number, options?: ResampleOptions): { readonly [N in ResultSites<E>]: NdArray };
}

/** Options of {@link SnisResult.resample}. */
export interface ResampleOptions {
  /** Default `systematic`. */
  readonly scheme?: ResamplingScheme;
  /** Default: derived from the run's own seed. */
  readonly seed?: Seed | Key;
}

/** The result of weighted draws. */
export function snisResult(
  problem: Problem,
  sites: Tree<NdArray>,
  logWeights: Float32Array,
  params: Tree<NdArray>,
  about: { readonly normalized: boolean; readonly hasData: boolean },
): SnisResult {
  const n = logWeights.length;
  const sums = beginSums(logWeights);
  const khat = paretoK(logWeights, sums.tailAbove);
  const weightSums = sums.finish();
  const { max } = weightSums;
  const { ess, essRatio, largestWeight, logMean, standardError } = diagnose(weightSums);
  const warnings = warningsOf(ess, largestWeight, khat);
  let normalized: Float64Array | undefined;
  const weights = () => {
    normalized ??= normalizeWeights(logWeights);
    return normalized;
  };
  const site = (name: string) => siteOf(sites, name);
  const mean = (name: string) => meanOf(site(name), weights());
  const label = evidenceLabel(about.normalized, about.hasData) as EvidenceOf<Effect>;
  return {
    sites,
    logWeights: ndarray(logWeights, [n]),
    n,
    ess,
    essRatio,
    largestWeight,
    khat,
    logEvidence: { value: logMean, standardError, side: "lower", of: label },
    // Computed on demand: it takes three more passes over the weights.
    get evidence() {
      return n < FEWEST_FOR_BOUNDS ? undefined : logZ(logWeights, label);
    },
    trusted: warnings.length === 0,
    warnings,
    params,
    engine: problem.engine,
    weights,
    mean,
    variance: (name) => varianceOf(site(name), weights()),
    expectation(of) {
      const stream = expectationStream(max, logWeights);
      if (typeof of === "string") stream.add(scalarSite(of, site(of)), logWeights);
      else {
        evaluateParts(sites, of as (s: TensorTree) => tf.Tensor, { n }, (values, first, draws) =>
          stream.add(values, logWeights.subarray(first, first + draws)),
        );
      }
      return stream.result();
    },
    resample(m, options = {}) {
      const { scheme = "systematic", seed } = options;
      const key = seed === undefined ? fold(problem.key, "resample") : toKey(seed);
      const rows = resampleRows(weights(), m, scheme, key);
      return Object.fromEntries(Object.entries(sites).map(([name, array]) => [name, takeRows(array, rows)]));
    },
  };
}

/** Σᵢ wᵢ zᵢ of every entry of draws `[n, ...event]`, given weights that sum to 1. */
function weightedMean(data: NdArray["data"], w: Float64Array, size: number): Float64Array {
  const mean = new Float64Array(size);
  for (let i = 0; i < w.length; i++)
    for (let j = 0; j < size; j++) mean[j] = (mean[j] as number) + (w[i] as number) * (data[i * size + j] as number);
  return mean;
}

/** The mean of every entry and its standard error, √Σ wᵢ²(zᵢ − mean)². */
function meanOf({ data, shape }: NdArray, w: Float64Array): SiteEstimate {
  const event = shape.slice(1);
  const size = sizeOf(event);
  const mean = weightedMean(data, w, size);
  const squares = new Float64Array(size);
  for (let i = 0; i < w.length; i++) {
    for (let j = 0; j < size; j++) {
      const term = (w[i] as number) * ((data[i * size + j] as number) - (mean[j] as number));
      squares[j] = (squares[j] as number) + term * term;
    }
  }
  return {
    value: ndarray(Float32Array.from(mean), event),
    standardError: ndarray(Float32Array.from(squares, Math.sqrt), event),
  };
}

/** Σᵢ wᵢ(zᵢ − mean)² of every entry. */
function varianceOf({ data, shape }: NdArray, w: Float64Array): NdArray {
  const event = shape.slice(1);
  const size = sizeOf(event);
  const mean = Float32Array.from(weightedMean(data, w, size));
  const variance = new Float64Array(size);
  for (let i = 0; i < w.length; i++) {
    for (let j = 0; j < size; j++) {
      variance[j] =
        (variance[j] as number) + (w[i] as number) * ((data[i * size + j] as number) - (mean[j] as number)) ** 2;
    }
  }
  return ndarray(Float32Array.from(variance), event);
}

function warningsOf(ess: number, largestWeight: number, khat: number): string[] {
  if (ess === 0) return ["every weight is zero: no draw is possible under the model"];
  const warnings: string[] = [];
  if (khat > UNRELIABLE_K) {
    warnings.push(
      `Pareto k is ${khat.toFixed(2)}, above ${UNRELIABLE_K}: weighted means are unreliable; use a proposal closer to the target`,
    );
  }
  if (ess < LEAST_ESS.weights) warnings.push(`the effective sample size is only ${ess.toFixed(1)}`);
  if (largestWeight > LARGEST_SHARE) {
    warnings.push(`one draw holds ${Math.round(100 * largestWeight)} % of all weight`);
  }
  return warnings;
}

function scalarSite(name: string, { data, shape }: NdArray): ArrayLike<number> {
  if (sizeOf(shape.slice(1)) !== 1) {
    fail(
      "shape",
      `expectation: "${name}" is no scalar; use mean("${name}"), or a function that gives one number for each draw`,
      { site: name },
    );
  }
  return data;
}
