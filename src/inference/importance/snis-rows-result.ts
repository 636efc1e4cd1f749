/** What importance sampling gives when every row has weights of its own: each row is a posterior apart, with its own diagnostics. */
import type * as tf from "@tensorflow/tfjs-core";
import { type NdArray, ndarray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key, toKey } from "../../core/key.ts";
import { sizeOf } from "../../core/shape.ts";
import type { TensorTree, Tree } from "../../core/tree.ts";
import type { Effect } from "../../effects/effects.ts";
import type { EngineInfo } from "../../engine/engine.ts";
import { LARGEST_SHARE, LEAST_ESS } from "../diagnostics/thresholds.ts";
import { momentStream, weightStream } from "../numeric/weighted-moments.ts";
import { copyRows, type RowSite } from "../problem/row-plate.ts";
import { evaluate, siteOf, zerosLike } from "../problem/site-draws.ts";
import type { Bound, EvidenceOf, Sandwich } from "../weights/bound.ts";
import { FEWEST_FOR_BOUNDS, logZ } from "../weights/log-z.ts";
import { paretoK, UNRELIABLE_K } from "../weights/pareto.ts";
import { resampleRows } from "../weights/resample.ts";
import { diagnose, normalizeWeights, sumWeights } from "../weights/weights.ts";
import type { Kept, ResampleOptions, SiteEstimate } from "./snis-result.ts";

/** Bounds of the evidence of all rows together, and of each row. */
export interface RowsEvidence<Of extends string = string> extends Sandwich<Of> {
  readonly rows: readonly Sandwich<Of>[];
}

/** The rows at a glance. */
export interface RowSummary {
  readonly leastEss: number;
  readonly medianEss: number;
  readonly medianKhat: number;
  readonly largestKhat: number;
  /** Share of rows whose Pareto k is above .7: their means are not to be trusted. */
  readonly unreliable: number;
}

/**
 * Weighted draws of a model whose rows are independent, each row by its own weights. `Names` are the sites whose draws were kept.
 *
 * @remarks Shapes are `[draws, ...inner plates, rows, ...event]`.
 */
export interface SnisRowsResult<E extends Effect = Effect, Names extends string = Kept<E>> {
  /** Draws `[n, ...inner plates, rows, ...event]` as proposed: row r counts by the weights of row r. */
  readonly sites: { readonly [N in Names]: NdArray };
  /** `[m, ...inner plates, rows, ...event]`: m even draws of each row's posterior, of every site, m the option `resamples`. */
  readonly resamples: { readonly [N in Kept<E>]: NdArray };
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
  /** log of the mean weight, summed over rows (of the whole population, should the model look at a part). */
  readonly logEvidence: Bound<EvidenceOf<E>>;
  /** The same for each row, `[rows]`. */
  readonly rowEvidence: { readonly value: Float64Array; readonly standardError: Float64Array };
  /** The evidence from both sides, of all rows and of each, see `logZ`; `undefined` with fewer than 64 draws. */
  readonly evidence: RowsEvidence<EvidenceOf<E>> | undefined;
  /** Whether diagnostics let the means of all rows be trusted; if not, `warnings` say why. */
  readonly trusted: boolean;
  readonly warnings: readonly string[];
  /** Parameters used, unconstrained. */
  readonly params: Tree<NdArray>;
  readonly engine: EngineInfo;
  /** Weights of one row, which sum to 1. */
  weights(row: number): Float64Array;
  /** Mean of every entry of a site, kept or not, `[...inner plates, rows, ...event]`. */
  mean(site: Kept<E>): SiteEstimate;
  /** Variance of every entry of a site, kept or not. */
  variance(site: Kept<E>): NdArray;
  /** Mean of a site, as {@link SnisRowsResult.mean}, or in each row, `[rows]`, of a function of kept sites that gives `[draws, rows]` numbers. */
  expectation(of: Kept<E> | ((sites: { readonly [N in Names]: tf.Tensor }) => tf.Tensor)): SiteEstimate;
  /** `m` even draws of each row of the kept sites. Sites of one row stay together; rows are drawn apart. */
  resample(m: number, options?: ResampleOptions): { readonly [N in Names]: NdArray };
}

