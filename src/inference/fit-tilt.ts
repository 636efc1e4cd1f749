/**
 * Fitting a tilt: learns the energy E for which p·e^{−E}/Z, p a base model, matches draws of a target. The base stays as it is.
 */
import * as tf from "@tensorflow/tfjs-core";
import { type NdArray, ndarray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key } from "../core/key.ts";
import { permutation } from "../core/random/discrete.ts";
import { scope } from "../core/scope.ts";
import { sizeOf } from "../core/shape.ts";
import { type TensorTree, type Tree, toArrays, toTensors } from "../core/tree.ts";
import type { Effect } from "../effects/effects.ts";
import type { Energy } from "../effects/handlers.ts";
import { interpret } from "../effects/interpret.ts";
import type { Sandwich } from "./bound.ts";
import type { Method, Problem, ResultKind } from "./infer.ts";
import { logZ } from "./log-z.ts";
import { logistic, type TiltObjective } from "./objectives.ts";
import { adam, type Optimizer } from "./optimizers.ts";
import { probe } from "./structure.ts";
import { type TrainingHistory, train } from "./train.ts";

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
  /** Looks without improvement before it stops. Default 20. */
  readonly patience?: number;
}

/** A fitted energy. */
export interface TiltFit {
  /** Unconstrained parameters of the energy, with those given to `infer`; pass them to `infer(pipe(base, tilt(...)), ...)`. */
  readonly params: Tree<NdArray>;
  readonly history: TrainingHistory;
  readonly objective: string;
  readonly steps: number;
  /** log Z of the fitted tilt over the base, from fresh base draws. */
  readonly logZ: Sandwich<"log Z">;
  /** Effective share of base draws under the fitted tilt, ESS/n. */
  readonly essRatio: number;
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
      const out = new Float32Array(rows.length * size);
      rows.forEach((row, i) => {
        out.set(data.data.subarray(row * size, (row + 1) * size), i * size);
      });
      return ndarray(out, [rows.length, ...event]).tensor();
    },
  };
};

/**
 * Fits the energy of `tilt(site, energy)` so that the tilted model's `site` matches `target`.
 *
 * @param site - A latent or data site of the base model.
 * @param energy - The energy, usually a network; its parameters are what is learned.
 * @param target - Draws of the target, `[m, ...event]`, or rows that are drawn afresh every step.
 * @remarks Negatives are fresh draws of the base at every step. With held-out rows the best parameters seen are restored.
 * @example
 * const fit = await infer(prior, fitTilt("z", energy, latents), { seed: 1 });
 * const draws = await infer(pipe(prior, tilt("z", energy)), snis(10_000), { params: fit.params, seed: 2 });
 * @throws `missing-site` when the base has no such site; `argument` on options out of range; `non-finite` when training diverges.
 */
export function fitTilt<E2 extends Effect>(
  site: string,
  energy: Energy<E2>,
  target: NdArray | DrawableRows,
  options: FitTiltOptions = {},
): Method<TiltKind, undefined> {
  const {
    objective = logistic(),
    optimizer = adam(1e-3),
    steps = 2000,
    holdout = 0.2,
    every = 25,
    patience = 20,
  } = options;
  const rows = "draw" in target ? target : gatherRows(target);
  if (!(holdout >= 0 && holdout < 1)) fail("argument", `fitTilt: holdout must be in [0, 1), got ${holdout}`);
  const held = Math.round(rows.count * holdout);
  const kept = rows.count - held;
  if (kept < 1) fail("argument", `fitTilt: ${rows.count} target rows leave none to train on`);
  const batch = Math.min(options.batch ?? 128, kept);
  const negatives = options.negatives ?? 512;

  const energies = (z: tf.Tensor, params: TensorTree): tf.Tensor => {
    const run = interpret(energyProgram(energy, z), { params });
    return tf.reshape(run.result, [-1]);
  };

  async function run(problem: Problem): Promise<TiltFit> {
    const baseDraws = drawsOf(problem, site);
    const order = permutation(fold(problem.key, "rows"), rows.count);
    const [heldRows, trainRows] = [order.slice(0, held), order.slice(held)];
    const initial = scope(() => {
      const z = baseDraws(fold(problem.key, "probe"), 1);
      const { params } = interpret(energyProgram(energy, z), {
        key: fold(problem.key, "init"),
        params: toTensors(problem.params),
      });
      return toArrays(Object.fromEntries([...params].map(([name, p]) => [name, p.unconstrained])));
    });
    if (Object.keys(initial).length === 0) fail("argument", "fitTilt: the energy has no parameters to fit");
    const repeated = Int32Array.from({ length: held * HELD_OUT_REPEATS }, (_, i) => heldRows[i % held] as number);
    const trained = await train({
      params: initial,
      optimizer,
      steps,
      stepsPerEpoch: every,
      patience,
      key: fold(problem.key, "train"),
      tick: problem.tick,
      loss(params, { key, step }) {
        const from = (step * batch) % kept;
        const chosen = Int32Array.from({ length: batch }, (_, i) => trainRows[(from + i) % kept] as number);
        return objective.loss(
          { energy: energies(rows.draw(fold(key, "target"), chosen), params) },
          { energy: energies(baseDraws(fold(key, "base"), negatives), params) },
        );
      },
      ...(held > 0 && {
        validate: (params: TensorTree) =>
          objective.loss(
            { energy: energies(rows.draw(fold(problem.key, "held-out"), repeated), params) },
            { energy: energies(baseDraws(fold(problem.key, "held-out base"), EVALUATION_DRAWS), params) },
          ),
      }),
    });
    const logWeights = scope(() =>
      tf
        .neg(energies(baseDraws(fold(problem.key, "evaluate"), EVALUATION_DRAWS), toTensors(trained.params)))
        .dataSync(),
    );
    return {
      params: { ...problem.params, ...trained.params },
      history: trained.history,
      objective: objective.name,
      steps: trained.steps,
      logZ: logZ(logWeights),
      essRatio: essRatio(logWeights),
    };
  }

  return { name: "fitTilt", run };
}

/** The energy as a program, whether it is one or a function. */
function* energyProgram<E2 extends Effect>(energy: Energy<E2>, z: tf.Tensor) {
  const e = energy(z);
  return e instanceof tf.Tensor ? e : yield* e;
}

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

function essRatio(logWeights: ArrayLike<number>): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logWeights.length; i++) max = Math.max(max, logWeights[i] as number);
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < logWeights.length; i++) {
    const w = Math.exp((logWeights[i] as number) - max);
    sum += w;
    squares += w * w;
  }
  return (sum * sum) / squares / logWeights.length;
}
