/**
 * Fitting a tilt: learns the energy E for which p·e^{−E}/Z, p a base model, matches draws of a target. The base stays as it is.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import { scope } from "../../core/scope.ts";
import { type Tree, toTensors } from "../../core/tree.ts";
import type { ParamEffect } from "../../effects/effects.ts";
import type { Energy } from "../../effects/handlers.ts";
import { LARGEST_SHARE, LEAST_ESS } from "../diagnostics/thresholds.ts";
import type { Method, ResultKind } from "../method/infer.ts";
import { adam } from "../optim/optimizers.ts";
import { train, trainingIn } from "../train/train.ts";
import type { Trained, TrainOptions } from "../train/train-types.ts";
import type { Sandwich } from "../weights/bound.ts";
import { logZ } from "../weights/log-z.ts";
import { paretoK, UNRELIABLE_K } from "../weights/pareto.ts";
import { diagnose, sumWeights, type WeightDiagnostics } from "../weights/weights.ts";
import { evaluate } from "./energy-program.ts";
import {
  EVALUATION_DRAWS,
  type FitTiltSettings,
  type Fitting,
  fittingOf,
  heldOutLoss,
  holdsOut,
  logWeightsAt,
  trainingLoss,
} from "./fit-tilt-losses.ts";
import type { DrawableRows, FitTiltOptions, TiltFit } from "./fit-tilt-types.ts";
import { logistic } from "./objectives.ts";
import { gatherRows, heldOut } from "./target-rows.ts";
import { exactLogDensity, testRows, tiltedBounds } from "./tilt-density.ts";

export interface FitTiltKind extends ResultKind {
  readonly result: TiltFit;
}

const STEPS = 2000;
const EVERY = 25;
const BATCH = 128;
const NEGATIVES = 512;
const RATE = 1e-3;
const HOLDOUT = 0.2;

/**
 * Fits the energy of `tilt(site, energy)` so that the tilted model's `site` matches `target`.
 *
 * @param site - A latent or data site of the base model.
 * @param energy - The energy, usually a network; its parameters are what is learned.
 * @param target - Draws of the target, `[m, ...event]`, or rows that are drawn afresh every step.
 * @remarks Negatives are fresh draws of the base at every step. With held-out rows the best
 * parameters seen are restored. A run that diverges after its first validation ends with the last good parameters, and says so.
 * @example
 * const fit = await infer(prior, fitTilt("z", energy, latents), { seed: 1 });
 * const draws = await infer(pipe(prior, tilt("z", fit.energy)), snis(10_000), { params: fit.params, seed: 2 });
 * @throws `missing-site` when the base has no such site; `argument` on options out of range; `non-finite` when training diverges before the first validation.
 */
export function fitTilt<E2 extends ParamEffect = never>(
  site: string,
  energy: Energy<E2>,
  target: NdArray | DrawableRows,
  options: FitTiltOptions = {},
): Method<FitTiltKind, undefined> {
  const rows = "draw" in target ? target : gatherRows(target);
  const settings = checked(rows, options);
  const test = "draw" in target ? options.test : testRows("fitTilt", options.test, target);
  return {
    name: "fitTilt",
    run: (problem) => run(fittingOf(problem, site, energy, rows, settings), test),
  };
}

/** Options with their defaults. @throws `argument` on options out of range. */
function checked(rows: DrawableRows, options: FitTiltOptions): FitTiltSettings {
  const { objective = logistic(), optimizer = adam(RATE), steps = STEPS, every = EVERY, batch = BATCH } = options;
  const { negatives = NEGATIVES, holdout = HOLDOUT, minEssRatio, folds = 1 } = options;
  if (minEssRatio !== undefined && !(minEssRatio > 0 && minEssRatio < 1))
    fail("argument", `fitTilt: minEssRatio must be in (0, 1), got ${minEssRatio}`);
  if (!(holdout >= 0 && holdout < 1)) fail("argument", `fitTilt: holdout must be in [0, 1), got ${holdout}`);
  checkWhole("fitTilt", "folds", folds, 1, rows.count);
  if (rows.count - heldOut(rows.count, folds, holdout, 0).length < 1)
    fail("argument", `fitTilt: ${rows.count} target rows leave none to train on`);
  return { ...options, objective, optimizer, steps, every, batch, negatives, holdout, folds };
}

