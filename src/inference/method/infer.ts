/** `infer(model, method, options)` is the one entry to inference, and a method is a value. */
import type { NdArray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { yieldToEventLoop } from "../../core/event-loop.ts";
import { type Key, type Seed, toKey } from "../../core/key.ts";
import type { Tree } from "../../core/tree.ts";
import type { Effect, Model } from "../../effects/effects.ts";
import type { GuideFits } from "../../effects/sites.ts";
import { type EngineChoice, type EngineInfo, engineFor, resolveChoice } from "../../engine/engine.ts";

/**
 * A function on types: from a model's effects and arguments to the type of a method's result, so that one method gives results whose
 * sites are those of the model at hand. (TypeScript has no such functions; the usual substitute is an interface that reads `this`.)
 *
 * @example
 * interface LikelihoodKind extends ResultKind {
 *   readonly result: { readonly [N in LatentsOf<EffectsIn<this>>]: NdArray };
 * }
 */
export interface ResultKind {
  /** The model's effects; read them through {@link EffectsIn}. */
  readonly effects: unknown;
  /** The model's arguments, a tuple. */
  readonly args: unknown;
  /** The result for these. */
  readonly result: unknown;
}

/** The model's effects, as a {@link ResultKind} sees them: `EffectsIn<this>`. */
export type EffectsIn<K extends ResultKind> = Extract<K["effects"], Effect>;

/** The result's type of kind `K` for a model with effects `E` and arguments `Args`. */
export type ResultFor<K extends ResultKind, E extends Effect, Args extends readonly unknown[]> = (K & {
  readonly effects: E;
  readonly args: Args;
})["result"];

/** Progress of a run, for `infer`'s `onProgress`. */
export interface Progress {
  /** The method's name. */
  readonly method: string;
  /** Steps done, of `total`. */
  readonly step: number;
  readonly total: number;
  /** Numbers to show: loss, acceptance, ESS. */
  readonly metrics: { readonly [name: string]: number };
}

/**
 * What a method is given: a log-density log p(latents, data), as a program with its arguments, and where randomness comes from.
 *
 * @remarks Run the program with `interpret(problem.model(...problem.args), ...)` inside `tensorScope`; `inspectModel(problem)` says what
 * sites it has. Nothing of a problem changes during a run, and a method leaves no tensor behind: what it returns are typed arrays.
 */
export interface Problem {
  /** The model, whose sites see one draw: a value is `[...plates, ...event]`. Its types are checked before, by `infer`. */
  readonly model: Model<readonly unknown[], Effect, unknown>;
  /** What the model, and a guide, is called with. */
  readonly args: readonly unknown[];
  /** All randomness of the run comes from it, by `fold(key, name)`: same key, same engine, same bits. */
  readonly key: Key;
  /** Unconstrained values of the parameters of model and guide by name; absent ones take their initial values. */
  readonly params: Tree<NdArray>;
  /** The engine that runs op by op; it is ready. */
  readonly engine: EngineInfo;
  /** What the caller wants of the inner loop: see `InferOptions.engine`. A method that never compiles may ignore it. */
  readonly choice: EngineChoice;
  /** Threads of a compiled inner loop; absent when the caller leaves it to the method. */
  readonly threads?: number;
  /** Whether a compiled loop leaves the event loop free during a step. Default false. */
  readonly background?: boolean;
  /**
   * To be awaited between steps, outside every memory scope: reports progress and lets the event loop run.
   *
   * @throws `aborted` when the caller's signal has fired.
   */
  tick(progress: Omit<Progress, "method">): Promise<void>;
}

/** The guide that a method carries, as far as the compiler checks it against the model. */
export interface GuideType {
  /** Its effects: their latent sites must be those of the model. */
  readonly effects: Effect;
  /** Its arguments: those of the model must fit them. */
  readonly args: readonly unknown[];
}

/**
 * An inference method, as a value: a name and a function from a problem to a result.
 *
 * @typeParam K - From a model's effects to the result's type.
 * @typeParam G - The guide that must fit the model; `undefined` when the method has none.
 * @remarks The types of the two stand in `types` and are absent at run time: state them as the return type of the function that makes
 * the method.
 * @example log p(z, data) at one draw z of the prior:
 * interface DensityKind extends ResultKind {
 *   readonly result: number;
 * }
 * const priorDensity: Method<DensityKind, undefined> = {
 *   name: "prior-density",
 *   run: async ({ model, args, key }) =>
 *     tensorScope(() => logJoint(interpret(model(...args), { key })).dataSync()[0]),
 * };
 */
export interface Method<K extends ResultKind = ResultKind, G extends GuideType | undefined = GuideType | undefined> {
  /** For progress and for messages. */
  readonly name: string;
  /** @returns What `K` says, for the effects of the problem's model. */
  run(problem: Problem): Promise<unknown>;
  /** Types only; absent at run time. */
  readonly types?: { readonly kind: K; readonly guide: G } | undefined;
}

/** `unknown` when the method's guide fits the model, else an error that names the site. */
export type MethodFits<G, E extends Effect, Args extends readonly unknown[]> = G extends GuideType
  ? GuideFits<G["effects"], E> &
      (Args extends G["args"] ? unknown : { readonly "the guide takes other arguments": G["args"] })
  : unknown;

/** Options of {@link infer}. */
export interface InferOptions<Args extends readonly unknown[]> {
  /** Arguments of the model (and of the guide). */
  readonly args?: Args;
  /** All randomness of the run comes from here: same seed, same engine, same bits. */
  readonly seed: Seed | Key;
  /** Unconstrained parameters, as a fit returns them in `params`. */
  readonly params?: Tree<NdArray>;
  /** Ends the run at the next step with an error of code `aborted`. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /**
   * `auto` (default): the inner loop is compiled where that pays and ONNX Runtime is there; `compiled` always compiles; `wasm` and `node-gpu` run
   * it op by op, on that engine, which stays in use. The draws are the same on each.
   */
  readonly engine?: EngineChoice;
  /**
   * Threads of a compiled loop: inside one operation, or one for each shard of Langevin chains. Default: one, and more where the work of a
   * step is large.
   */
  readonly threads?: number;
  /**
   * A compiled loop runs in a thread of its own (Node), so that the event loop stays free during a step and not only between steps;
   * inputs and outputs are copied. Default false.
   */
  readonly background?: boolean;
}

/**
 * Runs an inference method on a model.
 *
 * @example
 * const posterior = await infer(coin, snis(1000), { args: [7], seed: 1 });
 * posterior.ess;
 * @throws What running the model throws, each error naming its site; `aborted` when the signal fires.
 */
export async function infer<
  Args extends readonly unknown[],
  E extends Effect,
  A,
  K extends ResultKind,
  G extends GuideType | undefined,
>(
  model: Model<Args, E, A>,
  method: Method<K, G> & MethodFits<G, E, Args>,
  options: InferOptions<Args>,
): Promise<ResultFor<K, E, Args>> {
  if (typeof model !== "function") fail("argument", "infer: the first argument must be a model");
  const { signal, onProgress } = options;
  const abort = () => {
    if (signal?.aborted) fail("aborted", `${method.name}: aborted`, { cause: signal.reason });
  };
  const engine = await engineFor(options.engine ?? "auto");
  const choice = resolveChoice(options.engine);
  abort();
  const pause = yieldToEventLoop();
  const result = await method.run({
    model: model as unknown as Problem["model"],
    args: (options.args ?? []) as readonly unknown[],
    key: toKey(options.seed),
    params: options.params ?? {},
    engine,
    choice,
    ...(options.threads !== undefined && { threads: options.threads }),
    ...(options.background && { background: true }),
    async tick(progress) {
      onProgress?.({ method: method.name, ...progress });
      await pause();
      abort();
    },
  });
  return result as ResultFor<K, E, Args>;
}
