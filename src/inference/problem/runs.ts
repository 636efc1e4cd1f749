/** Runs of a guide, and of the model at the guide's draws, with the same rows of every plate. */
import type * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import type { Key } from "../../core/key.ts";
import type { MaybeTraced } from "../../core/tracing.ts";
import { type TensorTree, toTensors } from "../../core/tree.ts";
import { type Handler, handler } from "../../effects/handle.ts";
import { type Execution, interpret } from "../../effects/interpret.ts";
import { scoreOnly, unscored, withPlates, withRows } from "../../effects/run-handlers.ts";
import type { Problem } from "../method/infer.ts";
import type { Subsample } from "./minibatch.ts";
import type { ModelAndGuide } from "./model-and-guide.ts";

/** Which draws to take. */
export interface RunOptions {
  readonly key: Key;
  /** Number of particles; `undefined` is one, without a particle axis. */
  readonly particles: number | undefined;
  /** Index of the first particle. Default 0. */
  readonly first?: MaybeTraced;
  /** Unconstrained. Default: those after initialisation. */
  readonly params?: TensorTree;
  /** Rows of subsampled plates. Default: a permutation's. */
  readonly subsample?: Subsample;
}

/** Runs the guide, where there is one. */
export const runGuide = (pair: ModelAndGuide, options: RunOptions, density: boolean): Execution | undefined =>
  pair.guide && run(density ? pair.guide : unscored(pair.guide), pair, options);

/** Runs the guide again at other parameters, on the values that it drew. */
export const rescoreGuide = (
  pair: ModelAndGuide,
  options: RunOptions,
  values: TensorTree,
  drawn: Execution,
): Execution | undefined => pair.guide && run(atValues(values, true)(pair.guide), pair, options, drawn);

/**
 * Runs the model on values of the guide, in the rows of the guide.
 *
 * @remarks Draws of the prior cancel in a weight and are not scored.
 * @throws `missing-site` when a guide that must draw every site did not: structure must not change between runs, but a program may
 *   break that rule.
 */
export function runModel(pair: ModelAndGuide, options: RunOptions, values: TensorTree, drawn?: Execution): Execution {
  const given = atValues(values, pair.complete)(pair.problem.model);
  const drawnOrData = scoreOnly(({ kind, name }) => kind !== "sample" || Object.hasOwn(values, name));
  return run(pair.complete ? given : drawnOrData(given), pair, options, drawn);
}

/** *The model is scored at the guide's draws*: latent sites take these values. Others are drawn; where `all` is true they are an error. */
const atValues = (values: TensorTree, all: boolean): Handler =>
  handler(
    () =>
      function* (effect) {
        if (effect.kind !== "sample") return yield effect;
        if (Object.hasOwn(values, effect.name)) return yield { ...effect, value: values[effect.name] as tf.Tensor };
        if (all) fail("missing-site", `the guide did not draw "${effect.name}" in this run`, { site: effect.name });
        return yield effect;
      },
  );

/** Runs a program with the arguments of both; plates have the rows of an earlier run, others those of this one. */
function run(program: Problem["model"], pair: ModelAndGuide, options: RunOptions, earlier?: Execution): Execution {
  const { key, particles, first = 0, params = toTensors(pair.params), subsample } = options;
  const placed = earlier === undefined ? program : withPlates(earlier.plates)(program);
  const inRows = subsample === undefined ? placed : withRows(subsample)(placed);
  const copies = particles === undefined ? {} : { particles, first, depth: pair.depth };
  return interpret(inRows(...pair.problem.args), { key, params, ...copies });
}
