/** The result of importance sampling with weights for every row: each row is a posterior of its own, with its own diagnostics. */
import type * as tf from "@tensorflow/tfjs-core";
import { type NdArray, ndarray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key, toKey } from "../../core/key.ts";
import { sizeOf } from "../../core/shape.ts";
import type { TensorTree, Tree } from "../../core/tree.ts";
import type { Effect } from "../../effects/effects.ts";
import type { EngineInfo } from "../../engine/engine.ts";
import { momentStream, weightStream } from "../numeric/weighted-moments.ts";
import { copyRows, type RowSite } from "../problem/row-plate.ts";
import { evaluate, siteOf, zerosLike } from "../problem/site-draws.ts";
import type { Bound, EvidenceOf, Sandwich } from "../weights/bound.ts";
import { FEWEST_FOR_BOUNDS, logZ } from "../weights/log-z.ts";
import { resampleRows } from "../weights/resample.ts";
import { normalizeWeights } from "../weights/weights.ts";
import type { ResampleOptions, ResultSites, SiteEstimate } from "./snis-result.ts";
import { diagnoseRows, type RowSummary } from "./snis-rows-diagnostics.ts";

/** Bounds of the evidence of all rows together, and of each row. */
export interface RowsEvidence<Of extends string = string> extends Sandwich<Of> {
  readonly rows: readonly Sandwich<Of>[];
}

/**
 * Weighted draws of a model whose rows are independent, each row by its own weights. `Names` are the sites whose draws were kept.
 *
 * @remarks Shapes are `[draws, ...inner plates, rows, ...event]`.
 */
export interface SnisRowsResult<E extends Effect = Effect, Names extends string = ResultSites<E>> {
  /** Draws `[n, ...inner plates, rows, ...event]` as proposed, not yet weighted: row r has the weights of row r. */
  readonly sites: { readonly [N in Names]: NdArray };
  /** `[m, ...inner plates, rows, ...event]`: m unweighted draws of each row's posterior, of every site; m is the option `resamples`. */
  readonly resamples: { readonly [N in ResultSites<E>]: NdArray };
  /** log p(z, data) − log q(z) for every draw of every row, `[n, rows]`, not normalised. */
  readonly logWeights: NdArray;
  /** Number of draws of each row. */
  readonly n: number;
  /** Number of rows. */
  readonly rows: number;
  /** Effective sample size of each row, (Σw)²/Σw². */
  readonly ess: Float64Array;
  readonly essRatio: Float64Array;
  /** Share of the row's weight that its heaviest draw holds. */
  readonly largestWeight: Float64Array;
  /** Pareto shape of each row's weights. */
  readonly khat: Float64Array;
  readonly summary: RowSummary;
  /** log of the mean weight, summed over rows (of the whole population, where the model fixes a part of it). */
  readonly logEvidence: Bound<EvidenceOf<E>>;
  /** The same for each row, `[rows]`. */
  readonly rowEvidence: { readonly value: Float64Array; readonly standardError: Float64Array };
  /** The evidence from both sides, of all rows and of each, see `logZ`; `undefined` with fewer than 64 draws. */
  readonly evidence: RowsEvidence<EvidenceOf<E>> | undefined;
  /** Whether diagnostics support the means of all rows; if not, `warnings` say why. */
  readonly trusted: boolean;
  readonly warnings: readonly string[];
  /** Parameters used, unconstrained. */
  readonly params: Tree<NdArray>;
  readonly engine: EngineInfo;
  /** Weights of one row, which sum to 1. */
  weights(row: number): Float64Array;
  /** Mean of every entry of a site, kept or not, `[...inner plates, rows, ...event]`. */
  mean(site: ResultSites<E>): SiteEstimate;
  /** Variance of every entry of a site, kept or not. */
  variance(site: ResultSites<E>): NdArray;
  /** Mean of a site, as {@link SnisRowsResult.mean}, or in each row, `[rows]`, of a function of kept sites that gives `[draws, rows]` numbers. */
  expectation(of: ResultSites<E> | ((sites: { readonly [N in Names]: tf.Tensor }) => tf.Tensor)): SiteEstimate;
  /** `m` unweighted draws of each row of the kept sites. All sites of a row come from one draw; rows are resampled independently. */
  resample(m: number, options?: ResampleOptions): { readonly [N in Names]: NdArray };
}

/** The draws of a run. */
export interface RowDraws {
  readonly n: number;
  readonly rows: number;
  /** `[n, rows]`. */
  readonly logWeights: Float32Array;
  /** Rows of the population that each row stands for. */
  readonly scale: number;
  readonly sites: Tree<NdArray>;
  readonly resamples: Tree<NdArray>;
  readonly means: { readonly [name: string]: SiteEstimate & { readonly variance: NdArray } };
  readonly layouts: ReadonlyMap<string, RowSite>;
  readonly of: string;
  readonly key: Key;
  readonly params: Tree<NdArray>;
  readonly engine: EngineInfo;
}

