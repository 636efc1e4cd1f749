/** Weighted draws of a proposal, in chunks that bound memory: for importance samplers, and for the starting points of chains. */
import type { NdArray } from "../../core/array.ts";
import { readAhead } from "../../core/random/draws.ts";
import { scope } from "../../core/scope.ts";
import type { Tree } from "../../core/tree.ts";
import { startImproper } from "../../effects/run-handlers.ts";
import { readInto } from "../../engine/read.ts";
import type { Problem } from "../method/infer.ts";
import { matchProposal, particlesAtOnce } from "./match-proposal.ts";
import type { ModelAndGuide } from "./model-and-guide.ts";
import { drawnSites, gatherDraws } from "./site-draws.ts";
import { type WeighOptions, type WeightedRun, weigh } from "./weigh.ts";

/** Draws `[n, ...plates, ...event]` of latent and deterministic sites, and the log-weight of each. */
export interface WeightedDraws {
  readonly sites: Tree<NdArray>;
  readonly logWeights: Float32Array;
}

/** Draws and weighs one chunk: op by op, or compiled. */
export interface PartWeigher {
  weigh(at: WeighOptions): WeightedRun;
  /** Awaited before `weigh` with the same options, outside every scope. */
  prepare(at: WeighOptions): Promise<void>;
}

/** Draws and weighs `n` particles, `size` at a time. */
export async function weightedDraws(
  { tick }: Pick<Problem, "tick">,
  weigher: PartWeigher,
  n: number,
  size: number,
  start: WeighOptions,
): Promise<WeightedDraws> {
  const logWeights = new Float32Array(n);
  const kept = new Map<string, NdArray>();
  const stopReading = readAhead();
  try {
    for (let first = 0; first < n; first += size) {
      const at = { ...start, particles: Math.min(size, n - first), first };
      await weigher.prepare(at);
      scope(() => {
        const part = weigher.weigh(at);
        readInto(part.logWeights, logWeights, first);
        for (const site of drawnSites(part.model))
          kept.set(site.name, gatherDraws(part.model, site, at.particles, { all: kept.get(site.name), first, n }));
      });
      await tick({ step: first + at.particles, total: n, metrics: {} });
    }
  } finally {
    stopReading();
  }
  return { sites: Object.fromEntries(kept), logWeights };
}

/** A weigher that runs op by op. */
export const weighOpByOp = (pair: ModelAndGuide): PartWeigher => ({
  weigh: (at) => weigh(pair, at),
  prepare: async () => undefined,
});

/** Weighted draws of the prior, also of improper sites, from which chains start. */
export function drawWeightedPrior(problem: Problem, n: number): Promise<WeightedDraws> {
  const pair = matchProposal({ ...problem, model: startImproper(problem.model) }, undefined);
  const start = { key: problem.key, particles: n, first: 0, rowPlates: [] };
  return weightedDraws(problem, weighOpByOp(pair), n, Math.min(n, particlesAtOnce(pair.modelInfo)), start);
}