/** What a run hands over. */
export interface RowDrawing {
  readonly n: number;
  readonly rows: number;
  /** `[n, rows]`. */
  readonly logWeights: Float32Array;
  /** Rows of the population behind each row. */
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

/** Reads off weighted draws what a user wants of them. */
export function snisRowsResult(drawing: RowDrawing): SnisRowsResult {
  const { n, rows, logWeights, scale, sites, resamples, means, layouts, of, params, engine } = drawing;
  const column = (row: number) => Float32Array.from({ length: n }, (_, i) => logWeights[i * rows + row] as number);
  const per = () => new Float64Array(rows);
  const [ess, essRatio, largestWeight, khat, value, standardError] = [per(), per(), per(), per(), per(), per()];
  for (let r = 0; r < rows; r++) {
    const weights = column(r);
    const found = diagnose(sumWeights(weights));
    ess[r] = found.ess;
    essRatio[r] = found.essRatio;
    largestWeight[r] = found.largestWeight;
    khat[r] = paretoK(weights);
    value[r] = found.logMean;
    standardError[r] = found.standardError;
  }
  const warnings = warningsOf(ess, largestWeight, khat);
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
    ess,
    essRatio,
    largestWeight,
    khat,
    summary: {
      leastEss: ess.reduce((a, b) => Math.min(a, b)),
      medianEss: median(ess),
      medianKhat: median(khat),
      largestKhat: khat.reduce((a, b) => Math.max(a, b)),
      unreliable: khat.filter((k) => k > UNRELIABLE_K).length / rows,
    },
    logEvidence: {
      value: scale * value.reduce((a, b) => a + b, 0),
      // Rows are drawn apart, so their errors are independent.
      standardError: scale * Math.sqrt(standardError.reduce((a, b) => a + b * b, 0)),
      side: "lower",
      of: of as EvidenceOf<Effect>,
    },
    rowEvidence: { value, standardError },
    // On demand: it passes over all weights again.
    get evidence() {
      if (n < FEWEST_FOR_BOUNDS) return undefined;
      return together(
        Array.from({ length: rows }, (_, r) => logZ(column(r), of as EvidenceOf<Effect>)),
        scale,
      );
    },
    trusted: warnings.length === 0,
    warnings,
    params,
    engine,
    weights: rowWeights,
    mean,
    variance: (name) => siteOf(means, name).variance,
    expectation(of) {
      if (typeof of === "string") return mean(of);
      const h = evaluate(sites, of as (s: TensorTree) => tf.Tensor, n, rows);
      const part = weightStream(rows)(logWeights);
      const stream = momentStream({ outer: 1, rows, size: 1 });
      stream.add(h, part);
      const found = stream.moments(part);
      return {
        value: ndarray(Float32Array.from(found.mean)),
        standardError: ndarray(Float32Array.from(found.standardError)),
      };
    },
    resample(m, options = {}) {
      if (Object.keys(sites).length === 0) {
        fail(
          "argument",
          "resample: no draws were kept; let keep name the sites, or ask snis for `resamples`, which are drawn as the run goes",
        );
      }
      const { scheme = "systematic", seed } = options;
      const key = seed === undefined ? fold(drawing.key, "resample") : toKey(seed);
      const targets = Object.entries(sites).map(([name, source]) => {
        const { shape, data } = source;
        return { name, source, shape, data: zerosLike(data, m * sizeOf(shape.slice(1))) };
      });
      for (let at = 0; at < rows; at++) {
        if (ess[at] === 0) fail("non-finite", `resample: every weight of row ${at} is zero: it has no posterior draws`);
        resampleRows(rowWeights(at), m, scheme, fold(key, at)).forEach((draw, to) => {
          for (const { name, source, data } of targets) {
            const layout = layouts.get(name) as RowSite;
            copyRows(layout, { data: source.data, rows, draw, at }, { data, rows, draw: to, at }, 1);
          }
        });
      }
      return Object.fromEntries(targets.map(({ name, shape, data }) => [name, ndarray(data, [m, ...shape.slice(1)])]));
    },
  };
}

/** Sums over rows, which are drawn apart, so that their errors are independent. */
function together<Of extends string>(rows: readonly Sandwich<Of>[], scale: number): RowsEvidence<Of> {
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

const median = (x: Float64Array): number => {
  const sorted = x.slice().sort();
  const half = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(half) - 1] as number, sorted[Math.floor(half)] as number];
  // Two infinities of one sign have no mean.
  return low === high ? low : (low + high) / 2;
};

/** Each fault once, with how many rows have it and which is worst. */
function warningsOf(ess: Float64Array, largestWeight: Float64Array, khat: Float64Array): string[] {
  const rows = ess.length;
  const worst = (x: Float64Array, isBad: (v: number) => boolean, isWorse: (a: number, b: number) => boolean) => {
    let [count, at] = [0, -1];
    x.forEach((v, r) => {
      if (!isBad(v) || ess[r] === 0) return;
      count++;
      if (at < 0 || isWorse(v, x[at] as number)) at = r;
    });
    return { count, at, value: x[at] as number };
  };
  const warnings: string[] = [];
  const impossible = ess.filter((e) => e === 0).length;
  if (impossible > 0) {
    warnings.push(
      `${impossible} of ${rows} rows have only weights of zero (the first is row ${ess.indexOf(0)}): no draw is possible under the model`,
    );
  }
  const heavy = worst(
    khat,
    (k) => k > UNRELIABLE_K,
    (a, b) => a > b,
  );
  if (heavy.count > 0) {
    warnings.push(
      `${heavy.count} of ${rows} rows have a Pareto k above ${UNRELIABLE_K} (worst: row ${heavy.at} with ${heavy.value.toFixed(2)}): their means are unreliable; use a proposal closer to the target`,
    );
  }
  const few = worst(
    ess,
    (e) => e < LEAST_ESS.weights,
    (a, b) => a < b,
  );
  if (few.count > 0) {
    warnings.push(
      `${few.count} of ${rows} rows have fewer than ${LEAST_ESS.weights} effective draws (least: row ${few.at} with ${few.value.toFixed(1)})`,
    );
  }
  const alone = worst(
    largestWeight,
    (w) => w > LARGEST_SHARE,
    (a, b) => a > b,
  );
  if (alone.count > 0) {
    warnings.push(
      `in ${alone.count} of ${rows} rows one draw holds more than ${Math.round(100 * LARGEST_SHARE)} % of all weight (most: row ${alone.at} with ${Math.round(100 * alone.value)} %)`,
    );
  }
  return warnings;
}
