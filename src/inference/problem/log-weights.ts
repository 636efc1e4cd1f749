/** log w = log p(x, z) − log q(z): per particle and per row, the one currency of all variational bounds. */
import * as tf from "@tensorflow/tfjs-core";
import { sizeOf } from "../../core/shape.ts";
import { constantsOf } from "../../core/tracing.ts";
import { mapTree, type TensorTree } from "../../core/tree.ts";
import { scored, sumSites } from "../../effects/density.ts";
import type { Execution, SiteRecord } from "../../effects/interpret.ts";
import { stopGradient } from "../../engine/ops.ts";
import { closedKl } from "./closed-kl.ts";
import { type ModelAndGuide, type PairOptions, rescoreGuide, runGuide, runModel } from "./match-guide.ts";

/** How to weigh. */
export interface WeighOptions extends PairOptions {
  /** Replaces log p − log q by −KL(q ‖ p) where that is closed. Right for one particle per bound only. */
  readonly closed?: boolean;
  /** Leaves out the part of the gradient that goes through the density of q at fixed draws ("sticking the landing"). */
  readonly pathOnly?: boolean;
  /** Applied to every reparameterised draw on its way into the densities, for instance to weigh its gradient. */
  readonly gate?: (value: tf.Tensor, site: SiteRecord) => tf.Tensor;
}

/** Log-weights of one run. */
export interface Weighed {
  /** `[particles, rows]`, unscaled: what one row of the population contributes. */
  readonly logWeights: tf.Tensor2D;
  /** log q of the draws that need the score function, `[particles, rows]`; absent when there are none. */
  readonly logScores: tf.Tensor2D | undefined;
  /** How many rows of the population stand behind each row of this run. */
  readonly rowScale: number;
  readonly guide: Execution;
  readonly model: Execution;
}

/** Runs guide and model, and takes the difference of their log-densities. Call it inside `scope`. */
export function weigh(pair: ModelAndGuide, options: WeighOptions): Weighed {
  const { pathOnly = false, closed = false, gate = (value) => value } = options;
  const guide = runGuide(pair, options, !pathOnly);
  const values: TensorTree = Object.fromEntries(
    [...guide.sites.values()]
      .filter((site) => site.kind === "sample")
      .map((site) => {
        const value = site.value as tf.Tensor;
        return [site.name, pair.scores.has(site.name) ? stopGradient(value) : gate(value, site)];
      }),
  );
  const model = runModel(pair, options, values, guide);
  const density = pathOnly
    ? rescoreGuide(pair, { ...options, params: mapTree(options.params, (x) => constantsOf(x)()) }, values, guide)
    : guide;

  const replaced = closed ? pair.closed : new Set<string>();
  const ours = scored(model, (site) => !replaced.has(site.name));
  const theirs = scored(density, (site) => !replaced.has(site.name)).map(blocked);
  const kls = [...replaced].map((name) => closedTerm(density.sites.get(name), model.sites.get(name)));
  const rowScale = scaleOfRows(pair, guide, model);
  const total = (run: Execution, sites: readonly SiteRecord[]) => perRow(pair, run, sites);
  const logWeights = tf.div(tf.sub(total(model, [...ours, ...kls]), total(density, theirs)), rowScale) as tf.Tensor2D;
  // The score is that of the draw itself, whatever handlers say about how much its density counts.
  const scores = [...guide.sites.values()].flatMap((site) =>
    pair.scores.has(site.name) ? [{ ...site, logProb: site.dist?.logProb(values[site.name] as tf.Tensor) }] : [],
  );
  const logScores = scores.length === 0 ? undefined : total(guide, scores);
  return { logWeights, logScores, rowScale, guide, model };
}

/** A factor of the guide that lets no gradient through. */
const blocked = (site: SiteRecord): SiteRecord =>
  site.kind === "factor" && site.differentiable === false && site.logProb !== undefined
    ? { ...site, logProb: stopGradient(site.logProb) }
    : site;

/** −KL(q ‖ p) at a site, with the shape and scale of its log-probability. */
function closedTerm(guide: SiteRecord | undefined, model: SiteRecord | undefined): SiteRecord {
  const [q, p, logQ] = [guide?.dist, model?.dist, guide?.logProb];
  const kl = q && p && closedKl(q, p);
  if (guide === undefined || kl === undefined || logQ === undefined) throw new Error("no closed KL: checked by pair()");
  const rows = guide.plates.reduce((s, frame) => s * (frame.size / frame.length), 1);
  const shape = logQ.shape.slice();
  // A KL that is the same for all particles keeps 1 on their axis, as the interpreter's log-probabilities do.
  if (shape.length > guide.plates.length) shape[0] = kl.rank < shape.length ? 1 : (kl.shape[0] as number);
  return { ...guide, logProb: tf.mul(tf.broadcastTo(kl, shape), -rows) };
}

/** Sums everything but particles and common rows: `[particles, rows]`. */
function perRow(pair: ModelAndGuide, run: Execution, sites: readonly SiteRecord[]): tf.Tensor2D {
  const particles = run.particles ?? 1;
  const rows = sizeOf(pair.rows.map(({ name }) => run.plates.get(name)?.length ?? 1));
  if (sites.length === 0) return tf.zeros([particles, rows]);
  return tf.reshape(sumSites(run, sites, pair.rows.length), [particles, rows]);
}

const scaleOfRows = (pair: ModelAndGuide, guide: Execution, model: Execution): number =>
  pair.rows.reduce((scale, { name }) => {
    const frame = model.plates.get(name) ?? guide.plates.get(name);
    return frame === undefined ? scale : scale * (frame.size / frame.length);
  }, 1);
