/**
 * Fitting a tilt: learns the energy E for which p·e^{−E}/Z, p a base model, matches draws of a target. The base stays as it is.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key } from "../core/key.ts";
import { currentArray, hostArray, hostTensor } from "../core/live.ts";
import { permutation } from "../core/random/discrete.ts";
import { scope } from "../core/scope.ts";
import { sizeOf } from "../core/shape.ts";
import { type TensorTree, type Tree, toArrays, toTensors } from "../core/tree.ts";
import type { ParamEffect, Program } from "../effects/effects.ts";
import { handleEffects } from "../effects/handle.ts";
import type { Energy } from "../effects/handlers.ts";
import { interpret } from "../effects/interpret.ts";
import type { EngineInfo } from "../engine/engine.ts";
import type { Sandwich } from "./bound.ts";
import type { Clip } from "./clip.ts";
import type { Method, Problem, ResultKind } from "./infer.ts";
import { logZ } from "./log-z.ts";
import { logistic, type TiltObjective } from "./objectives.ts";
import { adam, type Optimizer } from "./optimizers.ts";
import { FEWEST_EFFECTIVE, LARGEST_SHARE } from "./snis-result.ts";
import { probe } from "./structure.ts";
import { type StepContext, type Trained, type TrainingHistory, train } from "./train.ts";
import { diagnose, sumWeights, type WeightDiagnostics } from "./weights.ts";

/** A finite set of data, each of which can be drawn afresh: for instance from its own posterior q(z|x). */
export interface DrawableRows {
  readonly count: number;
  /** One draw for each of the given rows, shape `[rows.length, ...event]`. */
  draw(key: Key, rows: Int32Array): tf.Tensor;
}

/** Options of {@link fitTilt}. */
export interface FitTiltOptions {
  /** Default {@link logistic}. */
  readonly objective?: TiltObjective;
  /** Default Adam with step 1e-3. */
  readonly optimizer?: Optimizer;
  /** Greatest number of optimiser steps. Default 2000. */
  readonly steps?: number;
  /** Target rows per step. Default 128, at most all. */
  readonly batch?: number;
  /** Base draws per step. Default 512. */
  readonly negatives?: number;
  /** Share of the target rows held out for stopping; 0 trains on all and stops at `steps`. Default 0.2. */
  readonly holdout?: number;
  /** Steps between looks at the held-out loss. Default 25. */
  readonly every?: number;
  /** Looks without improvement before it stops. Default: never; the best look is restored all the same. */
  readonly patience?: number;
  /**
   * Cross-fitting: so many energies, each trained without one part of the rows; the fit is their mean. Every row trains, every row
   * is held out once. Default 1: one energy and `holdout`.
   */
  readonly folds?: number;
  /**
   * Stops by what the tilt costs instead of by the held-out loss: at the last look where base draws keep this effective share,
   * ESS/n, under the fitted tilt. With few target rows the held-out loss stops before the tilt is complete.
   */
  readonly minEssRatio?: number;
  /** Limits on the gradients of a step. Default: none. */
  readonly clip?: Clip;
}

/** A fitted energy. */
export interface TiltFit {
  /** The energy to tilt by: the given one, or with folds the mean of its copies. Takes its parameters from `params`. */
  readonly energy: (value: tf.Tensor) => Program<ParamEffect, tf.Tensor>;
  /** Unconstrained parameters of the energy, with those given to `infer`; pass them to `infer(pipe(base, tilt(...)), ...)`. */
  readonly params: Tree<NdArray>;
  /** Losses by look, summed over folds; `validation` is what stopped the fit. */
  readonly history: TrainingHistory;
  /** Mean over folds of the held-out loss at the parameters kept; `undefined` when nothing was held out. */
  readonly heldOutLoss: number | undefined;
  readonly objective: string;
  /** `early`: patience ran out, or the tilt cost too much. `diverged`: a loss was not finite; `params` are the last good ones. */
  readonly stopped: Trained["stopped"];
  /** What to know before trusting it: divergence, base draws too few for the tilt. */
  readonly warnings: readonly string[];
  /** Optimiser steps behind the parameters kept. */
  readonly steps: number;
  /** log Z of the fitted tilt over the base, from fresh base draws. */
  readonly logZ: Sandwich<"log Z">;
  /** Effective share of base draws under the fitted tilt, ESS/n. */
  readonly essRatio: number;
  readonly engine: EngineInfo;
}

