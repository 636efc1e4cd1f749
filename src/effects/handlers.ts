/**
 * The handlers: functions from model to model, composed with `pipe`. Each is introduced by the sentence that says why it
 * exists; each is a few lines over `handleEffects`.
 */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { type Key, type Seed, toKey } from "../core/key.ts";
import type { Tree } from "../core/tree.ts";
import type {
  DeterministicEffect,
  Effect,
  FactorEffect,
  HiddenEffect,
  Model,
  ObserveEffect,
  ParamEffect,
  Program,
  SampleEffect,
} from "./effects.ts";
import { handleEffects, handler, siteHandler } from "./handle.ts";
import type { DeterministicsOf, IsNormalized, KnownSites, LatentsOf, ObservedOf, ParamsOf } from "./sites.ts";

/** `E` with the latent sites `N` observed. */
export type Conditioned<E extends Effect, N extends string> =
  E extends SampleEffect<infer M> ? (M extends N ? ObserveEffect<M> : E) : E;
/** `E` with the sites `N` fixed. */
export type Intervened<E extends Effect, N extends string> =
  E extends SampleEffect<infer M>
    ? M extends N
      ? DeterministicEffect<M>
      : E
    : E extends ObserveEffect<infer M>
      ? M extends N
        ? DeterministicEffect<M>
        : E
      : E;
/** `E` without the sites `N`. */
export type Blocked<E extends Effect, N extends string> = E extends SampleEffect<infer M> | ObserveEffect<infer M>
  ? M extends N
    ? HiddenEffect
    : E
  : E;
/** `E` with the observed sites `N` latent again. */
export type Unconditioned<E extends Effect, N extends string = string> =
  E extends ObserveEffect<infer M> ? (M extends N ? SampleEffect<M> : E) : E;
/** `E` with `P/` before every name. */
export type Scoped<E extends Effect, P extends string> = E extends {
  readonly kind: infer K;
  readonly name: infer N extends string;
}
  ? K extends "sample"
    ? SampleEffect<`${P}/${N}`>
    : K extends "observe"
      ? ObserveEffect<`${P}/${N}`>
      : K extends "factor"
        ? FactorEffect<`${P}/${N}`>
        : K extends "param"
          ? ParamEffect<`${P}/${N}`>
          : K extends "deterministic"
            ? DeterministicEffect<`${P}/${N}`>
            : E
  : never;

type AnyArgs = readonly unknown[];

/** Rewrites the effects of a model with a record of values. @throws `extra-site` for a name that no site of the run has. */
function withValues<V>(
  what: string,
  values: Tree<V>,
  rewrite: (effect: Effect, value: V) => Effect | undefined,
): (model: Model<AnyArgs, Effect, unknown>) => Model<AnyArgs, Effect, unknown> {
  return (model) =>
    function* (...args) {
      const unused = new Set(Object.keys(values));
      const met: string[] = [];
      const result = yield* handleEffects(model(...args), function* (effect): Program<Effect, unknown> {
        const own = Object.hasOwn(values, effect.name) ? values[effect.name] : undefined;
        const rewritten = own === undefined ? undefined : rewrite(effect, own);
        if (rewritten !== undefined) unused.delete(effect.name);
        else if (effect.kind === "sample" || effect.kind === "observe") met.push(effect.name);
        return yield rewritten ?? effect;
      });
      const [missing] = unused;
      if (missing !== undefined) {
        const sites =
          met.length === 0 ? "it has no other sites" : `its other sites are ${met.map((n) => `"${n}"`).join(", ")}`;
        fail("extra-site", `${what}: the model has no site "${missing}" for which this makes sense; ${sites}`, {
          site: missing,
        });
      }
      return result;
    };
}

/**
 * *Data arrive after the model is written*: makes latent sites observed, in the run and in the type.
 *
 * @throws `extra-site` when the model has no such latent site.
 */
export function condition<const D extends Tree<ArrayLike>>(data: D) {
  const handle = withValues("condition", data, (effect, value: ArrayLike) => {
    if (effect.kind !== "sample") return undefined;
    const { kind: _, value: __, ...site } = effect;
    return { ...site, kind: "observe", value };
  });
  return <Args extends AnyArgs, E extends Effect, A>(
    model: Model<Args, E, A> & KnownSites<keyof D & string, LatentsOf<E>, "condition: the model has no latent site">,
  ): Model<Args, Conditioned<E, keyof D & string>, A> => handle(model as never) as never;
}

