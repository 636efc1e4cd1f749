/** The value of a site as users see it, without axes that only the interpreter needs. */
import * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import type { Execution, SiteRecord } from "./interpret.ts";

/**
 * A site's value without the 1s that stand between particles and plates: `[particles, ...plates, ...event]`.
 *
 * @remarks The interpreter does the inverse when a value is given to a site.
 * @throws `unsupported` when the site has no value.
 */
export function exportSite(run: Execution, site: SiteRecord): NdArray {
  if (site.value === undefined) return fail("unsupported", `"${site.name}" has no value`, { site: site.name });
  const array = fromTensor(site.value);
  if (run.particles === undefined) return array;
  const ones = run.depth - site.plates.length;
  const full = 1 + run.depth + site.eventRank;
  const shape = array.shape.length === full ? [array.shape[0] as number, ...array.shape.slice(1 + ones)] : array.shape;
  return { ...array, shape, tensor: () => tf.reshape(array.tensor(), [...shape]) };
}