interface TiltKind extends ResultKind {
  readonly result: TiltFit;
}

/** Base draws for held-out losses and for the sandwich of log Z. */
const EVALUATION_DRAWS = 8192;
/** Draws of each held-out row, so that the stopping rule is not moved by posterior noise. */
const HELD_OUT_REPEATS = 8;

const gatherRows = (data: NdArray): DrawableRows => {
  const [count, ...event] = data.shape as [number, ...number[]];
  const size = sizeOf(event);
  return {
    count,
    draw(_, rows) {
      const taken = () => {
        const out = new Float32Array(rows.length * size);
        currentArray(rows).forEach((row, i) => {
          out.set(data.data.subarray(row * size, (row + 1) * size), i * size);
        });
        return out;
      };
      return hostTensor(taken, [rows.length, ...event]);
    },
  };
};

/**
 * Fits the energy of `tilt(site, energy)` so that the tilted model's `site` matches `target`.
 *
 * @param site - A latent or data site of the base model.
 * @param energy - The energy, usually a network; its parameters are what is learned.
 * @param target - Draws of the target, `[m, ...event]`, or rows that are drawn afresh every step.
 * @remarks Negatives are fresh draws of the base at every step. With held-out rows the best
 * parameters seen are restored. A run that diverges after its first look ends with the last good parameters, and says so.
 * @example
 * const fit = await infer(prior, fitTilt("z", energy, latents), { seed: 1 });
 * const draws = await infer(pipe(prior, tilt("z", fit.energy)), snis(10_000), { params: fit.params, seed: 2 });
 * @throws `missing-site` when the base has no such site; `argument` on options out of range; `non-finite` when training diverges before the first look.
 */