/** The result of weighted draws. */
export function snisRowsResult(draws: RowDraws): SnisRowsResult {
  const { n, rows, logWeights, scale, sites, resamples, means, params, engine } = draws;
  const of = draws.of as EvidenceOf<Effect>;
  const column = (row: number) => Float32Array.from({ length: n }, (_, i) => logWeights[i * rows + row] as number);
  const { rowEvidence, warnings, ...diagnostics } = diagnoseRows(rows, column);
  const mean = (name: string): SiteEstimate => {
    const { value, standardError } = siteOf(means, name);
    return { value, standardError };
  };
  const rowWeights = (row: number): Float64Array => {
    checkWhole("weights", "row", row, 0, rows - 1);
    return normalizeWeights(column(row));
  };
  return {
    sites,
    resamples,
    logWeights: ndarray(logWeights, [n, rows]),
    n,
    rows,
    ...diagnostics,
    logEvidence: {
      value: scale * rowEvidence.value.reduce((a, b) => a + b, 0),
      // Rows are drawn independently, and so are their errors.
      standardError: scale * Math.sqrt(rowEvidence.standardError.reduce((a, b) => a + b * b, 0)),
      side: "lower",
      of,
    },
    rowEvidence,
    // Computed on demand: it passes over all weights again.
    get evidence() {
      if (n < FEWEST_FOR_BOUNDS) return undefined;
      const each = Array.from({ length: rows }, (_, r) => logZ(column(r), of));
      return sumOverRows(each, scale);
    },
    trusted: warnings.length === 0,
    warnings,
    params,
    engine,
    weights: rowWeights,
    mean,
    variance: (name) => siteOf(means, name).variance,
    expectation(of) {
      return typeof of === "string" ? mean(of) : meanOf(draws, of as (s: TensorTree) => tf.Tensor);
    },
    resample: (m, options = {}) => resampleEachRow(draws, diagnostics.ess, rowWeights, m, options),
  };
}

/** Mean of a function of the draws in each row. */
function meanOf({ n, rows, sites, logWeights }: RowDraws, of: (sites: TensorTree) => tf.Tensor): SiteEstimate {
  const h = evaluate(sites, of, n, rows);
  const part = weightStream(rows)(logWeights);
  const stream = momentStream({ outer: 1, rows, size: 1 });
  stream.add(h, part);
  const { mean, standardError } = stream.moments(part);
  return { value: ndarray(Float32Array.from(mean)), standardError: ndarray(Float32Array.from(standardError)) };
}

function resampleEachRow(
  { rows, sites, layouts, key }: RowDraws,
  ess: Float64Array,
  rowWeights: (row: number) => Float64Array,
  m: number,
  { scheme = "systematic", seed }: ResampleOptions,
): Tree<NdArray> {
  if (Object.keys(sites).length === 0) {
    fail(
      "argument",
      "resample: no draws were kept; let keep name the sites, or ask snis for `resamples`, which are drawn during the run",
    );
  }
  const root = seed === undefined ? fold(key, "resample") : toKey(seed);
  const targets = Object.entries(sites).map(([name, source]) => {
    const { shape, data } = source;
    return { name, source, shape, data: zerosLike(data, m * sizeOf(shape.slice(1))) };
  });
  for (let at = 0; at < rows; at++) {
    if (ess[at] === 0) fail("non-finite", `resample: every weight of row ${at} is zero: it has no posterior draws`);
    resampleRows(rowWeights(at), m, scheme, fold(root, at)).forEach((draw, to) => {
      for (const { name, source, data } of targets) {
        const layout = layouts.get(name) as RowSite;
        copyRows(layout, { data: source.data, rows, draw, at }, { data, rows, draw: to, at }, 1);
      }
    });
  }
  return Object.fromEntries(targets.map(({ name, shape, data }) => [name, ndarray(data, [m, ...shape.slice(1)])]));
}

/** Sums over rows, whose errors are independent. */
function sumOverRows<Of extends string>(rows: readonly Sandwich<Of>[], scale: number): RowsEvidence<Of> {
  const sum = (side: "lower" | "upper"): Bound<Of> => {
    const each = rows.map((row) => row[side]);
    return {
      ...(each[0] as Bound<Of>),
      value: scale * each.reduce((s, b) => s + b.value, 0),
      standardError: scale * Math.sqrt(each.reduce((s, b) => s + b.standardError ** 2, 0)),
    };
  };
  return { lower: sum("lower"), upper: sum("upper"), rows };
}