/**
 * *Asking "what if" is not learning "that"*: do(site = value). The site takes the value and loses its density; nothing is
 * inferred about its causes.
 *
 * @throws `extra-site` when the model has no such site.
 */
export function intervene<const D extends Tree<ArrayLike>>(values: D) {
  const handle = withValues("intervene", values, (effect, value: ArrayLike) => {
    if (effect.kind !== "sample" && effect.kind !== "observe") return undefined;
    const { name, plates, dist } = effect;
    return { kind: "deterministic", name, value, eventRank: dist.eventShape.length, ...(plates && { plates }) };
  });
  return <Args extends AnyArgs, E extends Effect, A>(
    model: Model<Args, E, A> &
      KnownSites<keyof D & string, LatentsOf<E> | ObservedOf<E>, "intervene: the model has no site">,
  ): Model<Args, Intervened<E, keyof D & string>, A> => handle(model as never) as never;
}

/**
 * *Score a given choice*: latent sites and parameters take these values; latent sites stay latent and keep their density.
 *
 * @throws `extra-site` when the model has no such latent site or parameter.
 */
export function substitute<const D extends Tree<ArrayLike>>(values: D) {
  const handle = withValues("substitute", values, (effect, value: ArrayLike) =>
    effect.kind === "sample" || effect.kind === "param" ? { ...effect, value } : undefined,
  );
  return <Args extends AnyArgs, E extends Effect, A>(
    model: Model<Args, E, A> &
      KnownSites<keyof D & string, LatentsOf<E> | ParamsOf<E>, "substitute: the model has no latent site or parameter">,
  ): Model<Args, E, A> => handle(model as never) as never;
}

/** What {@link replay} reads: the latent values of an earlier run, by name. */
export interface Replayable {
  readonly latents: Tree<ArrayLike>;
}

/** *Run again what happened before*: latent sites that the trace has take its values; others are drawn afresh. */
export function replay(trace: Replayable) {
  return handler(
    () =>
      function* (effect) {
        const value = effect.kind === "sample" ? trace.latents[effect.name] : undefined;
        return yield effect.kind === "sample" && value !== undefined ? { ...effect, value } : effect;
      },
  );
}

/**
 * *Some sites are nobody else's business*: hides latent and observed sites from every handler further out. They are still
 * drawn (or keep their data), but are neither recorded nor counted. Without names, hides all.
 */
export function block<const N extends string = string>(...names: readonly N[]) {
  const hidden = (name: string) => names.length === 0 || (names as readonly string[]).includes(name);
  const handle = handler(
    () =>
      function* (effect) {
        if ((effect.kind !== "sample" && effect.kind !== "observe") || !hidden(effect.name)) return yield effect;
        const { kind, mask: _, scale: __, ...site } = effect;
        return yield { ...site, kind: "hidden", wasObserved: kind === "observe" };
      },
  );
  return <Args extends AnyArgs, E extends Effect, A>(
    model: Model<Args, E, A> & KnownSites<N, LatentsOf<E> | ObservedOf<E>, "block: the model has no site">,
  ): Model<Args, Blocked<E, N>, A> => handle(model as never) as never;
}

/**
 * *Forget the data*: observed sites become latent again, as prediction needs. Parts of an observation that were masked too.
 * Without names, all of them.
 */
export function uncondition<const N extends string = string>(...names: readonly N[]) {
  const forgotten = (name: string) => names.length === 0 || (names as readonly string[]).includes(name);
  const handle = handler(
    () =>
      function* (effect) {
        if (effect.kind !== "observe" || !forgotten(effect.name)) return yield effect;
        const { kind: _, value: __, observed: ___, ...site } = effect;
        return yield { ...site, kind: "sample" };
      },
  );
  return <Args extends AnyArgs, E extends Effect, A>(
    model: Model<Args, E, A> & KnownSites<N, ObservedOf<E>, "uncondition: the model has no observed site">,
  ): Model<Args, Unconditioned<E, N>, A> => handle(model as never) as never;
}

