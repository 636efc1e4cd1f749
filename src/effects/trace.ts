/** Traces: the values and log-probabilities of one run of a model, as typed arrays. */
import { type ArrayLike, fromTensor, type NdArray, ndarray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { type Key, type Seed, toKey } from "../core/key.ts";
import { scope } from "../core/scope.ts";
import { sizeOf } from "../core/shape.ts";
import { mapTree, type Tree, toTensors } from "../core/tree.ts";
import { logJoint, plateDepth } from "./density.ts";
import type { Effect, Model } from "./effects.ts";
import { substitute } from "./handlers.ts";
import { type Execution, type InterpretOptions, interpret, type SiteRecord } from "./interpret.ts";
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
  /** Unconstrained values of parameters, as a fit's `params`; absent ones take their initial values. */
  readonly params?: Tree<NdArray>;
}

/** The interpreter's options. Call it inside `scope`: parameters become tensors. */
const toOptions = <Args extends readonly unknown[]>({ seed, params }: RunOptions<Args>): InterpretOptions => ({
  ...(seed !== undefined && { key: toKey(seed) }),
  ...(params !== undefined && { params: toTensors(params) }),
});

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
    const run = interpret(model(...((options.args ?? []) as unknown as Args)), toOptions(options));
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
  options: Omit<RunOptions<Args>, "seed"> = {},
): number {
  return trace(withValues(model, values), options).logDensity;
}

const withValues = <Args extends readonly unknown[], E extends Effect, A>(
  model: Model<Args, E, A>,
  values: unknown,
): Model<Args, E, A> =>
  substitute(values as Tree<ArrayLike>)(model as Model<Args, E, A> & KnownSites<string, string, "">);

/**
 * log p(latents = values[i], data) for each of n draws, in one run: shape `[n]`, in nats.
 *
 * @param draws - Values of every latent site, `[n, ...plates, ...event]`, as a result's `sites`.
 * @throws As {@link logDensity}; `argument` when the sites do not have equally many draws.
 */
export function logDensities<Args extends readonly unknown[], E extends Effect, A>(
  model: Model<Args, E, A>,
  draws: { readonly [N in LatentsOf<E>]: NdArray },
  options: Omit<RunOptions<Args>, "seed"> = {},
): NdArray {
  const given = Object.values(draws as Tree<NdArray>);
  const particles = given[0]?.shape[0];
  if (particles === undefined || given.some((v) => v.shape[0] !== particles)) {
    fail("argument", "logDensities: every latent site needs the same number of draws, on the first axis");
  }
  const args = (options.args ?? []) as unknown as Args;
  return scope(() => {
    const given = toOptions(options);
    // One run on the first draw finds how deep plates nest.
    const first = mapTree(draws as Tree<NdArray>, (v) => {
      const size = sizeOf(v.shape.slice(1));
      return ndarray(v.data.subarray(0, size), v.shape.slice(1));
    });
    const depth = plateDepth(interpret(withValues(model, first)(...args), given));
    return fromTensor(logJoint(interpret(withValues(model, draws)(...args), { ...given, particles, depth })));
  });
}
