/** Log-weights, log w = log p(x, z) − log q(z), per particle and row: what importance samplers and variational bounds are computed from. */
import * as tf from "@tensorflow/tfjs-core";
import { sizeOf } from "../../core/shape.ts";
import { constantsOf } from "../../core/tracing.ts";
import { mapTree, type TensorTree, toTensors } from "../../core/tree.ts";
import { scored, sumSites } from "../../effects/density.ts";
import type { PlateFrame } from "../../effects/effects.ts";
import type { Execution, SiteRecord } from "../../effects/interpret.ts";
import { stopGradient } from "../../engine/ops.ts";
import type { ClosedKl, ModelAndGuide } from "./model-and-guide.ts";
import { type RunOptions, rescoreGuide, runGuide, runModel } from "./runs.ts";

/** How to weigh. */
export interface WeighOptions extends RunOptions {
  /** Plates, outermost first, whose rows each get a log-weight; none sums all rows. Default: all plates around every scored site. */
  readonly rowPlates?: readonly PlateFrame[];
  /** Replaces log p − log q by −KL(q ‖ p) where that has a closed form. Valid for one particle per bound only. */
  readonly closed?: boolean;
  /** Leaves out the part of the gradient that goes through the density of q at fixed draws ("sticking the landing"). */
  readonly pathOnly?: boolean;
  /** Applied to every reparameterised draw before densities are evaluated, for instance to weight its gradient. */
  readonly gate?: (value: tf.Tensor, site: SiteRecord) => tf.Tensor;
}

/** Draws and their log-weights. */
export interface WeightedRun {
  /** `[particles, rows]`; scaled to the rows of the population that each row stands for. */
  readonly logWeights: tf.Tensor;
  readonly model: Execution;
}

/** Log-weights of one run. */
export interface Weighed extends WeightedRun {
  readonly logWeights: tf.Tensor2D;
  /** log q of the draws that need the score function, `[particles, rows]`; absent when there are none. */
  readonly logScores: tf.Tensor2D | undefined;
  /** Rows of the population that each row of this run stands for. */
  readonly rowScale: number;
  readonly guide: Execution | undefined;
}

/** Log-weights `[particles, rows]` of one row of the population. */
export const perPopulationRow = ({ logWeights, rowScale }: Pick<Weighed, "logWeights" | "rowScale">): tf.Tensor2D =>
  tf.div(logWeights, rowScale);

/**
 * Runs guide and model, and takes the difference of their log-densities. Call it inside `scope`.
 *
 * @remarks Draws of the prior cancel in the weight and are not scored.
 */
export function weigh(pair: ModelAndGuide, given: WeighOptions): Weighed {
  const options = { ...given, params: given.params ?? toTensors(pair.params) };
  const { rowPlates = pair.rows, closed = false, pathOnly = false } = options;
  const guide = runGuide(pair, options, !pathOnly);
  const values = guide === undefined ? {} : drawnValues(pair, guide, options);
  const model = runModel(pair, options, values, guide);
  // At constant parameters the gradient of log q goes through the draws alone.
  const constant = () => mapTree(options.params, (x) => constantsOf(x)());
  const density =
    pathOnly && guide !== undefined ? rescoreGuide(pair, { ...options, params: constant() }, values, guide) : guide;

  const replaced: ModelAndGuide["closed"] = closed ? pair.closed : new Map();
  const notReplaced = (site: SiteRecord) => !replaced.has(site.name);
  const kls = [...replaced].map(([name, kl]) => closedTerm(kl, density?.sites.get(name), model.sites.get(name)));
  const total = (run: Execution, sites: readonly SiteRecord[]) => perRow(run, sites, rowPlates);
  const logP = total(model, [...scored(model, notReplaced), ...kls]);
  return {
    logWeights: density === undefined ? logP : tf.sub(logP, total(density, scored(density, notReplaced).map(blocked))),
    logScores: guide && logScoresOf(pair, guide, values, rowPlates),
    rowScale: scaleOfRows(rowPlates, model, guide),
    guide,
    model,
  };
}

/** The guide's draws, as the model receives them. */
function drawnValues(
  { scores }: ModelAndGuide,
  guide: Execution,
  { gate = (value) => value }: WeighOptions,
): TensorTree {
  const drawn = [...guide.sites.values()].filter((site) => site.kind === "sample");
  return Object.fromEntries(
    drawn.map((site): [string, tf.Tensor] => {
      const value = site.value as tf.Tensor;
      return [site.name, scores.has(site.name) ? stopGradient(value) : gate(value, site)];
    }),
  );
}

/** log q of draws that need the score function, without handlers' masks and scales: the score is that of the draw itself. */
function logScoresOf(
  { scores }: ModelAndGuide,
  guide: Execution,
  values: TensorTree,
  rows: readonly PlateFrame[],
): tf.Tensor2D | undefined {
  const sites = [...guide.sites.values()].filter((site) => scores.has(site.name));
  if (sites.length === 0) return undefined;
  const terms = sites.map((site) => ({ ...site, logProb: site.dist?.logProb(values[site.name] as tf.Tensor) }));
  return perRow(guide, terms, rows);
}

/** Blocks the gradient of a guide's factor that is not differentiable. */
const blocked = (site: SiteRecord): SiteRecord =>
  site.kind === "factor" && site.differentiable === false && site.logProb !== undefined
    ? { ...site, logProb: stopGradient(site.logProb) }
    : site;

/** −KL(q ‖ p) at a site, with the shape and scale of its log-probability. */
function closedTerm(closed: ClosedKl, guide: SiteRecord | undefined, model: SiteRecord | undefined): SiteRecord {
  const [q, p, logQ] = [guide?.dist, model?.dist, guide?.logProb];
  const kl = q && p && closed(q, p);
  if (guide === undefined || kl === undefined || logQ === undefined)
    throw new Error("no closed KL: checked by matchGuide");
  const rows = guide.plates.reduce((s, frame) => s * (frame.size / frame.length), 1);
  const shape = logQ.shape.slice();
  // A KL that is the same for all particles has a particle axis of 1, as the interpreter's log-probabilities do.
  if (shape.length > guide.plates.length) shape[0] = kl.rank < shape.length ? 1 : (kl.shape[0] as number);
  return { ...guide, logProb: tf.mul(tf.broadcastTo(kl, shape), -rows) };
}

/** Sums everything but particles and rows: `[particles, rows]`. */
function perRow(run: Execution, sites: readonly SiteRecord[], rows: readonly PlateFrame[]): tf.Tensor2D {
  const shape: [number, number] = [
    run.particles ?? 1,
    sizeOf(rows.map(({ name }) => run.plates.get(name)?.length ?? 1)),
  ];
  return sites.length === 0 ? tf.zeros(shape) : tf.reshape(sumSites(run, sites, rows.length), shape);
}

const scaleOfRows = (rows: readonly PlateFrame[], model: Execution, guide: Execution | undefined): number =>
  rows.reduce((scale, { name }) => {
    const frame = model.plates.get(name) ?? guide?.plates.get(name);
    return frame === undefined ? scale : scale * (frame.size / frame.length);
  }, 1);
