/** Weighted draws of a proposal, made in parts that bound memory: what importance samplers return and what chains start from. */
import type { NdArray } from "../../core/array.ts";
import { readAhead } from "../../core/random/draws.ts";
import { scope } from "../../core/scope.ts";
import type { Tree } from "../../core/tree.ts";
import { startImproper } from "../../effects/run-handlers.ts";
import { readInto } from "../../engine/read.ts";
import type { Problem } from "../method/infer.ts";
import { type Plan, plan, type WeighOptions, weighOnce } from "./proposal.ts";
import { drawnSites, gatherDraws } from "./site-draws.ts";

/** Draws `[n, ...plates, ...event]` of latent and deterministic sites, and the log-weight of each. */
export interface WeightedDraws {
  readonly sites: Tree<NdArray>;
  readonly logWeights: Float32Array;
}

/** How one part is drawn and weighed: op by op, or compiled. */
export interface PartWeigher {
  weigh(at: WeighOptions): ReturnType<typeof weighOnce>;
  /** Awaited before `weigh` with the same options, outside every scope. */
  prepare(at: WeighOptions): Promise<void>;
}

/** Draws and weighs `n` particles, `size` at a time. */
export async function weightedDraws(
  { tick }: Pick<Problem, "tick">,
  way: PartWeigher,
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
      await way.prepare(at);
      scope(() => {
        const { logWeight, model } = way.weigh(at);
        readInto(logWeight, logWeights, first);
        for (const site of drawnSites(model))
          kept.set(site.name, gatherDraws(model, site, at.particles, { all: kept.get(site.name), first, n }));
      });
      await tick({ step: first + at.particles, total: n, metrics: {} });
    }
  } finally {
    stopReading();
  }
  return { sites: Object.fromEntries(kept), logWeights };
}

/** A plan's own way: op by op. */
export const weighOpByOp = (planned: Plan): PartWeigher => ({
  weigh: (at) => weighOnce(planned, at),
  prepare: async () => undefined,
});

/** Weighted draws of the prior, improper sites too: places to start from. */
export function drawWeightedPrior(problem: Problem, n: number): Promise<WeightedDraws> {
  const planned = plan({ ...problem, model: startImproper(problem.model) }, undefined);
  const start = { key: problem.key, particles: n, first: 0 };
  return weightedDraws(problem, weighOpByOp(planned), n, Math.min(n, planned.atOnce), start);
}