export function fitTilt<E2 extends ParamEffect = never>(
  site: string,
  energy: Energy<E2>,
  target: NdArray | DrawableRows,
  options: FitTiltOptions = {},
): Method<TiltKind, undefined> {
  const { objective = logistic(), optimizer = adam(1e-3), steps = 2000, every = 25, patience, folds = 1 } = options;
  const rows = "draw" in target ? target : gatherRows(target);
  const { holdout = 0.2, negatives = 512, minEssRatio } = options;
  if (minEssRatio !== undefined && !(minEssRatio > 0 && minEssRatio < 1)) {
    fail("argument", `fitTilt: minEssRatio must be in (0, 1), got ${minEssRatio}`);
  }
  if (!(holdout >= 0 && holdout < 1)) fail("argument", `fitTilt: holdout must be in [0, 1), got ${holdout}`);
  if (!Number.isInteger(folds) || folds < 1 || folds > rows.count) {
    fail("argument", `fitTilt: folds must be an integer between 1 and the ${rows.count} target rows, got ${folds}`);
  }
  if (rows.count - heldOut(rows.count, folds, holdout, 0).length < 1) {
    fail("argument", `fitTilt: ${rows.count} target rows leave none to train on`);
  }

  async function run(problem: Problem): Promise<TiltFit> {
    const baseDraws = drawsOf(problem, site);
    const order = permutation(fold(problem.key, "rows"), rows.count);
    const parts = Array.from({ length: folds }, (_, k) => partOf(order, heldOut(rows.count, folds, holdout, k)));
    const networks = parts.map((_, k) => (folds === 1 ? energyProgram(energy) : copyOf(energy, k)));
    const fitted = folds === 1 ? energyProgram(energy) : ensemble(energy, folds);
    const initial = scope(() => {
      const at = { key: fold(problem.key, "init"), params: toTensors(problem.params) };
      const { params } = interpret(fitted(baseDraws(fold(problem.key, "probe"), 1)), at);
      return toArrays(Object.fromEntries([...params].map(([name, p]) => [name, p.unconstrained])));
    });
    if (Object.keys(initial).length === 0) fail("argument", "fitTilt: the energy has no parameters to fit");

    /** Σ over folds of the objective; the energies share no parameter, so each descends on its own. */
    const lossOver = (key: Key, params: TensorTree, base: tf.Tensor, rowsFor: (part: Part, k: number) => Int32Array) =>
      networks
        .map((network, k) => {
          const z = rows.draw(fold(fold(key, "target"), k), rowsFor(parts[k] as Part, k));
          // One pass of the network over both batches: small networks cost by the call, not by the row.
          const both = evaluate(network, tf.concat([z, base], 0), params);
          const [target, negative] = tf.split(both, [z.shape[0] as number, base.shape[0] as number]) as [
            tf.Tensor,
            tf.Tensor,
          ];
          return objective.loss({ energy: target }, { energy: negative });
        })
        .reduce((a, b) => tf.add(a, b));
    const heldOutLoss = (params: TensorTree) =>
      tf.div(
        lossOver(
          fold(problem.key, "held-out"),
          params,
          baseDraws(fold(problem.key, "held-out base"), EVALUATION_DRAWS),
          ({ held }) => repeat(held, HELD_OUT_REPEATS),
        ),
        folds,
      );
    const essAt = (params: TensorTree) =>
      diagnose(
        sumWeights(tf.neg(evaluate(fitted, baseDraws(fold(problem.key, "ess"), EVALUATION_DRAWS), params)).dataSync()),
      );

    const holds = parts.every(({ held }) => held.length > 0);
    const validate =
      minEssRatio !== undefined
        ? // The last look that is still worth enough is the best one.
          (params: TensorTree, { epoch }: StepContext) =>
            essAt(params).essRatio >= minEssRatio ? -epoch : Number.POSITIVE_INFINITY
        : holds
          ? heldOutLoss
          : undefined;
    const stop = minEssRatio !== undefined ? { patience: 1 } : patience !== undefined && holds ? { patience } : {};
    const trained = await train({
      name: "fitTilt",
      params: initial,
      optimizer,
      steps,
      stepsPerEpoch: every,
      key: fold(problem.key, "train"),
      tick: problem.tick,
      engine: problem.choice,
      ...(problem.threads !== undefined && { threads: problem.threads }),
      ...(problem.background && { background: true }),
      ...(options.clip !== undefined && { clip: options.clip }),
      recover: true,
      loss: (params, context) =>
        lossOver(context.key, params, baseDraws(fold(context.key, "base"), negatives), ({ kept }) => {
          const batch = Math.min(options.batch ?? 128, kept.length);
          return hostArray(() =>
            Int32Array.from({ length: batch }, (_, i) => kept[(context.step * batch + i) % kept.length] as number),
          );
        }),
      ...(validate !== undefined && { validate, ...stop }),
    });
    const logWeights = scope(() =>
      tf
        .neg(evaluate(fitted, baseDraws(fold(problem.key, "evaluate"), EVALUATION_DRAWS), toTensors(trained.params)))
        .dataSync(),
    );
    const worth = diagnose(sumWeights(logWeights));
    const kept = Math.min((trained.bestEpoch + 1) * every, trained.steps);
    return {
      energy: fitted,
      params: { ...problem.params, ...trained.params },
      history: trained.history,
      heldOutLoss: holds ? scope(() => heldOutLoss(toTensors(trained.params)).dataSync()[0] as number) : undefined,
      objective: objective.name,
      stopped: trained.stopped,
      warnings: warningsOf(trained, kept, worth),
      steps: kept,
      logZ: logZ(logWeights),
      essRatio: worth.essRatio,
      engine: { ...problem.engine, compiled: trained.compiled },
    };
  }

  return { name: "fitTilt", run };
}

