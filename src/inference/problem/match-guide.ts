/** A model and a guide run together: first runs, and every check that the two fit. Variational methods plan by it. */
import * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { sameShape, showShape } from "../../core/shape.ts";
import type { MaybeTraced } from "../../core/tracing.ts";
import { type TensorTree, toTensors } from "../../core/tree.ts";
import type { Constraint } from "../../dist/constraint.ts";
import { hasKl } from "../../dist/kl.ts";
import { commonPlates, plateDepth, scored } from "../../effects/density.ts";
import type { Context, Effect, PlateEffect, PlateFrame, Program, SampleEffect } from "../../effects/effects.ts";
import { handleEffects } from "../../effects/handle.ts";
import { type Execution, type InterpretOptions, interpret, type SiteRecord } from "../../effects/interpret.ts";
import { unscored, withPlates, withRows } from "../../effects/run-handlers.ts";
import type { Problem } from "../method/infer.ts";
import type { Subsample } from "./minibatch.ts";

/** What a run of the two needs to know in advance. */
export interface ModelAndGuide {
  readonly model: Problem["model"];
  readonly guide: Problem["model"];
  readonly args: readonly unknown[];
  /** Greatest nesting of plates in either. */
  readonly depth: number;
  /** Plates around every scored site of both, outermost first: rows over which log-weights stay apart. */
  readonly rows: readonly PlateFrame[];
  readonly latents: readonly string[];
  /** Latent sites whose draws carry no gradient: they need the score function. */
  readonly scores: ReadonlySet<string>;
  /** Latent sites whose KL(guide ‖ model) has a closed form that may stand for its sampled value. */
  readonly closed: ReadonlySet<string>;
  /** Plates by name, with how they were asked for. */
  readonly plates: ReadonlyMap<string, PlateEffect>;
  readonly normalized: boolean;
  readonly hasData: boolean;
  /** Unconstrained values of all parameters of both after initialisation. */
  readonly params: { readonly [name: string]: NdArray };
  /** Where parameters must stay; those free to be anything are absent. */
  readonly constraints: ReadonlyMap<string, Constraint>;
}

/** Rows of data: those of the outermost common plate, or 1 when there is none. */
export const dataRows = ({ rows }: ModelAndGuide): number => rows[0]?.size ?? 1;

/** What handlers and plates asked for, as seen from outside the program. */
class Watch {
  readonly contexts = new Map<string, Context>();
  readonly plates = new Map<string, PlateEffect>();

  see(effect: Effect): void {
    if (effect.kind === "plate") this.plates.set(effect.name, effect);
    else this.contexts.set(effect.name, effect);
  }
}

/** Runs a program as the guide. */
function* asGuide(program: Program<Effect, unknown>, watch?: Watch): Program<Effect, unknown> {
  return yield* handleEffects(program, function* (effect): Program<Effect, unknown> {
    watch?.see(effect);
    if (effect.kind === "observe") {
      fail("unsupported", `the guide observes "${effect.name}"; a guide only draws: pass data as arguments`, {
        site: effect.name,
      });
    }
    return yield effect;
  });
}

/** Runs a program as the model: every latent site takes the guide's value. */
function* asModel(
  program: Program<Effect, unknown>,
  valueFor: (site: SampleEffect) => tf.Tensor,
  watch?: Watch,
): Program<Effect, unknown> {
  return yield* handleEffects(program, function* (effect): Program<Effect, unknown> {
    watch?.see(effect);
    return yield effect.kind === "sample" ? { ...effect, value: valueFor(effect) } : effect;
  });
}

const showPlates = (plates: readonly PlateFrame[]): string =>
  plates.length === 0 ? "no plate" : plates.map(({ name, size }) => `"${name}" (${size})`).join(" > ");

const quote = (names: readonly string[]): string =>
  names.length === 0 ? "none" : names.map((n) => `"${n}"`).join(", ");

