/** Prediction: run the model forward many times at once, with or without posterior draws. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, fromTensor, type NdArray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key, type Seed, toKey } from "../core/key.ts";
import { scope } from "../core/scope.ts";
import type { Tree } from "../core/tree.ts";
import { plateDepth } from "./density.ts";
import type { Effect, Model } from "./effects.ts";
import { replay, uncondition } from "./handlers.ts";
import { type Execution, interpret, type SiteRecord } from "./interpret.ts";
import type { DeterministicsOf, LatentsOf, ObservedOf } from "./sites.ts";

/** How to predict. */
export interface PredictiveOptions<Args extends readonly unknown[], E extends Effect> {
  readonly args?: Args;
  readonly seed: Seed | Key;
  /** Number of draws; default: as many as the posterior has. */
  readonly draws?: number;
  /** Draws `[n, ...plates, ...event]` of latent sites, as a result's `sites`; sites without are drawn from the prior. */
  readonly posterior?: { readonly [N in LatentsOf<E>]?: NdArray };
  /** Unconstrained values of parameters, as a fit's `params`. */
  readonly params?: Tree<NdArray>;
}

/** Draws of every site, `[n, ...plates, ...event]`; observed sites are predicted anew. */
export type Predictions<E extends Effect> = {
  readonly [N in LatentsOf<E> | ObservedOf<E> | DeterministicsOf<E>]: NdArray;
};

/** A site's value without the 1s that stand between particles and plates: `[particles, ...plates, ...event]`. */
export function exportSite(run: Execution, site: SiteRecord): NdArray {
  if (site.value === undefined) return fail("unsupported", `"${site.name}" has no value`, { site: site.name });
  const array = fromTensor(site.value);
  if (run.particles === undefined) return array;
  const ones = run.depth - site.plates.length;
  const full = 1 + run.depth + site.eventRank;
  const shape = array.shape.length === full ? [array.shape[0] as number, ...array.shape.slice(1 + ones)] : array.shape;
  return { ...array, shape, tensor: () => tf.reshape(array.tensor(), [...shape]) };
}

/** Puts a padded value back: the inverse of {@link exportSite} is done by the interpreter when a value is substituted. */
const asValues = (posterior: Tree<ArrayLike | undefined>): Tree<ArrayLike> =>
  Object.fromEntries(Object.entries(posterior).flatMap(([name, v]) => (v === undefined ? [] : [[name, v]])));

/**
 * Prior or posterior predictive draws: all latent sites not given are drawn, all observed sites are predicted.
 *
 * @throws `argument` when neither `draws` nor `posterior` says how many, or they disagree.
 */
export function predictive<Args extends readonly unknown[], E extends Effect, A>(
  model: Model<Args, E, A>,
  options: PredictiveOptions<Args, E>,
): Predictions<E> {
  const posterior = asValues((options.posterior ?? {}) as Tree<NdArray | undefined>);
  const counts = Object.values(posterior).map((v) => (typeof v === "number" ? 1 : (v.shape[0] as number)));
  const particles = options.draws ?? counts[0] ?? fail("argument", "predictive: give draws, or a posterior");
  if (counts.some((n) => n !== particles)) {
    fail("argument", `predictive: ${particles} draws wanted, but the posterior has ${counts.join(", ")}`);
  }
  const args = (options.args ?? []) as unknown as Args;
  const key = toKey(options.seed);
  return scope(() => {
    const params =
      options.params === undefined
        ? {}
        : { params: Object.fromEntries(Object.entries(options.params).map(([n, p]) => [n, p.tensor()])) };
    // A first run without particles learns how deep plates nest.
    const probe = interpret(uncondition(model)(...args), { key: fold(key, "probe"), density: false, ...params });
    const forward = replay({ latents: posterior })(uncondition(model));
    const run = interpret(forward(...args), { key, particles, depth: plateDepth(probe), density: false, ...params });
    return Object.fromEntries(
      [...run.sites.values()].flatMap((site) => (site.value === undefined ? [] : [[site.name, exportSite(run, site)]])),
    ) as Predictions<E>;
  });
}
