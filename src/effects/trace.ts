/** Traces: what one run of a model chose, as typed arrays that need no care. */
import type { ArrayLike, NdArray } from "../core/array.ts";
import { fromTensor } from "../core/array.ts";
import { type Key, rootKey, type Seed } from "../core/key.ts";
import { scope } from "../core/scope.ts";
import type { Tree } from "../core/tree.ts";
import { logJoint } from "./density.ts";
import type { Effect, Model } from "./effects.ts";
import { substitute } from "./handlers.ts";
import { type Execution, interpret, type SiteRecord } from "./interpret.ts";
import type { DeterministicsOf, KnownSites, LatentsOf, ObservedOf, ParamsOf } from "./sites.ts";

/** One run of a model. */
export interface Trace<E extends Effect = Effect, A = unknown> {
  /** Values of latent sites, `[...plates, ...event]`. */
  readonly latents: { readonly [N in LatentsOf<E>]: NdArray };
  readonly observed: { readonly [N in ObservedOf<E>]: NdArray };
  readonly deterministics: { readonly [N in DeterministicsOf<E>]: NdArray };
  /** Constrained values of parameters. */
  readonly params: { readonly [N in ParamsOf<E>]: NdArray };
  /** Log-probability of every site and factor, `[...plates]`, scaled and masked. */
  readonly logProbs: Tree<NdArray>;
  /** Sum of `logProbs`, in nats. */
  readonly logDensity: number;
  /** Whether the density is normalised (no factor met). */
  readonly normalized: boolean;
  /** What the model returned; tensors inside have been disposed. */
  readonly result: A;
}

/** How to run a model once. */
export interface RunOptions<Args extends readonly unknown[]> {
  /** Arguments of the model. */
  readonly args?: Args;
  /** Where unseeded sites draw from. */
  readonly seed?: Seed | Key;
}

const toKey = (seed: Seed | Key | undefined): { key?: Key } =>
  seed === undefined ? {} : { key: typeof seed === "object" ? seed : rootKey(seed) };

const pick = (run: Execution, kind: SiteRecord["kind"]): Tree<NdArray> =>
  Object.fromEntries(
    [...run.sites.values()].flatMap((site) =>
      site.kind === kind && site.value !== undefined ? [[site.name, fromTensor(site.value)]] : [],
    ),
  );

/**
 * *Write down what happened*: runs a model once and records every site.
 *
 * @throws What {@link interpret} throws; `no-seed` when a latent site has no value and no seed is given.
 */
export function trace<Args extends readonly unknown[], E extends Effect, A>(
  model: Model<Args, E, A>,
  options: RunOptions<Args> = {},
): Trace<E, A> {
  return scope(() => {
    const run = interpret(model(...((options.args ?? []) as unknown as Args)), toKey(options.seed));
    const records = [...run.sites.values()];
    const traced: Trace = {
      latents: pick(run, "sample"),
      observed: pick(run, "observe"),
      deterministics: pick(run, "deterministic"),
      params: Object.fromEntries([...run.params].map(([name, { value }]) => [name, fromTensor(value)])),
      logProbs: Object.fromEntries(records.flatMap((s) => (s.logProb ? [[s.name, fromTensor(s.logProb)]] : []))),
      logDensity: logJoint(run).dataSync()[0] as number,
      normalized: !records.some((site) => site.kind === "factor"),
      result: undefined,
    };
    // The result is read after `scope` has run `tidy` over it, so it must not be inspected as a container of tensors.
    return { ...traced, result: run.result } as unknown as Trace<E, A>;
  });
}

/** Values for every latent site of a model. */
export type LatentValues<E extends Effect> = { readonly [N in LatentsOf<E>]: ArrayLike };

/**
 * log p(latents = values, data): the sum over all sites, in nats.
 *
 * @throws `no-seed` when a latent site has no value; `extra-site` when a value has no site.
 */
export function logDensity<Args extends readonly unknown[], E extends Effect, A>(
  model: Model<Args, E, A>,
  values: LatentValues<E> & { readonly [N in ParamsOf<E>]?: ArrayLike },
  options: { readonly args?: Args } = {},
): number {
  const fixed = substitute(values as Tree<ArrayLike>)(model as Model<Args, E, A> & KnownSites<string, string, "">);
  return trace(fixed, options).logDensity;
}