function warningsOf({ stopped, message, steps }: Trained, kept: number, { ess, largestWeight }: WeightDiagnostics) {
  const out: string[] = [];
  if (stopped === "diverged")
    out.push(`fitTilt diverged at step ${steps}: ${message}; the parameters kept are those after step ${kept}`);
  if (largestWeight > LARGEST_SHARE || ess < FEWEST_EFFECTIVE)
    out.push(
      `fitTilt: ${EVALUATION_DRAWS} base draws are worth ${ess.toFixed(1)} under the tilt, and one holds ${(100 * largestWeight).toFixed(0)} % of the weight: its log Z is not to be trusted; use a base nearer to the target, or tiltLikelihood with chains`,
    );
  return out;
}

/** Rows of one fold: those that train its energy and those held out from it. */
interface Part {
  readonly kept: Int32Array;
  readonly held: Int32Array;
}

const partOf = (order: Int32Array, held: readonly number[]): Part => {
  const out = new Set(held);
  return {
    kept: order.filter((_, i) => !out.has(i)),
    held: order.filter((_, i) => out.has(i)),
  };
};

const repeat = (rows: Int32Array, times: number): Int32Array =>
  Int32Array.from({ length: rows.length * times }, (_, i) => rows[i % rows.length] as number);

/** Places, in the shuffled order of rows, that fold `k` holds out. */
function heldOut(count: number, folds: number, holdout: number, k: number): number[] {
  const [from, to] =
    folds === 1
      ? [0, Math.round(count * holdout)]
      : [Math.round((k * count) / folds), Math.round(((k + 1) * count) / folds)];
  return Array.from({ length: to - from }, (_, i) => from + i);
}

type EnergyProgram = (z: tf.Tensor) => Program<ParamEffect, tf.Tensor>;

/** Energies of a batch, flat. */
const evaluate = (network: EnergyProgram, z: tf.Tensor, params: TensorTree): tf.Tensor =>
  tf.reshape(interpret(network(z), { params }).result, [-1]);

/** The energy as a program, whether it is one or a function. */
const energyProgram = <E2 extends ParamEffect>(energy: Energy<E2>): EnergyProgram =>
  function* (z) {
    const e = energy(z);
    return e instanceof tf.Tensor ? e : yield* e;
  };

/** A copy of the energy with parameters of its own. */
const copyOf = <E2 extends ParamEffect>(energy: Energy<E2>, k: number): EnergyProgram =>
  function* (z) {
    return yield* handleEffects(energyProgram(energy)(z), function* (effect): Program<ParamEffect, unknown> {
      return yield { ...effect, name: `fold-${k}/${effect.name}` };
    });
  };

/** The mean of the copies. */
const ensemble = <E2 extends ParamEffect>(energy: Energy<E2>, folds: number): EnergyProgram =>
  function* (z) {
    let total: tf.Tensor | undefined;
    for (let k = 0; k < folds; k++) {
      const e = yield* copyOf(energy, k)(z);
      total = total === undefined ? e : tf.add(total, e);
    }
    return tf.div(total as tf.Tensor, folds);
  };

/** Draws of one site of the base, `[n, ...event]`: rows of a plate count as draws. */
function drawsOf(problem: Problem, site: string): (key: Key, n: number) => tf.Tensor {
  const structure = probe(problem);
  const info = structure.sites.find((s) => s.name === site && (s.kind === "sample" || s.kind === "observe"));
  if (info === undefined) {
    const names = structure.sites.map((s) => `"${s.name}"`).join(", ");
    return fail("missing-site", `fitTilt: the base model has no site "${site}"; it has ${names}`, { site });
  }
  const eventShape = info.shape.slice(info.shape.length - info.eventRank);
  return (key, n) => {
    const run = interpret(problem.model(...problem.args), {
      key,
      particles: n,
      depth: structure.depth,
      density: false,
      params: toTensors(problem.params),
    });
    return tf.reshape(run.sites.get(site)?.value as tf.Tensor, [-1, ...eventShape]);
  };
}
