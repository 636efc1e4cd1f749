/** The one mechanism behind every handler: run a program, and put a program of your own in place of each of its effects. */
import { fail } from "../core/errors.ts";
import type { Effect, Model, Program } from "./effects.ts";

/** What a handler does in place of one effect; the return value is the reply. To leave it alone, `return yield effect`. */
export type OnEffect<E2 extends Effect = Effect> = (effect: Effect) => Program<E2, unknown>;

/**
 * Runs `program`, replacing each effect it yields by the program `onEffect(effect)`.
 *
 * @remarks State of the handler lives in the closure of one run, so interleaved runs never see each other. A failure
 * further out is thrown into the program at the effect that caused it: `try` in a model works, and stacks show the line.
 */
export function* handleEffects<E extends Effect, A, E2 extends Effect>(
  program: Program<E, A>,
  onEffect: (effect: E) => Iterable<E2, unknown, unknown>,
): Program<E2, A> {
  let finished = false;
  try {
    let step = program.next();
    while (!step.done) {
      let reply: unknown;
      try {
        reply = yield* onEffect(step.value);
      } catch (error) {
        step = program.throw(error);
        continue;
      }
      step = program.next(reply);
    }
    finished = true;
    return step.value;
  } finally {
    // Ended from outside: run the program's own `finally` blocks.
    if (!finished) program.return(undefined as A);
  }
}

/** Runs `program` to its end, answering each effect at once: nothing is left to yield, so its first step is its last. */
export function answerEffects<E extends Effect, A>(program: Program<E, A>, answer: (effect: E) => unknown): A {
  let asked: E;
  // Acts as a generator that only returns, without making one for each effect.
  const answered: IterableIterator<never, unknown, unknown> = {
    next: () => ({ done: true, value: answer(asked) }),
    [Symbol.iterator]: () => answered,
  };
  return handleEffects(program, (effect) => {
    asked = effect;
    return answered;
  }).next().value;
}

/**
 * Makes a handler of one site: `onSite` stands in place of each effect that `isSite` finds.
 *
 * @throws `missing-site` in a run without any.
 */
export function siteHandler<S extends Effect>(
  what: string,
  site: string,
  isSite: (effect: Effect) => effect is S,
  onSite: (effect: S) => Program<Effect, unknown>,
): <Args extends readonly unknown[], A>(model: Model<Args, Effect, A>) => Model<Args, Effect, A> {
  return (model) =>
    function* (...args) {
      let met = false;
      const result = yield* handleEffects(model(...args), function* (effect): Program<Effect, unknown> {
        if (!isSite(effect)) return yield effect;
        met = true;
        return yield* onSite(effect);
      });
      if (!met) fail("missing-site", `${what}: the model has no site "${site}"`, { site });
      return result;
    };
}

/** A function from model to model that adds effects `E2`. */
export type Handler<E2 extends Effect = never> = <Args extends readonly unknown[], E extends Effect, A>(
  model: Model<Args, E, A>,
) => Model<Args, E | E2, A>;

/**
 * Makes a handler, model → model. `start` is called once for each run and returns what to do with an effect; effects that
 * the handler adds are named by `E2`.
 *
 * @example A handler that prints every choice:
 * const loud = handler(() => function* (effect) {
 *   const value = yield effect;
 *   if (effect.kind === "sample") console.log(effect.name, String(value));
 *   return value;
 * });
 */
export function handler<E2 extends Effect = never>(start: () => OnEffect): Handler<E2> {
  const handle = <Args extends readonly unknown[], A>(model: Model<Args, Effect, A>): Model<Args, Effect, A> =>
    function* (...args: Args): Program<Effect, A> {
      return yield* handleEffects(model(...args), start());
    };
  // The union of effects is the caller's: what passes through is E, what is added is E2.
  return handle as never;
}
