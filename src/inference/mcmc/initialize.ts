/** Where chains start: values that the caller gives, and for the rest overdispersed draws of the prior that the data do not rule out. */
import type { NdArray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { showShape } from "../../core/shape.ts";
import { type Tree, toTensors } from "../../core/tree.ts";
import type { Problem } from "../method/infer.ts";
import { takeRows } from "../problem/site-draws.ts";
import { drawWeightedPrior } from "../problem/weighted-draws.ts";
import { resampleRows } from "../weights/resample.ts";
import { diagnose, normalizeWeights, sumWeights } from "../weights/weights.ts";
import type { SampledSite } from "./sites.ts";
import type { Density } from "./target.ts";

/** Where chains start. */
export interface Start {
  /** Positions, `[chains, d]`. */
  readonly x: Float32Array;
  /** Whether the posterior may be far from there. Never where the caller gives values. */
  readonly needsBurnIn: boolean;
}

/** @throws `extra-site`, `shape` when `init` does not fit the sites. */
export async function startPositions(
  what: string,
  problem: Problem,
  { sites, draw }: Density,
  chains: number,
  init: Tree<NdArray | undefined>,
): Promise<Start> {
  const given: Tree<NdArray> = Object.fromEntries(
    Object.entries(init).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, checkInit(what, name, value, sites, chains)]],
    ),
  );
  const complete = sites.every(({ name }) => given[name] !== undefined);
  const drawn = complete ? undefined : await temperedStart(what, problem, chains);
  const values = { ...drawn?.draws, ...given };
  // Improper sites start in a small arbitrary box, whose weights say little about the posterior even when they are equal.
  const boxed = sites.some(({ info }) => info.improper);
  return {
    x: scope(() => draw(fold(problem.key, "start"), chains, toTensors(values))),
    needsBurnIn: drawn !== undefined && Object.keys(given).length === 0 && (boxed || drawn.tempered),
  };
}

function checkInit(what: string, name: string, value: NdArray, sites: readonly SampledSite[], chains: number): NdArray {
  const site = sites.find((m) => m.name === name);
  if (site === undefined)
    return fail("extra-site", `${what}: init names "${name}", which is not sampled`, { site: name });
  const shape = [chains, ...site.shape];
  if (`${value.shape}` !== `${shape}`) {
    fail("shape", `${what}: init of "${name}" has shape ${showShape(value.shape)}, expected ${showShape(shape)}`, {
      site: name,
    });
  }
  return value;
}

/** Prior draws for each chain, of which one is chosen by its weight. */
const CANDIDATES = 16;

/** Draws to start from. */
interface TemperedStart {
  readonly draws: Tree<NdArray>;
  /** Whether the weights had to be tempered: the posterior is then far from the prior, or much narrower. */
  readonly tempered: boolean;
}

/** Draws of the prior, resampled by weights tempered until half as many as there are chains stay effective. */
async function temperedStart(what: string, problem: Problem, chains: number): Promise<TemperedStart> {
  const tick = async () => {};
  const candidates = await drawWeightedPrior(
    { ...problem, key: fold(problem.key, "start"), tick },
    CANDIDATES * chains,
  );
  const data = candidates.logWeights;
  if (!data.some((l) => l > Number.NEGATIVE_INFINITY))
    fail(
      "non-finite",
      `${what}: none of ${data.length} draws of the prior is possible under the data and factors; give init, values at which the density is not zero`,
    );
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

/** Least power: below it, weights no longer matter. */
const LEAST_POWER = 1e-6;
