/**
 * The effects: what a model can ask for. Each is a plain tagged record; the functions that yield them are the modelling
 * language. A record means nothing by itself: handlers (`handlers.ts`) rewrite it, the interpreter (`interpret.ts`) answers it.
 */
import type * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import type { Key } from "../core/key.ts";
import type { Constraint } from "../dist/constraint.ts";
import type { Distribution } from "../dist/distribution.ts";

/** One plate around a site: `length` rows stand for `size` of them. */
export interface PlateFrame {
  readonly name: string;
  /** Rows of the whole population. */
  readonly size: number;
  /** Rows present in this run: `size`, or the number of rows in the minibatch. */
  readonly length: number;
  /** Which rows are present; `undefined` means all. */
  readonly indices: Int32Array | undefined;
}

/** What handlers add to an effect. All of it is optional: an effect as yielded by a model has none. */
export interface Context {
  /** Enclosing plates, outermost first. */
  readonly plates?: readonly PlateFrame[];
  /** Multiplies the log-probability. */
  readonly scale?: number | tf.Tensor;
  /** Entries over the plates where it is 0 have log-probability 0. */
  readonly mask?: ArrayLike;
  /** The key from which this site draws, set by `seed`. */
  readonly key?: Key;
  /** Whether its log-probability is computed. Default true. */
  readonly scored?: boolean;
}

/** A random choice. Its reply is a draw, or the value a handler fixed. */
export interface SampleEffect<N extends string = string> extends Context {
  readonly kind: "sample";
  readonly name: N;
  readonly dist: Distribution;
  /** Set by `substitute` or `replay`: the site stays latent, but takes this value. */
  readonly value?: ArrayLike;
}

/** A random choice whose value is known. Its reply is the value. */
export interface ObserveEffect<N extends string = string> extends Context {
  readonly kind: "observe";
  readonly name: N;
  readonly dist: Distribution;
  readonly value: ArrayLike;
  /** 1 where an entry of the value was observed; shape `[...plates, ...event]`. */
  readonly observed?: ArrayLike;
}

/** A term of the log-density without a distribution: it makes the target unnormalised. */
export interface FactorEffect<N extends string = string> extends Context {
  readonly kind: "factor";
  readonly name: N;
  readonly logWeight: ArrayLike;
  /** In a guide: whether gradients may flow through the weight. */
  readonly differentiable?: boolean;
}

/** A learnable value. Its reply is the constrained value. */
export interface ParamEffect<N extends string = string> extends Context {
  readonly kind: "param";
  readonly name: N;
  readonly init: ParamInit;
  readonly constraint?: Constraint;
  /** Set by `substitute`: the constrained value to use. */
  readonly value?: ArrayLike;
}

/** Where a parameter starts: a constrained value, or a function of a key that makes one. */
export type ParamInit = ArrayLike | ((key: Key) => ArrayLike);

/** Asks which rows of a plate are present. Its reply is a {@link PlateFrame}. */
export interface PlateEffect<N extends string = string> extends Context {
  readonly kind: "plate";
  readonly name: N;
  readonly size: number;
  readonly subsample?: number;
  readonly indices?: Int32Array;
}

/** A named value that is not random: a derived quantity, or a site fixed by `intervene`. */
export interface DeterministicEffect<N extends string = string> extends Context {
  readonly kind: "deterministic";
  readonly name: N;
  readonly value: ArrayLike;
  /** Axes on the right that are not plates; known for intervened sites. */
  readonly eventRank?: number;
}

/** A site that `block` has hidden: it is drawn, but neither recorded nor counted. */
export interface HiddenEffect extends Context {
  readonly kind: "hidden";
  readonly name: string;
  readonly dist: Distribution;
  readonly value?: ArrayLike;
  /** Whether the value is a datum. */
  readonly wasObserved: boolean;
}

/** Every effect. */
export type Effect =
  | SampleEffect
  | ObserveEffect
  | FactorEffect
  | ParamEffect
  | PlateEffect
  | DeterministicEffect
  | HiddenEffect;

/** A running program: it yields effects `E`, is answered, and ends with an `A`. */
export type Program<E extends Effect, A> = Generator<E, A, unknown>;

/** A model: a function from arguments to a program. Calling it with `yield*` nests it in another. */
export type Model<Args extends readonly unknown[] = readonly never[], E extends Effect = Effect, A = unknown> = (
  ...args: Args
) => Program<E, A>;

