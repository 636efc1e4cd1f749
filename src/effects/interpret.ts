/**
 * The interpreter: it answers every effect that reaches it and writes down what happened. All inference runs programs
 * through this one function, inside a memory scope of its own.
 */
import * as tf from "@tensorflow/tfjs-core";
import { toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key } from "../core/key.ts";
import { permutation } from "../core/random/discrete.ts";
import { uniform } from "../core/random/draws.ts";
import { type Shape, sameShape, showShape, sizeOf, tryBroadcast } from "../core/shape.ts";
import { checkAll, currentTracer, hostArray, hostTensor, isConcrete, type MaybeTraced } from "../core/tracing.ts";
import type { TensorTree } from "../core/tree.ts";
import type { Constraint } from "../dist/constraint.ts";
import type { Distribution } from "../dist/distribution.ts";
import { requireEngine } from "../engine/engine.ts";
import { firstNanOrInfinity } from "../engine/read.ts";
import type {
  Context,
  DeterministicEffect,
  Effect,
  FactorEffect,
  ObserveEffect,
  ParamEffect,
  PlateEffect,
  PlateFrame,
  Program,
  SampleEffect,
} from "./effects.ts";

/** How to run a program. */
export interface InterpretOptions {
  /** Where sites without a key of their own draw from. */
  readonly key?: Key;
  /** Runs so many copies at once, on an axis to the left of all plates. */
  readonly particles?: number;
  /** Index of the first particle: particles [first, first + n) are the same however they are cut into runs. */
  readonly first?: MaybeTraced;
  /** Greatest nesting of plates in the model; needed with particles. */
  readonly depth?: number;
  /** Unconstrained values of parameters by name; absent ones take their initial value. */
  readonly params?: TensorTree;
  /** Plates whose rows are decided already, for instance by the guide. */
  readonly plates?: ReadonlyMap<string, PlateFrame>;
  /** Rows of a subsampled plate; default: `rows` of a fresh permutation. */
  readonly subsample?: (name: string, size: number, rows: number) => Int32Array;
  /** Whether log-probabilities are wanted, of all sites or of some. Default true. */
  readonly density?:
    | boolean
    | ((site: { readonly kind: "sample" | "observe" | "factor"; readonly name: string }) => boolean);
  /** Gives sites without a proper prior a place to start from: uniform on ±2 in unconstrained coordinates. */
  readonly startImproper?: boolean;
}

/** Half-width of the box, in unconstrained coordinates, from which sites without a proper prior start (Stan's choice). */
const START_BOX = 2;