/** *Count only part of the rows*: entries (over the plates) where `entries` is 0 have log-probability 0. */
export function mask(entries: ArrayLike) {
  return handler(
    () =>
      function* (effect) {
        if (effect.kind !== "sample" && effect.kind !== "observe" && effect.kind !== "factor") return yield effect;
        return yield {
          ...effect,
          mask: effect.mask === undefined ? entries : tf.mul(toTensor(effect.mask), toTensor(entries)),
        };
      },
  );
}

/**
 * *Count it more than once*: multiplies the log-probability of every site, for minibatches or tempered targets.
 *
 * @throws `argument` when a number is negative or not finite.
 */
export function scale(by: number | tf.Tensor) {
  if (typeof by === "number" && !(by >= 0 && Number.isFinite(by)))
    fail("argument", `scale: expected a non-negative number, got ${by}`);
  return handler(
    () =>
      function* (effect) {
        if (effect.kind !== "sample" && effect.kind !== "observe" && effect.kind !== "factor") return yield effect;
        return yield { ...effect, scale: effect.scale === undefined ? by : tf.mul(effect.scale, by) };
      },
  );
}

/** *Randomness is an input*: sites draw from fold(key, name). The innermost seed wins. */
export function seed(value: Seed | Key) {
  const key = toKey(value);
  return handler(
    () =>
      function* (effect) {
        return yield effect.key === undefined ? { ...effect, key } : effect;
      },
  );
}

/** *Two copies of a model are not one*: puts `prefix/` before the name of every site and parameter. Plates keep their names. */
export function scope<const P extends string>(prefix: P) {
  if (prefix.length === 0) fail("argument", "scope: the prefix must not be empty");
  const handle = handler(
    () =>
      function* (effect) {
        return yield effect.kind === "plate" ? effect : ({ ...effect, name: `${prefix}/${effect.name}` } as Effect);
      },
  );
  return <Args extends AnyArgs, E extends Effect, A>(model: Model<Args, E, A>): Model<Args, Scoped<E, P>, A> =>
    handle(model) as never;
}

/** Sites with a value, which can have an energy. */
type Tiltable = SampleEffect | ObserveEffect | DeterministicEffect;

/** An energy: a function of a value, or a program (a network with parameters). Shape `[...particles, ...plates]`. */
export type Energy<E extends Effect = never> = (value: tf.Tensor) => tf.Tensor | Program<E, tf.Tensor>;

/**
 * *Correct a model where it is wrong*: p(site)·exp(−E(site))/Z, by a factor −E right after the site: latent, observed, or
 * deterministic, where the energy is one of a quantity derived from others.
 *
 * @remarks Works inside plates (one energy per row). The target becomes unnormalised: evidences and bounds are up to log Z.
 * The factor is named `tilt(site)`.
 */
export function tilt<const N extends string, E2 extends Effect = never>(site: N, energy: Energy<E2>) {
  const isSite = (effect: Effect): effect is Tiltable =>
    (effect.kind === "sample" || effect.kind === "observe" || effect.kind === "deterministic") && effect.name === site;
  const handle = siteHandler("tilt", site, isSite, function* (effect) {
    const value = yield effect;
    const e = energy(value as tf.Tensor);
    const E = e instanceof tf.Tensor ? e : yield* e as Program<Effect, tf.Tensor>;
    const { plates, scale, mask, key } = effect;
    yield {
      kind: "factor",
      name: `tilt(${site})`,
      logWeight: tf.neg(E),
      differentiable: true,
      ...(plates && { plates }),
      ...(scale !== undefined && { scale }),
      ...(mask !== undefined && { mask }),
      ...(key && { key }),
    };
    return value;
  });
  return <Args extends AnyArgs, E extends Effect, A>(
    model: Model<Args, E, A> &
      KnownSites<N, LatentsOf<E> | ObservedOf<E> | DeterministicsOf<E>, "tilt: the model has no site">,
  ): Model<Args, E | FactorEffect<`tilt(${N})`> | E2, A> => handle(model as never) as never;
}

/** Whether a model's density is normalised, as a type: `true` or `false`. */
export type NormalizedOf<M> = M extends Model<infer _Args, infer E, infer _A> ? IsNormalized<E> : never;
