/** Where chains start: draws of the prior that the data do not rule out, yet far apart. */
import type { NdArray } from "../../core/array.ts";
import { fold } from "../../core/key.ts";
import type { Tree } from "../../core/tree.ts";
import type { Problem } from "../method/infer.ts";
import { takeRows } from "../problem/site-draws.ts";
import { drawWeightedPrior } from "../problem/weighted-draws.ts";
import { resampleRows } from "../weights/resample.ts";
import { diagnose, normalizeWeights, sumWeights } from "../weights/weights.ts";

/** Prior draws looked at for each chain that starts. */
const CANDIDATES = 16;

/** Draws to start from. */
export interface Start {
  readonly draws: Tree<NdArray>;
  /** Whether the weights had to be tempered: then the posterior lies elsewhere, or is much narrower than the prior. */
  readonly tempered: boolean;
}

/** Draws of the prior, resampled by weights tempered until half as many as there are chains stay effective. */
export async function temperedStart(problem: Problem, chains: number): Promise<Start> {
  const tick = async () => {};
  const candidates = await drawWeightedPrior(
    { ...problem, key: fold(problem.key, "start"), tick },
    CANDIDATES * chains,
  );
  const data = candidates.logWeights;
  const tempered = (power: number) => data.map((l) => (l === Number.NEGATIVE_INFINITY ? l : power * l));
  let power = 1;
  while (power > LEAST_POWER && diagnose(sumWeights(tempered(power))).ess < chains / 2) power /= 2;
  const weights = normalizeWeights(tempered(power));
  const rows = resampleRows(weights, chains, "systematic", fold(problem.key, "start rows"));
  return {
    draws: Object.fromEntries(Object.entries(candidates.sites).map(([name, array]) => [name, takeRows(array, rows)])),
    tempered: power < 1,
  };
}

/** Below this power the weights count for nothing. */
const LEAST_POWER = 1e-6;