async function run(fitting: Fitting, test: NdArray | undefined): Promise<TiltFit> {
  const { problem, settings, fitted, initial } = fitting;
  const { optimizer, steps, every, clip, objective } = settings;
  const trained = await train({
    ...trainingIn(problem),
    name: "fitTilt",
    params: initial,
    optimizer,
    steps,
    stepsPerEpoch: every,
    ...(clip !== undefined && { clip }),
    recover: true,
    loss: (params, context) => trainingLoss(fitting, params, context),
    ...stopping(fitting),
  });
  const logWeights = scope(() => logWeightsAt(fitting, "evaluate", toTensors(trained.params)));
  const diagnostics = diagnose(sumWeights(logWeights));
  const khat = paretoK(logWeights);
  const z = logZ(logWeights);
  const warnings = warningsOf(trained, diagnostics, khat);
  return {
    energy: fitted,
    params: { ...problem.params, ...trained.params },
    history: trained.history,
    heldOutLoss: holdsOut(fitting)
      ? scope(() => heldOutLoss(fitting, toTensors(trained.params)).dataSync()[0] as number)
      : undefined,
    objective: objective.name,
    stopped: trained.stopped,
    trusted: warnings.length === 0,
    warnings,
    steps: trained.bestStep,
    logZ: z,
    logLikelihood: test && likelihoodOf(fitting, trained.params, test, z),
    essRatio: diagnostics.essRatio,
    largestWeight: diagnostics.largestWeight,
    khat,
    engine: { ...problem.engine, compiled: trained.compiled },
  };
}

/** How a fit is validated, and when it stops. */
function stopping(fitting: Fitting): Pick<TrainOptions, "validate" | "patience"> {
  const { minEssRatio, patience } = fitting.settings;
  if (minEssRatio !== undefined)
    return {
      // The last validation with enough effective draws counts as the best.
      validate: (params, { epoch }) =>
        diagnose(sumWeights(logWeightsAt(fitting, "ess", params))).essRatio >= minEssRatio
          ? -epoch
          : Number.POSITIVE_INFINITY,
      patience: 1,
    };
  if (!holdsOut(fitting)) return {};
  return { validate: (params) => heldOutLoss(fitting, params), ...(patience !== undefined && { patience }) };
}

/** Mean of log p_E over rows; `undefined` where log p is unknown. */
function likelihoodOf(
  { problem, site, settings, fitted }: Fitting,
  learned: Tree<NdArray>,
  test: NdArray,
  z: Sandwich,
): TiltFit["logLikelihood"] {
  const params = { ...problem.params, ...learned };
  const base = settings.logDensity?.(test, params) ?? exactLogDensity({ ...problem, params }, site, test);
  if (base === undefined) return undefined;
  const energy = scope(() => tf.mean(evaluate(fitted, test.tensor(), toTensors(learned))).dataSync()[0] as number);
  return tiltedBounds(base, energy, z);
}

function warningsOf(
  { stopped, message, steps, bestStep }: Trained,
  { ess, largestWeight }: WeightDiagnostics,
  khat: number,
) {
  const out: string[] = [];
  if (stopped === "diverged")
    out.push(`fitTilt diverged at step ${steps}: ${message}; the parameters kept are those after step ${bestStep}`);
  if (largestWeight > LARGEST_SHARE || ess < LEAST_ESS.weights)
    out.push(
      `fitTilt: ${EVALUATION_DRAWS} base draws have an effective sample size of ${ess.toFixed(1)} under the tilt, and one holds ${(100 * largestWeight).toFixed(0)} % of the weight: its log Z is not to be trusted; use a base nearer to the target, or tiltLikelihood with chains`,
    );
  else if (khat > UNRELIABLE_K)
    out.push(
      `fitTilt: Pareto k of base draws is ${khat.toFixed(2)}, above ${UNRELIABLE_K}: its log Z is not to be trusted`,
    );
  return out;
}
