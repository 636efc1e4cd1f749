/** The losses of a fit of a tilt, over batches of target rows and fresh base draws; with folds, of several energies at once. */
import * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../../core/array.ts";
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
import type { Problem } from "../method/infer.ts";
import { inspectModel } from "../problem/inspect-model.ts";
import type { StepContext } from "../train/loss.ts";
import { copyOf, type EnergyProgram, energyProgram, ensemble, evaluate } from "./energy-program.ts";
import type { DrawableRows, FitTiltOptions } from "./fit-tilt-types.ts";
import { heldOut, repeat, type Split, splitOf } from "./target-rows.ts";

/** Options of `fitTilt`, checked, with their defaults. */
export type FitTiltSettings = FitTiltOptions &
  Required<
    Pick<FitTiltOptions, "objective" | "optimizer" | "steps" | "every" | "batch" | "negatives" | "holdout" | "folds">
  >;

/** Base draws for held-out losses and for the sandwich of log Z. */
export const EVALUATION_DRAWS = 8192;
/** Draws of each held-out row, so that posterior noise does not sway the stopping rule. */
const HELD_OUT_REPEATS = 8;

/** The parts of a fit. */
export interface Fitting {
  readonly problem: Problem;
  readonly site: string;
  readonly settings: FitTiltSettings;
  readonly rows: DrawableRows;
  /** Draws of the site of the base, `[n, ...event]`. */
  readonly baseDraws: (key: Key, n: number) => tf.Tensor;
  /** Rows that train and rows held out, and the energy, of each fold. */
  readonly folds: readonly { readonly split: Split; readonly network: EnergyProgram }[];
  /** The energy of the fit: that of the one fold, or the mean over folds. */
  readonly fitted: EnergyProgram;
  /** First values of its parameters. */
  readonly initial: Tree<NdArray>;
}

/** @throws `missing-site` when the base has no such site; `argument` when the energy has no parameters. */
export function fittingOf<E2 extends ParamEffect>(
  problem: Problem,
  site: string,
  energy: Energy<E2>,
  rows: DrawableRows,
  settings: FitTiltSettings,
): Fitting {
  const { folds, holdout } = settings;
  const baseDraws = drawsOf(problem, site);
  const order = permutation(fold(problem.key, "rows"), rows.count);
  const fitted = folds === 1 ? energyProgram(energy) : ensemble(energy, folds);
  const initial = scope(() => {
    const at = { key: fold(problem.key, "init"), params: toTensors(problem.params) };
    const { params } = interpret(fitted(baseDraws(fold(problem.key, "probe"), 1)), at);
    return toArrays(Object.fromEntries([...params].map(([name, p]) => [name, p.unconstrained])));
  });
  if (Object.keys(initial).length === 0) fail("argument", "fitTilt: the energy has no parameters to fit");
  return {
    problem,
    site,
    settings,
    rows,
    baseDraws,
    folds: Array.from({ length: folds }, (_, k) => ({
      split: splitOf(order, heldOut(rows.count, folds, holdout, k)),
      network: folds === 1 ? fitted : copyOf(energy, k),
    })),
    fitted,
    initial,
  };
}

/** Σ over folds of the objective; the energies share no parameter, so each is minimised independently. */
function lossOver(
  { folds, rows, settings: { objective } }: Fitting,
  key: Key,
  params: TensorTree,
  base: tf.Tensor,
  rowsOf: (split: Split) => Int32Array,
): tf.Tensor {
  return folds
    .map(({ split, network }, k) => {
      const z = rows.draw(fold(fold(key, "target"), k), rowsOf(split));
      // One pass of the network over both batches: small networks cost by the call, not by the row.
      const both = evaluate(network, tf.concat([z, base], 0), params);
      const [target, negative] = tf.split(both, [z.shape[0] as number, base.shape[0] as number]) as [
        tf.Tensor,
        tf.Tensor,
      ];
      return objective.loss({ energy: target }, { energy: negative });
    })
    .reduce((a, b) => tf.add(a, b));
}

/** The loss of a step, over the next batch of rows of each fold and fresh base draws. */
export function trainingLoss(fitting: Fitting, params: TensorTree, context: StepContext): tf.Tensor {
  const { settings, baseDraws } = fitting;
  const base = baseDraws(fold(context.key, "base"), settings.negatives);
  return lossOver(fitting, context.key, params, base, ({ train }) => {
    const batch = Math.min(settings.batch, train.length);
    return hostArray(() =>
      Int32Array.from({ length: batch }, (_, i) => train[(context.step * batch + i) % train.length] as number),
    );
  });
}

/** Whether every fold holds rows out. */
export const holdsOut = ({ folds }: Fitting): boolean => folds.every(({ split }) => split.heldOut.length > 0);

/** Mean over folds of the loss on the rows held out, under the same noise every time. */
export function heldOutLoss(fitting: Fitting, params: TensorTree): tf.Tensor {
  const { problem, baseDraws, folds } = fitting;
  const base = baseDraws(fold(problem.key, "held-out base"), EVALUATION_DRAWS);
  const loss = lossOver(fitting, fold(problem.key, "held-out"), params, base, ({ heldOut }) =>
    repeat(heldOut, HELD_OUT_REPEATS),
  );
  return tf.div(loss, folds.length);
}

/** −E at base draws. */
export const logWeightsAt = ({ problem, fitted, baseDraws }: Fitting, draws: string, params: TensorTree) =>
  tf.neg(evaluate(fitted, baseDraws(fold(problem.key, draws), EVALUATION_DRAWS), params)).dataSync();

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
