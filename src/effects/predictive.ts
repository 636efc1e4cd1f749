/** Prediction: many runs of the model at once, from the prior or from posterior draws. */
import type { ArrayLike, NdArray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key, type Seed, toKey } from "../core/key.ts";
import { scope } from "../core/scope.ts";
import { type Tree, toTensors } from "../core/tree.ts";
import { plateDepth } from "./density.ts";
import type { Effect, Model } from "./effects.ts";
import { replay, uncondition } from "./handlers.ts";
import { interpret } from "./interpret.ts";
import { unscored } from "./run-handlers.ts";
import { exportSite } from "./site-value.ts";
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
    const params = toTensors(options.params ?? {});
    const forward = unscored(uncondition()(model));
    // A first run without particles finds how deep plates nest.
    const first = interpret(forward(...args), { key: fold(key, "probe"), params });
    const predicted = replay({ latents: posterior })(forward);
    const run = interpret(predicted(...args), { key, particles, depth: plateDepth(first), params });
    return Object.fromEntries(
      [...run.sites.values()].flatMap((site) => (site.value === undefined ? [] : [[site.name, exportSite(run, site)]])),
    ) as Predictions<E>;
  });
}
