/** The value of a variational bound over all data, with its standard error: no gradients, in chunks, summed in double precision. */
import { checkWhole } from "../../core/check.ts";
import { fold, type Key } from "../../core/key.ts";
import { logMeanExp } from "../../core/numeric/log-sum-exp.ts";
import { scope } from "../../core/scope.ts";
import type { MaybeTraced } from "../../core/tracing.ts";
import type { TensorTree } from "../../core/tree.ts";
import type { PlateFrame } from "../../effects/effects.ts";
import { allRows, type Subsample } from "../problem/minibatch.ts";
import { dataRows, type ModelAndGuide } from "../problem/model-and-guide.ts";
import { perPopulationRow, weigh } from "../problem/weigh.ts";
import { type Bound, evidenceLabel } from "../weights/bound.ts";

/** How to estimate. */
export interface EstimateOptions {
  readonly key: Key;
  /** Unconstrained parameters, in the scope of the call. */
  readonly params: () => TensorTree;
  /** K: particles inside one bound. */
  readonly k: number;
  /** Independent bounds per row; at least 2 for a standard error. Default: enough for 1000 over all rows, at least 4. */
  readonly draws?: number;
  /** Uses closed forms of KL where there are any; for K = 1 only. */
  readonly closed: boolean;
  /** Computes the log-weights of a part otherwise, for instance compiled; where it gives none they are computed op by op. */
  readonly weights?: (part: BoundPart) => Float32Array | undefined;
}

/** One run of model and guide: some particles of some rows. */
export interface BoundPart {
  readonly params: TensorTree;
  readonly closed: boolean;
  readonly key: Key;
  readonly subsample: Subsample;
  readonly particles: number | undefined;
  readonly first: MaybeTraced;
  /** Rows with a log-weight of their own. */
  readonly rows: number;
}

/** What the runs of an estimate have in common, for a caller that compiles them. */
export interface BoundParts {
  readonly closed: boolean;
  /** The first of them. */
  readonly first: Omit<BoundPart, "params">;
  /** One of other rows where there are any. */
  readonly other: Omit<BoundPart, "params">;
  /** How many there are of this size. */
  readonly count: number;
}

/** The parts of an estimate. */
export function boundParts(
  pair: ModelAndGuide,
  { key, k, closed, draws = defaultDraws(pair) }: Omit<EstimateOptions, "params">,
): BoundParts {
  const chunks = rowChunks(pair, key);
  const [one, two] = chunks as [RowChunk, RowChunk | undefined];
  const atOnce = Math.min(k * draws, Math.max(1, Math.floor(CHUNK / one.rows)));
  const part = ({ key, subsample, rows }: RowChunk) => ({
    closed,
    key,
    subsample,
    particles: k * draws === 1 ? undefined : atOnce,
    first: 0,
    rows,
  });
  const count = chunks.filter(({ rows }) => rows === one.rows).length * Math.floor((k * draws) / atOnce);
  return { closed, first: part(one), other: part(two?.rows === one.rows ? two : one), count };
}

/** Log-weights of a part, op by op. Call it inside `scope`. */
export const eagerPart = (pair: ModelAndGuide, part: BoundPart): Float32Array =>
  perPopulationRow(weigh(pair, part)).dataSync() as Float32Array;

/** Draws × rows that make a standard error of a few percent of itself. */
const TOTAL_DRAWS = 1000;
const MIN_DRAWS = 4;
/** Particles × rows in one run: what the memory of the widest layer is proportional to. */
const CHUNK = 8192;

export const defaultDraws = (pair: ModelAndGuide): number =>
  Math.max(MIN_DRAWS, Math.ceil(TOTAL_DRAWS / dataRows(pair)));

/**
 * Estimates Σ_rows E log (1/K) Σ_k w_k over all rows of all plates, also of those that the programs subsample.
 *
 * @returns A lower bound in nats, with the Monte Carlo standard error over draws. Rows are data, not random: their spread does
 *   not count. With one draw the standard error is NaN.
 * @remarks Plates for which the program fixes `indices` itself are taken as they are.
 */
