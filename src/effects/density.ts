/** Sums of the log-probabilities that `interpret` recorded. */
import * as tf from "@tensorflow/tfjs-core";
import { sameShape } from "../core/shape.ts";
import type { PlateFrame } from "./effects.ts";
import type { Execution, SiteRecord } from "./interpret.ts";

/** Records of a run that carry a log-probability and satisfy `which`. */
export function scored(run: Execution, which: (site: SiteRecord) => boolean = () => true): SiteRecord[] {
  return [...run.sites.values()].filter((site) => site.logProb !== undefined && which(site));
}

/**
 * Σ log-probability over sites, with all plates summed but the `keep` outermost.
 *
 * @returns Shape `[particles, ...kept plates]`, without particles `[...kept plates]`. A particle axis of 1 is broadcast.
 */
export function sumSites(run: Execution, sites: readonly SiteRecord[], keep = 0): tf.Tensor {
  return tf.tidy(() => {
    const lead = run.particles === undefined ? 0 : 1;
    const kept =
      sites[0]?.plates
        .slice(0, keep)
        .map((frame) => frame.length)
        .reverse() ?? [];
    const shape = lead === 1 ? [run.particles as number, ...kept] : kept;
    // Not zeros of that shape: with a million particles they cost as much as the sum.
    let total: tf.Tensor = tf.scalar(0);
    for (const { logProb } of sites) {
      if (logProb === undefined) continue;
      const axes = Array.from({ length: logProb.rank - lead - keep }, (_, i) => i + lead);
      total = tf.add(total, axes.length === 0 ? logProb : tf.sum(logProb, axes));
    }
    return sameShape(total.shape, shape) ? total : tf.broadcastTo(total, shape);
  });
}

/** Plates that enclose every one of the sites, outermost first: the rows that can have a log-weight of their own. */
export function commonPlates(sites: readonly Pick<SiteRecord, "plates">[]): readonly PlateFrame[] {
  const [first, ...rest] = sites;
  if (first === undefined) return [];
  let common = first.plates;
  for (const { plates } of rest) {
    let n = 0;
    while (n < common.length && common[n]?.name === plates[n]?.name) n++;
    common = common.slice(0, n);
  }
  return common;
}

/** log p of all sites of a run: shape `[particles]`, or a scalar. */
export const logJoint = (run: Execution): tf.Tensor => sumSites(run, scored(run));

/** Greatest nesting of plates over the sites of a run. */
export const plateDepth = (run: Execution): number =>
  Math.max(0, ...[...run.sites.values()].map((site) => site.plates.length));
