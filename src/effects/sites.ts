/** What the compiler knows about a program: the names of its sites, read off the union of its effects. */
import type {
  DeterministicEffect,
  Effect,
  FactorEffect,
  Model,
  ObserveEffect,
  ParamEffect,
  PlateEffect,
  Program,
  SampleEffect,
} from "./effects.ts";

/** Names of latent sites. `string` when a name was built at run time. */
export type LatentsOf<E extends Effect> = E extends SampleEffect<infer N> ? N : never;
/** Names of observed sites. */
export type ObservedOf<E extends Effect> = E extends ObserveEffect<infer N> ? N : never;
/** Names of parameters. */
export type ParamsOf<E extends Effect> = E extends ParamEffect<infer N> ? N : never;
/** Names of deterministic sites. */
export type DeterministicsOf<E extends Effect> = E extends DeterministicEffect<infer N> ? N : never;
/** Names of plates. */
export type PlatesOf<E extends Effect> = E extends PlateEffect<infer N> ? N : never;
/** Whether the density is normalised: a `factor` makes it not so. */
export type IsNormalized<E extends Effect> = [Extract<E, FactorEffect>] extends [never] ? true : false;

/** The effects of a model or of a program. */
export type EffectsOf<M> =
  M extends Model<infer _Args, infer E, infer _A> ? E : M extends Program<infer E, infer _A> ? E : never;
/** The arguments of a model. */
export type ArgsOf<M> = M extends (...args: infer Args) => Program<Effect, unknown> ? Args : never;
/** The return value of a model. */
export type ResultOf<M> = M extends (...args: never[]) => Program<Effect, infer A> ? A : never;

/** A compile error that says what is wrong: no value has this type. */
export interface SiteError<Message extends string> {
  readonly "site error": Message;
}

/** The names of `Given` that are not among `Known`; none when either has a name that is built at run time. */
type Unmatched<Given extends string, Known extends string> = string extends Known
  ? never
  : string extends Given
    ? never
    : Exclude<Given, Known>;

/** `unknown` when every name of `Given` is one of `Known` (or either is built at run time), else an error naming the others. */
export type KnownSites<Given extends string, Known extends string, What extends string> = [
  Unmatched<Given, Known>,
] extends [never]
  ? unknown
  : SiteError<`${What} '${Unmatched<Given, Known>}'`>;

/** `unknown`, which changes nothing in an intersection, when there is no message; else one error with them all. */
type Refused<Message extends string> = [Message] extends [never] ? unknown : SiteError<Message>;

/** `unknown` when a guide's latent sites are those of the model, else one error naming what is missing and what is extra. */
export type GuideFits<G extends Effect, M extends Effect> = Refused<
  | `the guide misses the latent site '${Unmatched<LatentsOf<M>, LatentsOf<G>>}'`
  | `the model has no latent site '${Unmatched<LatentsOf<G>, LatentsOf<M>>}'`
>;