/** The guide's value for a site of the model, once everything about the two sites agrees. */
function matched(guide: Execution, effect: SampleEffect): tf.Tensor {
  const { name, dist, plates = [] } = effect;
  const theirs = guide.sites.get(name);
  if (theirs?.kind !== "sample" || theirs.value === undefined) {
    const has = [...guide.sites.values()].filter((s) => s.kind === "sample").map((s) => s.name);
    return fail("missing-site", `the guide misses the latent site "${name}"; it has ${quote(has)}`, { site: name });
  }
  const same =
    plates.length === theirs.plates.length && plates.every((frame, i) => frame.name === theirs.plates[i]?.name);
  if (!same) {
    fail(
      "plate",
      `site "${name}" lies in ${showPlates(plates)} in the model and in ${showPlates(theirs.plates)} in the guide`,
      { site: name },
    );
  }
  const { shape } = theirs.value;
  const event = shape.slice(shape.length - theirs.eventRank);
  if (!sameShape(event, dist.eventShape)) {
    fail(
      "shape",
      `site "${name}": one value has shape ${showShape(dist.eventShape)} in the model and ${showShape(event)} in the guide`,
      { site: name },
    );
  }
  const inside = tf.tidy(() => tf.min(tf.cast(dist.support.check(theirs.value as tf.Tensor), "int32")).dataSync()[0]);
  if (inside === 0) {
    fail(
      "support",
      `site "${name}": the guide's ${theirs.dist?.family} drew a value outside the support of the model's ${dist.family}: ${dist.support.name}; transform it there`,
      { site: name },
    );
  }
  return theirs.value;
}

/**
 * Runs guide and model once, without particles, and checks that they fit.
 *
 * @throws `missing-site`, `extra-site`, `plate`, `shape`, `support`, `parameter`, each naming the site; `argument` when a factor of
 *   the guide does not say whether it is differentiable.
 */
export function matchGuide(problem: Problem, guide: Problem["model"]): ModelAndGuide {
  return scope(() => {
    const { model, args } = problem;
    const [watchGuide, watchModel] = [new Watch(), new Watch()];
    const params = toTensors(problem.params);
    const key = fold(problem.key, "probe");
    const guided = interpret(asGuide(guide(...args), watchGuide), { key, params });
    const initial = initialParams(guided);
    const onGuide = () => asModel(model(...args), (site) => matched(guided, site), watchModel);
    const run = interpret(withPlates(guided.plates)(onGuide)(), { key, params: { ...params, ...initial } });
    checkExtra(guided, run);
    checkParams(guided, run);
    const latents = [...run.sites.values()].filter((site) => site.kind === "sample").map((site) => site.name);
    const constraints = [...guided.params, ...run.params].flatMap(([name, { constraint }]) =>
      constraint === undefined ? [] : [[name, constraint] as const],
    );
    return {
      model,
      guide,
      args,
      depth: Math.max(plateDepth(guided), plateDepth(run)),
      rows: commonPlates([...scored(run), ...scored(guided)]),
      latents,
      scores: new Set(latents.filter((name) => guided.sites.get(name)?.dist?.reparameterized === false)),
      closed: new Set(latents.filter((name) => mayClose(name, guided, run, watchGuide, watchModel))),
      plates: new Map([...watchGuide.plates, ...watchModel.plates]),
      normalized: ![...run.sites.values()].some((site) => site.kind === "factor"),
      hasData: [...run.sites.values()].some((site) => site.kind === "observe"),
      params: Object.fromEntries(
        Object.entries({ ...initialParams(run), ...initial }).map(([name, value]) => [name, fromTensor(value)]),
      ),
      constraints: new Map(constraints),
    };
  });
}

const initialParams = (run: Execution): TensorTree =>
  Object.fromEntries([...run.params].map(([name, { unconstrained }]) => [name, unconstrained]));

function checkExtra(guide: Execution, model: Execution): void {
  for (const site of guide.sites.values()) {
    if (site.kind === "sample" && model.sites.get(site.name)?.kind !== "sample") {
      const has = [...model.sites.values()].filter((s) => s.kind === "sample").map((s) => s.name);
      fail("extra-site", `the model has no latent site "${site.name}" that the guide draws; it has ${quote(has)}`, {
        site: site.name,
      });
    }
    if (site.kind === "factor" && site.differentiable === undefined) {
      fail(
        "argument",
        `factor "${site.name}" in the guide must say whether gradients may flow through it: { differentiable: true } or false`,
        { site: site.name },
      );
    }
  }
}