/** Names of factors that no program chose, with or without a prefix: repeats are numbered. A site may be tilted twice. */
const UNCHOSEN = /(^|\/)(factor$|tilt\()/;

/** What happened at a site. Tensors belong to the caller's scope. */
export interface SiteRecord {
  readonly kind: "sample" | "observe" | "factor" | "deterministic";
  readonly name: string;
  readonly plates: readonly PlateFrame[];
  /** Axes on the right of the value that are no plates. */
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
export interface Execution<A = unknown> {
  readonly result: A;
  readonly sites: ReadonlyMap<string, SiteRecord>;
  readonly params: ReadonlyMap<string, ParamRecord>;
  readonly plates: ReadonlyMap<string, PlateFrame>;
  readonly particles: number | undefined;
  readonly depth: number;
}

/**
 * Runs a program to its end, answering its effects.
 *
 * @remarks Call it inside `scope`: every tensor it makes belongs to the caller.
 * @throws `duplicate-site`, `shape`, `support`, `plate`, `no-seed`, `non-finite`, each naming the site.
 */
export function interpret<A>(program: Program<Effect, A>, options: InterpretOptions = {}): Execution<A> {
  requireEngine();
  const run = new Run(options);
  let finished = false;
  try {
    let step = program.next();
    while (!step.done) {
      let reply: unknown;
      try {
        reply = run.answer(step.value);
      } catch (error) {
        // The failure surfaces inside the model, at the line that asked: `try` in a model works, and stacks show it.
        step = program.throw(error);
        continue;
      }
      step = program.next(reply);
    }
    finished = true;
    return { ...run, result: step.value };
  } finally {
    if (!finished) program.return(undefined as A);
  }
}

/** The state of one run. */
class Run {
  readonly sites = new Map<string, SiteRecord>();
  readonly params = new Map<string, ParamRecord>();
  readonly plates = new Map<string, PlateFrame>();
  readonly particles: number | undefined;
  readonly depth: number;
  readonly #options: InterpretOptions;

  constructor(options: InterpretOptions) {
    this.#options = options;
    this.particles = options.particles;
    this.depth = options.depth ?? 0;
  }

  answer(effect: Effect): unknown {
    const trace = currentTracer();
    if (trace !== undefined) trace.site = effect.name;
    switch (effect.kind) {
      case "sample":
        return this.#sample(effect);
      case "observe":
        return this.#observe(effect);
      case "factor":
        return this.#factor(effect);
      case "param":
        return this.#param(effect);
      case "plate":
        return this.#plate(effect);
      case "deterministic":
        return this.#deterministic(effect);
      case "hidden":
        return effect.value === undefined
          ? this.#draw(effect.name, this.#expand(effect.name, effect.dist, effect), effect)
          : this.#place(effect.name, toTensor(effect.value), effect.dist.eventShape.length, effect);
      default:
        return fail("argument", `a model yielded something that is no effect: ${describe(effect)}`);
    }
  }

  #sample(effect: SampleEffect): tf.Tensor {
    this.#claim(effect.name);
    const { name } = effect;
    let value: tf.Tensor;
    if (effect.value === undefined) value = this.#draw(name, this.#expand(name, effect.dist, effect), effect);
    else value = this.#place(name, toTensor(effect.value), effect.dist.eventShape.length, effect);
    this.#record(effect, value, effect.dist);
    return value;
  }

  #observe(effect: ObserveEffect): tf.Tensor {
    this.#claim(effect.name);
    const { name, plates = [] } = effect;
    const eventRank = effect.dist.eventShape.length;
    const value = this.#place(name, toTensor(effect.value), eventRank, effect);
    let dist = effect.dist;
    if (effect.observed !== undefined) {
      const valueShape = [...this.#target(plates).slice(this.particles === undefined ? 0 : 1), ...dist.eventShape];
      const common = tryBroadcast(toTensor(effect.observed).shape, valueShape);
      if (common === undefined) {
        fail(
          "shape",
          `observe("${name}"): mask ${showShape(toTensor(effect.observed).shape)} does not fit values ${showShape(valueShape)}`,
          { site: name },
        );
      }
      dist = dist.maskEntries(effect.observed);
    }
    if (this.#wants(effect)) this.#checkSupport(name, dist, value);
    this.#record(effect, value, dist);
    return value;
  }

  #factor(effect: FactorEffect): undefined {
    let name = effect.name;
    if (UNCHOSEN.test(name)) for (let i = 1; this.sites.has(name); i++) name = `${effect.name}.${i}`;
    this.#claim(name);
    const { plates = [] } = effect;
    let logWeight = toTensor(effect.logWeight);
    if (effect.mask !== undefined) {
      const mask = tf.cast(toTensor(effect.mask), "bool");
      logWeight = tf.where(mask, logWeight, tf.zerosLike(logWeight));
    }
    this.sites.set(name, {
      kind: "factor",
      name,
      plates,
      eventRank: 0,
      value: undefined,
      dist: undefined,
      differentiable: effect.differentiable,
      logProb: this.#wants(effect) ? this.#finish(name, logWeight, effect) : undefined,
    });
    return undefined;
  }

  #param(effect: ParamEffect): tf.Tensor {
    if (effect.value !== undefined) return toTensor(effect.value);
    const known = this.params.get(effect.name);
    if (known !== undefined) return known.value;
    const { name, constraint } = effect;
    const bijection = constraint?.bijection();
    let unconstrained = this.#options.params?.[name];
    if (unconstrained === undefined) {
      const init = typeof effect.init === "function" ? effect.init(this.#key(name, effect)) : effect.init;
      const value = toTensor(init);
      if (constraint !== undefined && !checkAll(constraint.check(value))) {
        fail("parameter", `param("${name}"): the initial value is not ${constraint.name}`, { site: name });
      }
      unconstrained = bijection === undefined ? value : bijection.inverse(value);
    }
    const value = bijection === undefined ? unconstrained : bijection.forward(unconstrained);
    this.params.set(name, { unconstrained, value, constraint });
    return value;
  }

  #plate(effect: PlateEffect): PlateFrame {
    const { name, size } = effect;
    const known = this.plates.get(name) ?? this.#options.plates?.get(name);
    if (known !== undefined) {
      if (known.size !== size) {
        fail(
          "plate",
          `plate "${name}" has size ${size} here and ${known.size} elsewhere; use another name or the same size`,
          { site: name },
        );
      }
      this.plates.set(name, known);
      return known;
    }
    let indices = effect.indices;
    if (indices === undefined && effect.subsample !== undefined && effect.subsample < size) {
      const rows = effect.subsample;
      const key = this.#options.subsample === undefined ? this.#key(name, effect) : undefined;
      indices = hostArray(
        () => this.#options.subsample?.(name, size, rows) ?? permutation(key as Key, size).slice(0, rows),
      );
    }
    const frame: PlateFrame = { name, size, length: indices?.length ?? size, indices };
    this.plates.set(name, frame);
    return frame;
  }

  #deterministic(effect: DeterministicEffect): tf.Tensor {
    this.#claim(effect.name);
    const { plates = [] } = effect;
    const value =
      effect.eventRank === undefined
        ? toTensor(effect.value)
        : this.#place(effect.name, toTensor(effect.value), effect.eventRank, effect);
    const eventRank = effect.eventRank ?? Math.max(0, value.rank - this.#target(plates).length);
    this.sites.set(effect.name, {
      kind: "deterministic",
      name: effect.name,
      plates,
      eventRank,
      value,
      logProb: undefined,
      dist: undefined,
      differentiable: undefined,
    });
    return value;
  }

  #claim(name: string): void {
    if (this.sites.has(name)) {
      fail("duplicate-site", `two sites are named "${name}"; rename one, or prefix a nested model with scope("...")`, {
        site: name,
      });
    }
  }

  #key(name: string, effect: Context): Key {
    const key = effect.key ?? this.#options.key;
    if (key === undefined) return fail("no-seed", `"${name}" needs randomness: give a seed`, { site: name });
    return fold(key, name);
  }

  /** Batch shape of a site in this run: `[particles, ...1s, inner plate, ..., outer plate]`. */
  #target(plates: readonly PlateFrame[]): number[] {
    const lengths = plates.map((frame) => frame.length).reverse();
    if (this.particles === undefined) return lengths;
    if (plates.length > this.depth)
      fail(
        "plate",
        `plates ${plates.map((p) => `"${p.name}"`).join(", ")} nest deeper than on the first run; structure must not change between runs`,
      );
    return [this.particles, ...Array<number>(this.depth - plates.length).fill(1), ...lengths];
  }

  /** The distribution with a batch axis for every particle and plate. */
  #expand(name: string, dist: Distribution, { plates = [] }: Context): Distribution {
    const target = this.#target(plates);
    this.#checkBatch(name, dist.batchShape, plates);
    return sameShape(dist.batchShape, target) ? dist : dist.expand(target);
  }

  #checkBatch(name: string, batchShape: Shape, plates: readonly PlateFrame[]): void {
    const target = this.#target(plates);
    const common = tryBroadcast(batchShape, target);
    if (common !== undefined && sameShape(common, target)) return;
    const inside =
      plates.length === 0 ? "in no plate" : `in plates ${plates.map((p) => `"${p.name}" (${p.length})`).join(" > ")}`;
    fail(
      "shape",
      `site "${name}" has batch shape ${showShape(batchShape)} but lies ${inside}, where ${showShape(target)} is expected; declare axes of one value with .event(n), or put independent rows into a plate`,
      { site: name },
    );
  }

  #draw(name: string, dist: Distribution, effect: Context): tf.Tensor {
    const key = this.#key(name, effect);
    if (dist.family === "improper" && this.#options.startImproper) {
      const bijection = dist.support.bijection();
      const shape = bijection.unconstrainedShape([...dist.batchShape, ...dist.eventShape]);
      const start = () => uniform(key, sizeOf(shape)).map((u) => (2 * u - 1) * START_BOX);
      return bijection.forward(hostTensor(start, shape));
    }
    return dist.sample(key, [], this.particles === undefined ? 0 : (this.#options.first ?? 0));
  }

  #wants({ kind, name }: SampleEffect | ObserveEffect | FactorEffect): boolean {
    const { density = true } = this.#options;
    return typeof density === "boolean" ? density : density({ kind, name });
  }

  /**
   * Aligns a given value: `[particles, ...plates, ...event]` gains the 1s that keep the particle axis left of all plates, and one
   * value for a whole plate is repeated over its rows. A value without particles stays without.
   */
  #place(name: string, value: tf.Tensor, eventRank: number, { plates = [] }: Context): tf.Tensor {
    const target = this.#target(plates);
    const batch = value.shape.slice(0, Math.max(0, value.rank - eventRank));
    const event = value.shape.slice(batch.length);
    const missing = target.length - 1 - plates.length;
    if (
      this.particles !== undefined &&
      missing > 0 &&
      batch.length === plates.length + 1 &&
      batch[0] === this.particles
    ) {
      return tf.reshape(value, [this.particles, ...Array<number>(missing).fill(1), ...batch.slice(1), ...event]);
    }
    const common = value.rank < eventRank ? undefined : tryBroadcast(batch, target);
    if (common === undefined || !sameShape(common, target)) {
      fail(
        "shape",
        `site "${name}": the value has shape ${showShape(value.shape)}, expected plates ${showShape(target)} and ${eventRank} event ${eventRank === 1 ? "axis" : "axes"}`,
        { site: name },
      );
    }
    const full = batch.length === target.length ? target : target.slice(target.length - plates.length);
    if (this.particles !== undefined && batch.length === target.length) full[0] = batch[0] as number;
    return sameShape(batch, full) || batch.length > full.length ? value : tf.broadcastTo(value, [...full, ...event]);
  }

  #checkSupport(name: string, dist: Distribution, value: tf.Tensor): void {
    if (!tf.tidy(() => checkAll(dist.support.check(value)))) {
      fail("support", `observed value of "${name}" lies outside the support of ${dist.family}: ${dist.support.name}`, {
        site: name,
      });
    }
  }

  #record(effect: SampleEffect | ObserveEffect, value: tf.Tensor, dist: Distribution): void {
    const { name, kind, plates = [] } = effect;
    this.#checkBatch(name, dist.batchShape, plates);
    const eventShape = value.shape.slice(value.rank - dist.eventShape.length);
    if (!sameShape(eventShape, dist.eventShape)) {
      fail(
        "shape",
        `site "${name}": the value has event shape ${showShape(eventShape)}, the distribution ${showShape(dist.eventShape)}`,
        { site: name },
      );
    }
    let logProb: tf.Tensor | undefined;
    if (this.#wants(effect)) {
      const counted = effect.mask === undefined ? dist : dist.mask(effect.mask);
      logProb = this.#finish(name, counted.logProb(value), effect);
    }
    const eventRank = dist.eventShape.length;
    this.sites.set(name, { kind, name, plates, eventRank, value, logProb, dist, differentiable: undefined });
  }

  /** Gives a log-probability its full shape and scale, and refuses what is not a number. */
  #finish(name: string, logProb: tf.Tensor, { plates = [], scale }: Context): tf.Tensor {
    const target = this.#target(plates);
    const common = tryBroadcast(logProb.shape, target);
    if (common === undefined || !sameShape(common, target)) {
      fail(
        "shape",
        `site "${name}": its log-probability has shape ${showShape(logProb.shape)}, but its plates are ${showShape(target)}`,
        { site: name },
      );
    }
    let out = logProb;
    // A site that is the same for all particles keeps 1 on their axis; plates always count every row.
    const full = target.slice();
    if (this.particles !== undefined && (logProb.rank < target.length || logProb.shape[0] === 1)) full[0] = 1;
    if (!sameShape(out.shape, full)) out = tf.broadcastTo(out, full);
    const rows = plates.reduce((s, frame) => s * (frame.size / frame.length), 1);
    if (rows !== 1) out = tf.mul(out, rows);
    if (scale !== undefined) out = tf.mul(out, scale);
    this.#checkFinite(name, out);
    return out;
  }

  #checkFinite(name: string, logProb: tf.Tensor): void {
    if (!isConcrete(logProb)) {
      checkAll(tf.less(logProb, Number.POSITIVE_INFINITY));
      return;
    }
    // NaN and +∞ are faults; −∞ is a statement (probability zero).
    const found = firstNanOrInfinity(logProb);
    if (found !== undefined) {
      fail("non-finite", `the log-probability of "${name}" is ${found}`, { site: name });
    }
  }
}

const describe = (value: unknown): string =>
  value instanceof Object ? `${value.constructor.name}; call programs with yield*, not yield` : String(value);
