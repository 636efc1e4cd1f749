/**
 * The interpreter: it answers every effect that reaches it and records what happened. All inference runs programs
 * through this one function, inside a memory scope.
 */
import * as tf from "@tensorflow/tfjs-core";
import { toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key } from "../core/key.ts";
import { permutation } from "../core/random/discrete.ts";
import { checkAll, currentTracer, hostArray, isConcrete, type MaybeTraced } from "../core/tracing.ts";
import type { TensorTree } from "../core/tree.ts";
import type { Constraint } from "../dist/constraint.ts";
import type { Distribution } from "../dist/distribution.ts";
import { requireEngine } from "../engine/engine.ts";
import { firstNanOrInfinity } from "../engine/read.ts";
import {
  alignLogProb,
  alignValue,
  batchShapeIn,
  checkBatch,
  checkEntryMask,
  checkEvent,
  expandIn,
  type RunAxes,
} from "./alignment.ts";
import type {
  Context,
  DeterministicEffect,
  Effect,
  FactorEffect,
  HiddenEffect,
  ObserveEffect,
  ParamEffect,
  PlateEffect,
  PlateFrame,
  Program,
  SampleEffect,
} from "./effects.ts";
import { answerEffects } from "./handle.ts";
import { checkPlateSize } from "./plate.ts";

/** What the interpreter needs to answer effects. Everything else that changes a run is a handler (`run-handlers.ts`). */
export interface InterpretOptions {
  /** Where sites without a key of their own draw from. */
  readonly key?: Key;
  /** Unconstrained values of parameters by name; absent ones take their initial value. */
  readonly params?: TensorTree;
  /** Runs so many copies at once, on an axis to the left of all plates. */
  readonly particles?: number;
  /** Index of the first particle: particles [first, first + n) are the same however they are cut into runs. */
  readonly first?: MaybeTraced;
  /** Greatest nesting of plates in the model; needed with particles. */
  readonly depth?: number;
}

