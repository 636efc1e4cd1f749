/**
 * Maximum likelihood of a tilted model: the loss of `likelihood-loss` on batches of data and negatives, trained for the given steps or until it
 * diverges. Methods differ only in the source of negatives.
 */
import type { NdArray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import { type Tree, toTensors } from "../../core/tree.ts";
import type { ParamEffect } from "../../effects/effects.ts";
import type { Energy } from "../../effects/handlers.ts";
import type { Method, Problem, ResultKind } from "../method/infer.ts";
import { type Clip, checkClip } from "../optim/clip.ts";
import { adam } from "../optim/optimizers.ts";
import { ring } from "../train/recovery.ts";
import { train, trainingIn } from "../train/train.ts";
import type { EpochInfo } from "../train/train-types.ts";
import { negativesFor } from "./default-negatives.ts";
import { type LikelihoodMetric, likelihoodLoss } from "./likelihood-loss.ts";
import { classEntropy, type NegativeInfo } from "./negatives.ts";
import { checkStopRule, divergence, lastGood } from "./stability.ts";
import { type StepDraws, stepDraws } from "./step-draws.ts";
import { testRows } from "./tilt-density.ts";
import { evaluateFit } from "./tilt-evaluation.ts";
import type { TiltCheck, TiltLikelihoodFit, TiltLikelihoodOptions } from "./tilt-likelihood-types.ts";
import { setUp, type TiltSetup } from "./tilt-setup.ts";

export interface TiltLikelihoodKind extends ResultKind {
  readonly result: TiltLikelihoodFit;
}

const WHAT = "tiltLikelihood";
const STEPS = 2000;
const EVERY = 25;
const BATCH = 128;
const RATE = 1e-3;
const RING = 8;
const CLIP: Clip = { norm: 10 };
const EVALUATION_DRAWS = 8192;
/** Most rows of a buffer that are classified. */
const MAX_CLASSIFIED = 1024;

/**
 * Fits the energy of `tilt(site, energy)` to data by maximum likelihood, with negatives from the tilted model itself.
 *
 * @param site - A site of the base, which takes no arguments and has no data.
 * @param data - Draws of the target, `[m, ...event]`.
 * @remarks With `joint` the gradient of log p needs the latents of the negatives: they are drawn with them, so no encoder enters. A run
 * that diverges ends with the last good state instead of an error.
 * @example
 * const negatives = chainDraws({ chains: 64, steps: 10, coordinates: inNoise("x") });
 * const fit = await infer(net.base, tiltLikelihood("x", energy(784), x, { negatives, steps: 500 }), { params: vae.params, seed: 1 });
 * @throws `missing-site`, `shape`, `argument`; `non-finite` when the first step is already.
 */
export function tiltLikelihood<E2 extends ParamEffect = never>(
  site: string,
  energy: Energy<E2>,
  data: NdArray,
  options: TiltLikelihoodOptions = {},
): Method<TiltLikelihoodKind, undefined> {
  const settings: Settings = {
    ...options,
    steps: checkWhole(WHAT, "steps", options.steps ?? STEPS),
    every: checkWhole(WHAT, "every", options.every ?? EVERY),
    batch: checkWhole(WHAT, "batch", options.batch ?? BATCH),
    ring: checkWhole(WHAT, "ring", options.ring ?? RING),
    penalty: options.penalty ?? 0,
    clip: checkClip(options.clip ?? CLIP),
  };
  if (!(settings.penalty >= 0)) fail("argument", `${WHAT}: penalty must not be negative, got ${settings.penalty}`);
  if (options.stop) checkStopRule(WHAT, options.stop);
  return { name: WHAT, run: (problem) => run(problem, site, energy as Energy<ParamEffect>, data, settings) };
}

type Settings = TiltLikelihoodOptions &
  Required<Pick<TiltLikelihoodOptions, "steps" | "every" | "batch" | "ring" | "penalty" | "clip">>;

async function run(
  problem: Problem,
  site: string,
  energy: Energy<ParamEffect>,
  data: NdArray,
  settings: Settings,
): Promise<TiltLikelihoodFit> {
  const { joint, batch, steps, classify, logDensity, evaluation = EVALUATION_DRAWS } = settings;
  const test = testRows(WHAT, settings.test, data);
  const setup = setUp(problem, site, energy, data, joint);
  const negatives = negativesFor(setup.site, settings.negatives);
  if (joint !== undefined && negatives.marginalSite !== undefined)
    fail(
      "argument",
      `${WHAT}: a base that trains too needs the latents of its negatives, and chains that follow a drift sample "${negatives.marginalSite}" alone; leave out drift`,
    );
  const weighted = negatives.kind === "weighted";
  const draws = stepDraws({ problem, setup, data, negatives, batch, steps });
  try {
    const { trained, good, checks } = await trainTilt(problem, setup, draws, weighted, settings);
    const diverged = trained.stopped === "diverged";
    // After going back to an earlier state, the buffer does not belong to it.
    const buffered = diverged ? undefined : draws.buffered(MAX_CLASSIFIED);
    const labels = buffered && classify?.(buffered);
    const whole = (params: Tree<NdArray>): Tree<NdArray> => ({ ...setup.fixed, ...params });
    return evaluateFit(
      { problem, site, network: setup.network, draws: evaluation, buffered, test, logDensity },
      {
        weighted,
        params: whole(trained.params),
        negatives: negatives.name,
        history: checks,
        stopped: diverged ? "diverged" : "finished",
        message: diverged
          ? `stopped at step ${trained.steps}: ${trained.message}; the parameters are those of step ${trained.bestStep}`
          : `finished ${trained.steps} steps`,
        steps: trained.bestStep,
        checkpoints: good.entries.map(({ step, params }) => ({ step, params: whole(params) })),
        classEntropy: labels && classEntropy(labels),
        engine: { ...problem.engine, compiled: trained.compiled },
      },
    );
  } finally {
    draws.dispose();
  }
}

/** Trains, with fresh draws before every step and a check of the energies after every epoch. */
async function trainTilt(problem: Problem, setup: TiltSetup, draws: StepDraws, weighted: boolean, settings: Settings) {
  const { joint, penalty, steps, every, clip, classify, optimizer = adam(RATE), stop = {} } = settings;
  const spec = { setup, joint, weighted, penalty };
  const checks: TiltCheck[] = [];
  const good = ring(settings.ring, (states) => lastGood(states, checks, stop || {}));
  const trained = await train({
    ...trainingIn(problem),
    name: WHAT,
    params: setup.trained,
    optimizer,
    steps,
    stepsPerEpoch: every,
    clip,
    before: draws.next,
    loss: (params, { key }) => likelihoodLoss(spec, draws.batch(), { ...toTensors(setup.fixed), ...params }, key),
    stop(epoch) {
      const buffered = classify && draws.buffered(MAX_CLASSIFIED);
      checks.push(checkOf(epoch, draws.info(), weighted, buffered && classify?.(buffered)));
      return stop === false ? undefined : divergence(checks, stop);
    },
    recover: good,
    tick({ metrics, ...progress }) {
      const { loss, target, negatives } = metrics as { readonly [M in LikelihoodMetric | "loss"]: number };
      return problem.tick({ ...progress, metrics: { loss, gap: target - negatives } });
    },
  });
  return { trained, good, checks };
}

/** The check after an epoch. Only differences of energies mean anything, so negatives are put at 0. */
function checkOf(
  { step, metrics }: EpochInfo,
  info: NegativeInfo,
  weighted: boolean,
  labels: ArrayLike<number> | undefined,
): TiltCheck {
  const { target, negatives, essRatio } = metrics as { readonly [M in LikelihoodMetric]: number };
  const gap = target - negatives;
  return {
    step,
    target: gap,
    negatives: 0,
    gap: Math.abs(gap),
    ...info,
    ...(weighted && { essRatio }),
    ...(labels && { classEntropy: classEntropy(labels) }),
  };
}