/**
 * Names a generator function as a model. Nothing is added: a model *is* its generator function.
 *
 * @example
 * const coin = model(function* (heads: number) {
 *   const p = yield* sample("p", beta(1, 1));
 *   yield* observe("heads", binomial(10, { probs: p }), heads);
 *   return p;
 * });
 */
export function model<Args extends readonly unknown[], E extends Effect, A>(
  body: (...args: Args) => Program<E, A>,
): Model<Args, E, A> {
  if (typeof body !== "function") fail("argument", "model: expected a generator function, function* (...) { ... }");
  return body;
}

function checkName(what: string, name: string): void {
  if (typeof name !== "string" || name.length === 0) fail("argument", `${what}: a site needs a non-empty name`);
}

function checkDist(what: string, name: string, dist: Distribution): void {
  if (typeof dist?.logProb !== "function") {
    fail("argument", `${what}("${name}", ...): the second argument must be a distribution`, { site: name });
  }
}

/** A random choice named `name`, distributed as `dist`. Returns its value, of shape `[...particles, ...plates, ...event]`. */
export function* sample<const N extends string>(name: N, dist: Distribution): Program<SampleEffect<N>, tf.Tensor> {
  checkName("sample", name);
  checkDist("sample", name, dist);
  return (yield { kind: "sample", name, dist }) as tf.Tensor;
}

/** Options of {@link observe}. */
export interface ObserveOptions {
  /** 1 where an entry was observed, 0 where it is missing; shape `[...plates, ...event]`. What is missing may be NaN. */
  readonly mask?: ArrayLike;
}

/**
 * Declares that the choice `name`, distributed as `dist`, had the given value. Returns the value.
 *
 * @remarks With a mask, the missing entries count nothing: the bound or evidence is that of the observed entries alone,
 * which is right for data missing (completely) at random.
 */
export function* observe<const N extends string>(
  name: N,
  dist: Distribution,
  value: ArrayLike,
  options: ObserveOptions = {},
): Program<ObserveEffect<N>, tf.Tensor> {
  checkName("observe", name);
  checkDist("observe", name, dist);
  const observed = options.mask === undefined ? {} : { observed: options.mask };
  return (yield { kind: "observe", name, dist, value, ...observed }) as tf.Tensor;
}

/** Options of {@link factor}. */
export interface FactorOptions {
  /** Required in a guide: whether gradients may flow through the weight. */
  readonly differentiable?: boolean;
}

/** Adds `logWeight` to the log-density: the target becomes p(·)·exp(logWeight), known up to its normaliser. */
export function factor(logWeight: ArrayLike, options?: FactorOptions): Program<FactorEffect<"factor">, void>;
export function factor<const N extends string>(
  name: N,
  logWeight: ArrayLike,
  options?: FactorOptions,
): Program<FactorEffect<N>, void>;
export function* factor(
  first: string | ArrayLike,
  second?: ArrayLike | FactorOptions,
  third?: FactorOptions,
): Program<FactorEffect, void> {
  const named = typeof first === "string";
  if (named) checkName("factor", first);
  const options = (named ? third : (second as FactorOptions | undefined)) ?? {};
  yield {
    kind: "factor",
    name: named ? first : "factor",
    logWeight: (named ? second : first) as ArrayLike,
    ...options,
  };
}

/** Options of {@link param}. */
export interface ParamOptions {
  /** Where the value must stay; the optimiser works on the unconstrained side of its bijection. */
  readonly constraint?: Constraint;
}

/**
 * A learnable value. `init` is its first (constrained) value, or makes one from a key.
 *
 * @remarks One name is one parameter: asking for it twice gives the same value.
 */
export function* param<const N extends string>(
  name: N,
  init: ParamInit,
  options: ParamOptions = {},
): Program<ParamEffect<N>, tf.Tensor> {
  checkName("param", name);
  return (yield { kind: "param", name, init, ...options }) as tf.Tensor;
}

/** Records a derived value under a name, so that it appears in traces and results. Returns it. */
export function* deterministic<const N extends string>(
  name: N,
  value: ArrayLike,
): Program<DeterministicEffect<N>, tf.Tensor> {
  checkName("deterministic", name);
  return (yield { kind: "deterministic", name, value }) as tf.Tensor;
}