/** Default names of factors, with or without a prefix: repeats are numbered, since a site may be tilted twice. */
const DEFAULT_NAME = /(^|\/)(factor$|tilt\()/;

/** What happened at a site. Tensors belong to the caller's scope. */
export interface SiteRecord {
  readonly kind: "sample" | "observe" | "factor" | "deterministic";
  readonly name: string;
  readonly plates: readonly PlateFrame[];
  /** Axes on the right of the value that are not plates. */
  readonly eventRank: number;
  readonly value: tf.Tensor | undefined;
  /** Scaled and masked, of shape `[particles or 1, ...1s, ...plates]`; without particles, `[...plates]`. */
  readonly logProb: tf.Tensor | undefined;
  readonly dist: Distribution | undefined;
  /** Of a factor: as declared. */
  readonly differentiable: boolean | undefined;
}

/** What happened at a parameter. */
export interface ParamRecord {
  readonly unconstrained: tf.Tensor;
  readonly value: tf.Tensor;
  readonly constraint: Constraint | undefined;
}

/** What happened in a run. */
export interface Execution<A = unknown> extends RunAxes {
  readonly result: A;
  readonly sites: ReadonlyMap<string, SiteRecord>;
  readonly params: ReadonlyMap<string, ParamRecord>;
  readonly plates: ReadonlyMap<string, PlateFrame>;
}

/**
 * Runs a program to its end, answering its effects.
 *
 * @remarks Call it inside `scope`: every tensor it makes belongs to the caller.
 * @throws `duplicate-site`, `shape`, `support`, `plate`, `no-seed`, `non-finite`, each naming the site.
 */
export function interpret<A>(program: Program<Effect, A>, options: InterpretOptions = {}): Execution<A> {
  requireEngine();
  const { particles, depth = 0 } = options;
  const run: Run = { options, particles, depth, sites: new Map(), params: new Map(), plates: new Map() };
  const result = answerEffects(program, (effect) => answer(run, effect));
  const { sites, params, plates } = run;
  return { result, sites, params, plates, particles, depth };
}

/** The state of one run. */
interface Run extends RunAxes {
  readonly options: InterpretOptions;
  readonly sites: Map<string, SiteRecord>;
  readonly params: Map<string, ParamRecord>;
  readonly plates: Map<string, PlateFrame>;
}

function answer(run: Run, effect: Effect): unknown {
  const trace = currentTracer();
  if (trace !== undefined) trace.site = effect.name;
  switch (effect.kind) {
    case "sample":
      return answerSample(run, effect);
    case "observe":
      return answerObserve(run, effect);
    case "factor":
      return answerFactor(run, effect);
    case "param":
      return answerParam(run, effect);
    case "plate":
      return answerPlate(run, effect);
    case "deterministic":
      return answerDeterministic(run, effect);
    case "hidden":
      return siteValue(run, effect);
    default:
      return fail("argument", `a model yielded something that is no effect: ${describe(effect)}`);
  }
}

const describe = (value: unknown): string =>
  value instanceof Object ? `${value.constructor.name}; call programs with yield*, not yield` : String(value);

function answerSample(run: Run, effect: SampleEffect): tf.Tensor {
  checkUnused(run, effect.name);
  const value = siteValue(run, effect);
  record(run, effect, value, effect.dist);
  return value;
}

function answerObserve(run: Run, effect: ObserveEffect): tf.Tensor {
  checkUnused(run, effect.name);
  const { name, observed } = effect;
  const value = alignValue(run, effect, toTensor(effect.value), effect.dist.eventShape.length);
  let { dist } = effect;
  if (observed !== undefined) {
    checkEntryMask(run, effect, toTensor(observed).shape, dist);
    dist = dist.maskEntries(observed);
  }
  if (effect.scored !== false && !tf.tidy(() => checkAll(dist.support.check(value)))) {
    fail("support", `observed value of "${name}" lies outside the support of ${dist.family}: ${dist.support.name}`, {
      site: name,
    });
  }
  record(run, effect, value, dist);
  return value;
}

function answerFactor(run: Run, effect: FactorEffect): undefined {
  let name = effect.name;
  if (DEFAULT_NAME.test(name)) for (let i = 1; run.sites.has(name); i++) name = `${effect.name}.${i}`;
  checkUnused(run, name);
  const { plates = [], mask, differentiable } = effect;
  let logWeight = toTensor(effect.logWeight);
  if (mask !== undefined) logWeight = tf.where(tf.cast(toTensor(mask), "bool"), logWeight, tf.zerosLike(logWeight));
  const logProb = effect.scored === false ? undefined : scaledLogProb(run, { ...effect, name }, logWeight);
  run.sites.set(name, {
    kind: "factor",
    name,
    plates,
    eventRank: 0,
    value: undefined,
    dist: undefined,
    differentiable,
    logProb,
  });
  return undefined;
}

function answerParam(run: Run, effect: ParamEffect): tf.Tensor {
  if (effect.value !== undefined) return toTensor(effect.value);
  const known = run.params.get(effect.name);
  if (known !== undefined) return known.value;
  const { name, constraint } = effect;
  const bijection = constraint?.bijection();
  let unconstrained = run.options.params?.[name];
  if (unconstrained === undefined) {
    const init = typeof effect.init === "function" ? effect.init(keyOf(run, effect)) : effect.init;
    const value = toTensor(init);
    if (constraint !== undefined && !checkAll(constraint.check(value))) {
      fail("parameter", `param("${name}"): the initial value is not ${constraint.name}`, { site: name });
    }
    unconstrained = bijection === undefined ? value : bijection.inverse(value);
  }
  const value = bijection === undefined ? unconstrained : bijection.forward(unconstrained);
  run.params.set(name, { unconstrained, value, constraint });
  return value;
}

function answerPlate(run: Run, effect: PlateEffect): PlateFrame {
  const { name, size, subsample } = effect;
  const known = run.plates.get(name);
  if (known !== undefined) {
    checkPlateSize(effect, known);
    return known;
  }
  let { indices } = effect;
  if (indices === undefined && subsample !== undefined && subsample < size) {
    const key = keyOf(run, effect);
    indices = hostArray(() => permutation(key, size).slice(0, subsample));
  }
  const frame: PlateFrame = { name, size, length: indices?.length ?? size, indices };
  run.plates.set(name, frame);
  return frame;
}

function answerDeterministic(run: Run, effect: DeterministicEffect): tf.Tensor {
  const { name, plates = [] } = effect;
  checkUnused(run, name);
  const given = toTensor(effect.value);
  const value = effect.eventRank === undefined ? given : alignValue(run, effect, given, effect.eventRank);
  const eventRank = effect.eventRank ?? Math.max(0, value.rank - batchShapeIn(run, plates).length);
  run.sites.set(name, {
    kind: "deterministic",
    name,
    plates,
    eventRank,
    value,
    logProb: undefined,
    dist: undefined,
    differentiable: undefined,
  });
  return value;
}

function checkUnused(run: Run, name: string): void {
  if (run.sites.has(name)) {
    fail("duplicate-site", `two sites are named "${name}"; rename one, or prefix a nested model with scope("...")`, {
      site: name,
    });
  }
}

function keyOf(run: Run, { name, key = run.options.key }: Context & { readonly name: string }): Key {
  if (key === undefined) return fail("no-seed", `"${name}" needs randomness: give a seed`, { site: name });
  return fold(key, name);
}

/** The value that a site was given, or a draw. */
function siteValue(run: Run, effect: SampleEffect | HiddenEffect): tf.Tensor {
  const { dist, value } = effect;
  if (value !== undefined) return alignValue(run, effect, toTensor(value), dist.eventShape.length);
  const expanded = expandIn(run, effect, dist);
  return expanded.sample(keyOf(run, effect), [], run.particles === undefined ? 0 : (run.options.first ?? 0));
}

function record(run: Run, effect: SampleEffect | ObserveEffect, value: tf.Tensor, dist: Distribution): void {
  const { name, kind, plates = [], mask } = effect;
  checkBatch(run, effect, dist.batchShape);
  checkEvent(effect, value, dist);
  let logProb: tf.Tensor | undefined;
  if (effect.scored !== false) {
    const counted = mask === undefined ? dist : dist.mask(mask);
    logProb = scaledLogProb(run, effect, counted.logProb(value));
  }
  const eventRank = dist.eventShape.length;
  run.sites.set(name, { kind, name, plates, eventRank, value, logProb, dist, differentiable: undefined });
}

/** Gives a log-probability its full shape and scale, and refuses NaN and +∞. */
function scaledLogProb(run: Run, effect: Context & { readonly name: string }, logProb: tf.Tensor): tf.Tensor {
  const { name, plates = [], scale } = effect;
  let out = alignLogProb(run, effect, logProb);
  const rows = plates.reduce((s, frame) => s * (frame.size / frame.length), 1);
  if (rows !== 1) out = tf.mul(out, rows);
  if (scale !== undefined) out = tf.mul(out, scale);
  checkFinite(name, out);
  return out;
}

/** @throws `non-finite` on NaN and +∞, which are errors; −∞ means probability zero. */
function checkFinite(name: string, logProb: tf.Tensor): void {
  if (!isConcrete(logProb)) {
    checkAll(tf.less(logProb, Number.POSITIVE_INFINITY));
    return;
  }
  const found = firstNanOrInfinity(logProb);
  if (found !== undefined) {
    fail("non-finite", `the log-probability of "${name}" is ${found}`, { site: name });
  }
}
