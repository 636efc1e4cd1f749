/**
 * Fitting a tilt: learns the energy E for which p·e^{−E}/Z, p a base model, matches draws of a target. The base stays as it is.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { permutation } from "../../core/random/discrete.ts";
import { scope } from "../../core/scope.ts";
import { hostArray } from "../../core/tracing.ts";
import { type TensorTree, type Tree, toArrays, toTensors } from "../../core/tree.ts";
import type { ParamEffect } from "../../effects/effects.ts";
import type { Energy } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { unscored } from "../../effects/run-handlers.ts";
import { FEWEST_EFFECTIVE, LARGEST_SHARE } from "../importance/snis-result.ts";
import type { Method, Problem, ResultKind } from "../method/infer.ts";
import { adam } from "../optim/optimizers.ts";
import { inspectModel } from "../problem/inspect-model.ts";
import type { StepContext } from "../train/loss.ts";
import { train } from "../train/train.ts";
import type { Trained } from "../train/train-types.ts";
import type { Sandwich } from "../weights/bound.ts";
import { logZ } from "../weights/log-z.ts";
import { paretoK, UNRELIABLE_K } from "../weights/pareto.ts";
import { diagnose, sumWeights, type WeightDiagnostics } from "../weights/weights.ts";
import { copyOf, energyProgram, ensemble, evaluate } from "./energy-program.ts";
import type { DrawableRows, FitTiltOptions, TiltFit } from "./fit-tilt-types.ts";
import { logistic } from "./objectives.ts";
import { gatherRows, heldOut, type Part, partOf, repeat } from "./target-rows.ts";
import { exactLogDensity, testRows, tiltedBounds } from "./tilt-density.ts";

export interface FitTiltKind extends ResultKind {
  readonly result: TiltFit;
}

/** Base draws for held-out losses and for the sandwich of log Z. */
const EVALUATION_DRAWS = 8192;
/** Draws of each held-out row, so that the stopping rule is not moved by posterior noise. */
const HELD_OUT_REPEATS = 8;

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
): Method<FitTiltKind, undefined> {
  const { objective = logistic(), optimizer = adam(1e-3), steps = 2000, every = 25, patience, folds = 1 } = options;
  const rows = "draw" in target ? target : gatherRows(target);
  const { holdout = 0.2, negatives = 512, minEssRatio } = options;
  if (minEssRatio !== undefined && !(minEssRatio > 0 && minEssRatio < 1)) {
    fail("argument", `fitTilt: minEssRatio must be in (0, 1), got ${minEssRatio}`);
  }
  if (!(holdout >= 0 && holdout < 1)) fail("argument", `fitTilt: holdout must be in [0, 1), got ${holdout}`);
  checkWhole("fitTilt", "folds", folds, 1, rows.count);
  if (rows.count - heldOut(rows.count, folds, holdout, 0).length < 1) {
    fail("argument", `fitTilt: ${rows.count} target rows leave none to train on`);
  }

  const test = "draw" in target ? options.test : testRows("fitTilt", options.test, target);

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
    const likelihoodOf = (learned: Tree<NdArray>, z: Sandwich) => {
      if (test === undefined) return undefined;
      const at = { ...problem, params: { ...problem.params, ...learned } };
      const known = options.logDensity?.(test, at.params) ?? exactLogDensity(at, site, test);
      return (
        known &&
        tiltedBounds(
          known,
          scope(() => tf.mean(evaluate(fitted, test.tensor(), toTensors(learned))).dataSync()[0] as number),
          z,
        )
      );
    };
    const logWeights = scope(() =>
      tf
        .neg(evaluate(fitted, baseDraws(fold(problem.key, "evaluate"), EVALUATION_DRAWS), toTensors(trained.params)))
        .dataSync(),
    );
    const worth = diagnose(sumWeights(logWeights));
    const khat = paretoK(logWeights);
    const kept = Math.min((trained.bestEpoch + 1) * every, trained.steps);
    const warnings = warningsOf(trained, kept, worth, khat);
    const z = logZ(logWeights);
    return {
      energy: fitted,
      params: { ...problem.params, ...trained.params },
      history: trained.history,
      heldOutLoss: holds ? scope(() => heldOutLoss(toTensors(trained.params)).dataSync()[0] as number) : undefined,
      objective: objective.name,
      stopped: trained.stopped,
      trusted: warnings.length === 0,
      warnings,
      steps: kept,
      logZ: z,
      logLikelihood: likelihoodOf(trained.params, z),
      essRatio: worth.essRatio,
      largestWeight: worth.largestWeight,
      khat,
      engine: { ...problem.engine, compiled: trained.compiled },
    };
  }

  return { name: "fitTilt", run };
}

function warningsOf(
  { stopped, message, steps }: Trained,
  kept: number,
  { ess, largestWeight }: WeightDiagnostics,
  khat: number,
) {
  const out: string[] = [];
  if (stopped === "diverged")
    out.push(`fitTilt diverged at step ${steps}: ${message}; the parameters kept are those after step ${kept}`);
  if (largestWeight > LARGEST_SHARE || ess < FEWEST_EFFECTIVE)
    out.push(
      `fitTilt: ${EVALUATION_DRAWS} base draws are worth ${ess.toFixed(1)} under the tilt, and one holds ${(100 * largestWeight).toFixed(0)} % of the weight: its log Z is not to be trusted; use a base nearer to the target, or tiltLikelihood with chains`,
    );
  else if (khat > UNRELIABLE_K)
    out.push(
      `fitTilt: Pareto k of base draws is ${khat.toFixed(2)}, above ${UNRELIABLE_K}: its log Z is not to be trusted`,
    );
  return out;
}

/** Draws of one site of the base, `[n, ...event]`: rows of a plate count as draws. */
function drawsOf(problem: Problem, site: string): (key: Key, n: number) => tf.Tensor {
  const structure = inspectModel(problem);
  const info = structure.sites.find((s) => s.name === site && (s.kind === "sample" || s.kind === "observe"));
  if (info === undefined) {
    const names = structure.sites.map((s) => `"${s.name}"`).join(", ");
    return fail("missing-site", `fitTilt: the base model has no site "${site}"; it has ${names}`, { site });
  }
  const eventShape = info.shape.slice(info.shape.length - info.eventRank);
  const base = unscored(problem.model);
  return (key, n) => {
    const run = interpret(base(...problem.args), {
      key,
      particles: n,
      depth: structure.depth,
      params: toTensors(problem.params),
    });
    return tf.reshape(run.sites.get(site)?.value as tf.Tensor, [-1, ...eventShape]);
  };
}