export function estimateBound(pair: ModelAndGuide, options: EstimateOptions): Bound {
  const estimate = estimating(pair, options);
  let step = estimate.next();
  while (!step.done) step = estimate.next();
  return step.value;
}

/** {@link estimateBound} as a generator that yields between chunks of rows, outside every scope, so that the event loop can run. */
export function* estimating(pair: ModelAndGuide, options: EstimateOptions): Generator<void, Bound> {
  const { key, params, k, closed, weights } = options;
  const draws = options.draws ?? defaultDraws(pair);
  checkWhole("estimateBound", "draws", draws);
  let value = 0;
  let variance = 0;
  for (const [i, chunk] of rowChunks(pair, key).entries()) {
    if (i > 0) yield;
    const { rows, scale } = chunk;
    const logWeights = drawWeights(pair, chunk, { params, closed, ...(weights && { weights }) }, k * draws);
    for (let r = 0; r < rows; r++) {
      const bounds = Array.from({ length: draws }, (_, d) =>
        logMeanExp(logWeights, { from: d * k * rows + r, to: (d + 1) * k * rows, step: rows }),
      );
      const mean = bounds.reduce((s, x) => s + x, 0) / draws;
      value += scale * mean;
      variance += (scale ** 2 * bounds.reduce((s, x) => s + (x - mean) ** 2, 0)) / (draws - 1) / draws;
    }
  }
  const { normalized, observed } = pair.modelInfo;
  const of = evidenceLabel(normalized, observed.length > 0);
  return { value, standardError: Math.sqrt(variance), side: "lower", of };
}

interface RowChunk {
  readonly key: Key;
  readonly subsample: Subsample;
  /** Rows of this chunk with a log-weight of their own. */
  readonly rows: number;
  /** Rows of the population that each of them stands for. */
  readonly scale: number;
}

/** Cuts the outermost common plate, where it is subsampled, into runs of consecutive rows; all other plates are whole. */
function rowChunks(pair: ModelAndGuide, key: Key): RowChunk[] {
  const isFixed = ({ name }: PlateFrame) => pair.plates.get(name)?.fixed === true;
  const scale = pair.rows.filter(isFixed).reduce((s, frame) => s * (frame.size / frame.length), 1);
  const rowsOf = (frames: readonly PlateFrame[]) =>
    frames.reduce((n, frame) => n * (isFixed(frame) ? frame.length : frame.size), 1);
  const [outer, ...inner] = pair.rows;
  if (outer === undefined || isFixed(outer) || outer.length === outer.size) {
    return [{ key: fold(key, 0), subsample: allRows, rows: rowsOf(pair.rows), scale }];
  }
  const { name, size, length } = outer;
  return Array.from({ length: Math.ceil(size / length) }, (_, i) => {
    const present = Math.min(length, size - i * length);
    const chosen = Int32Array.from({ length: present }, (__, j) => i * length + j);
    return {
      key: fold(key, i),
      subsample: (plate, all, rows) => (plate === name ? chosen : allRows(plate, all, rows)),
      rows: present * rowsOf(inner),
      scale,
    };
  });
}

/** Log-weights `[particles, rows]` on the host, drawn in runs of bounded size. */
function drawWeights(
  pair: ModelAndGuide,
  { key, subsample, rows }: RowChunk,
  { params, closed, weights }: Pick<EstimateOptions, "params" | "closed" | "weights">,
  particles: number,
): Float32Array {
  const out = new Float32Array(particles * rows);
  const atOnce = Math.max(1, Math.floor(CHUNK / rows));
  for (let first = 0; first < particles; first += atOnce) {
    const n = particles === 1 ? undefined : Math.min(atOnce, particles - first);
    const found = scope(() => {
      const part = { params: params(), closed, key, subsample, particles: n, first, rows };
      return weights?.(part) ?? eagerPart(pair, part);
    });
    out.set(found, first * rows);
  }
  return out;
}