function checkParams(guide: Execution, model: Execution): void {
  for (const [name, ours] of model.params) {
    const theirs = guide.params.get(name);
    if (theirs === undefined) continue;
    if (!sameShape(ours.value.shape, theirs.value.shape)) {
      fail(
        "shape",
        `parameter "${name}" has shape ${showShape(ours.value.shape)} in the model and ${showShape(theirs.value.shape)} in the guide`,
        { site: name },
      );
    }
    if (ours.constraint?.name !== theirs.constraint?.name) {
      fail("parameter", `parameter "${name}" has different constraints in model and guide`, { site: name });
    }
  }
}

/**
 * Whether a closed KL may replace log p − log q at a site. Its value is an expectation over the site given what was drawn
 * before it *in the guide*, so what the model's prior may depend on must come before it there too.
 */
function mayClose(name: string, guide: Execution, model: Execution, watchGuide: Watch, watchModel: Watch): boolean {
  const [g, m] = [guide.sites.get(name), model.sites.get(name)];
  if (g?.dist === undefined || m?.dist === undefined) return false;
  for (const watch of [watchGuide, watchModel]) {
    const context = watch.contexts.get(name);
    if (context?.mask !== undefined || context?.scale !== undefined) return false;
  }
  const before = (run: Execution) => {
    const names = [...run.sites.values()].filter((site) => site.kind === "sample").map((site) => site.name);
    return names.slice(0, names.indexOf(name));
  };
  const drawn = before(guide);
  return before(model).every((n) => drawn.includes(n)) && hasKl(g.dist, m.dist);
}

/** How to run a pair. */
export interface PairOptions {
  readonly key: InterpretOptions["key"] & object;
  /** Copies run at once; `undefined` runs one without an axis for it. */
  readonly particles: number | undefined;
  readonly first?: MaybeTraced;
  readonly params: TensorTree;
  readonly subsample: Subsample;
}

/** Runs the guide. */
export function runGuide(pair: ModelAndGuide, options: PairOptions, density: boolean): Execution {
  const guide = withRows(options.subsample)(density ? pair.guide : unscored(pair.guide));
  return interpret(asGuide(guide(...pair.args)), interpretOptions(pair, options));
}

/** Runs the guide again at other parameters, on given values. */
export function rescoreGuide(
  pair: ModelAndGuide,
  options: PairOptions,
  values: TensorTree,
  drawn: Execution,
): Execution {
  const guide = inRowsOf(pair.guide, options, drawn);
  const program = asModel(asGuide(guide(...pair.args)), ({ name }) => values[name] as tf.Tensor);
  return interpret(program, interpretOptions(pair, options));
}

/** Runs the model on values of the guide, in the rows of the guide. */
export function runModel(pair: ModelAndGuide, options: PairOptions, values: TensorTree, drawn: Execution): Execution {
  const model = inRowsOf(pair.model, options, drawn);
  const program = asModel(model(...pair.args), ({ name }) => {
    // Structure must not change between runs, but a program may break its promise.
    return values[name] ?? fail("missing-site", `the guide did not draw "${name}" in this run`, { site: name });
  });
  return interpret(program, interpretOptions(pair, options));
}

/** A program whose plates have the rows of an earlier run; other plates have those of this run. */
const inRowsOf = (program: Problem["model"], { subsample }: PairOptions, drawn: Execution): Problem["model"] =>
  withRows(subsample)(withPlates(drawn.plates)(program));

const interpretOptions = (
  { depth }: ModelAndGuide,
  { key, params, particles, first = 0 }: PairOptions,
): InterpretOptions => (particles === undefined ? { key, params } : { key, params, particles, first, depth });

/** Names a site of probability zero, for the message when a bound is −∞. */
export function impossibleSite(...runs: readonly Execution[]): SiteRecord | undefined {
  return runs.flatMap((run) => scored(run)).find((site) => site.logProb?.dataSync().includes(Number.NEGATIVE_INFINITY));
}
