/** `infer(model, method, options)` is the one door to inference; a method is a value. */
import type { NdArray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { yieldToEventLoop } from "../../core/event-loop.ts";
import { type Key, type Seed, toKey } from "../../core/key.ts";
import type { Tree } from "../../core/tree.ts";
import type { Effect, Model } from "../../effects/effects.ts";
import type { GuideFits } from "../../effects/sites.ts";
import { type EngineChoice, type EngineInfo, engineFor, resolveChoice } from "../../engine/engine.ts";

/** A function on types: from a model's effects (and arguments) to the type of a method's result. */
export interface ResultKind {
  readonly effects: unknown;
  readonly args: unknown;
  readonly result: unknown;
}

/** The model's effects, as a {@link ResultKind} sees them: `EffectsIn<this>`. */
export type EffectsIn<K extends ResultKind> = Extract<K["effects"], Effect>;

/** Applies a {@link ResultKind}. */
export type ResultFor<K extends ResultKind, E extends Effect, Args extends readonly unknown[]> = (K & {
  readonly effects: E;
  readonly args: Args;
})["result"];

/** How far a run has come. */
export interface Progress {
  readonly method: string;
  /** Steps done, of `total`. */
  readonly step: number;
  readonly total: number;
  /** What to show beside the bar: loss, acceptance, ESS. */
  readonly metrics: { readonly [name: string]: number };
}

/** What a method is given: the model with its arguments, and where randomness comes from. */
export interface Problem {
  readonly model: Model<readonly unknown[], Effect, unknown>;
  readonly args: readonly unknown[];
  readonly key: Key;
  /** Unconstrained values of the model's (and guide's) parameters; absent ones take their initial values. */
  readonly params: Tree<NdArray>;
  /** What runs op by op. */
  readonly engine: EngineInfo;
  /** What the caller wants of the inner loop. */
  readonly choice: EngineChoice;
  /** Threads of a compiled inner loop, where the caller says so. */
  readonly threads?: number;
  /** Whether a compiled loop is to leave the event loop free. */
  readonly background?: boolean;
  /** Call between steps, outside every memory scope: reports, lets the event loop live, and throws `aborted`. */
  tick(progress: Omit<Progress, "method">): Promise<void>;
}

/** The guide a method carries, as far as the compiler checks it. `never` effects: no guide. */
export interface GuideType {
  readonly effects: Effect;
  readonly args: readonly unknown[];
}

/**
 * An inference method, as a value.
 *
 * @remarks `K` maps a model's effects to the result's type; `G` is the type of the guide that must fit the model.
 */
export interface Method<K extends ResultKind = ResultKind, G extends GuideType | undefined = GuideType | undefined> {
  readonly name: string;
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
   * `auto` (default): the inner loop is compiled where that pays and ONNX Runtime is there; `compiled` insists; `wasm` and `node-gpu` run
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
   * what goes in and comes out is copied. Default false.
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
  const politely = yieldToEventLoop();
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
      await politely();
      abort();
    },
  });
  return result as ResultFor<K, E, Args>;
}
