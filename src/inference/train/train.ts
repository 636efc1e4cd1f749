/**
 * The training loop: minimises a scalar in a tree of parameters. Every step is evaluated in one memory scope; between steps the state is
 * typed arrays, so a run can be stored, resumed bit for bit and aborted, and leaks no tensor.
 */
import { checkWhole } from "../../core/check.ts";
import { fail, TiltedError } from "../../core/errors.ts";
import { yieldToEventLoop } from "../../core/event-loop.ts";
import { fold } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { resolveChoice } from "../../engine/engine.ts";
import type { Problem } from "../method/infer.ts";
import { checkClip } from "../optim/clip.ts";
import { flatten, unflatten, views } from "../optim/flat.ts";
import { type Evaluator, evaluatorOf, tensorsIn } from "./evaluate.ts";
import { leastLoss, type Recovery } from "./recovery.ts";
import type { EpochInfo, Trained, TrainOptions, TrainState } from "./train-types.ts";
import {
  contextAt,
  type EpochMeans,
  endEpoch,
  init,
  isStale,
  nextContext,
  type Run,
  type RunState,
  snapshot,
  step,
  validated,
} from "./training.ts";

/**
 * Minimises `loss`.
 *
 * @example
 * const fit = await train({
 *   params: { w: ndarray(new Float32Array(2)) },
 *   loss: ({ w }, { key }) => tf.sum(tf.square(tf.sub(w, 1))),
 *   optimizer: adam(1e-2), steps: 500, key: rootKey(1),
 * });
 * @throws `non-finite` when a loss or a gradient is NaN or infinite, naming the parameter; `not-differentiable` when the loss
 *   depends on no parameter; `argument` on options that contradict each other.
 */
export async function train(options: TrainOptions): Promise<Trained> {
  const settings = checked(options);
  const { loss, engine, threads, background, total, stepsPerEpoch, patience, recovery, validate, stop, tick } =
    settings;
  const [run, start] = init(settings);
  const params = views(run.params, run.layout);
  const copy = () => unflatten(run.params, run.layout);
  let state = start;
  let ending: Ending | undefined = isStale(state, patience) ? { stopped: "early" } : undefined;
  const isRunning = () => ending === undefined && state.step < total;
  let resumable: TrainState | undefined;

  if (isRunning()) await options.before?.(state.step, params);
  recovery?.offer({ step: state.step, epoch: -1, loss: Number.NaN, copy });
  const evaluator = await evaluatorOf(
    { ...run, loss },
    { engine: resolveChoice(engine), total, done: state.step, threads, background },
    nextContext(run, state),
  );
  try {
    while (isRunning()) {
      const [next, evaluated] = await step(run, evaluator.evaluate, state);
      state = next;
      const metrics: Record<string, number> = { loss: evaluated.loss, ...evaluated.metrics };
      const isWhole = state.step % stepsPerEpoch === 0;
      // A last epoch that is cut short enters the history, but not the state from which a longer run goes on.
      if (!isWhole && state.step === total) resumable = snapshot(run, state);
      if (isWhole || state.step === total) {
        const [ended, means] = endEpoch(run, state);
        state = ended;
        if (validate !== undefined) {
          const validation = validationLoss(validate, run, state, means.epoch);
          metrics.validation = validation;
          state = validated(run, state, validation);
          if (isStale(state, patience)) ending = { stopped: "early" };
        }
        const info = epochInfo(run, state, means);
        const reason = stop?.(info);
        if (reason !== undefined) ending = { stopped: "diverged", message: reason };
        else if (validate === undefined)
          recovery?.offer({ step: state.step, epoch: means.epoch, loss: means.train, copy });
        await options.onEpoch?.(info);
      }
      // An early stop is the end, and a progress bar should show it.
      await tick({ step: state.step, total: ending === undefined ? total : state.step, metrics });
      if (isRunning()) await options.before?.(state.step, params);
    }
  } catch (error) {
    // After the first step only: before it there is no good state.
    const kept = state.best ?? (state.step > start.step ? recovery?.choose() : undefined);
    ending = recovery && kept && divergenceBy(error);
    if (ending === undefined) throw error;
  } finally {
    evaluator.dispose();
  }
  return trained(run, state, { ending, recovery, resumable, evaluator });
}

/** The options that a training inside a method takes from its problem: key, progress and engine. */
export const trainingIn = ({ key, tick, choice, threads, background }: Problem) => ({
  key: fold(key, "train"),
  tick,
  engine: choice,
  ...(threads !== undefined && { threads }),
  ...(background && { background }),
});

/** Why a run ends before its last step. */
interface Ending {
  readonly stopped: "early" | "diverged";
  readonly message?: string;
}

/** The end of a run in which something became infinite or NaN; undefined after any other error. */
const divergenceBy = (error: unknown): Ending | undefined =>
  error instanceof TiltedError && error.code === "non-finite"
    ? { stopped: "diverged", message: error.message }
    : undefined;

/** Options with their defaults. @throws `argument` on options out of range, or that contradict each other. */
function checked(options: TrainOptions) {
  const { name = "train", stepsPerEpoch = 1, steps, epochs, patience, validate, recover = false } = options;
  checkWhole(name, "stepsPerEpoch", stepsPerEpoch);
  if ((steps === undefined) === (epochs === undefined)) fail("argument", `${name}: give either steps or epochs`);
  const total = steps ?? (epochs as number) * stepsPerEpoch;
  checkWhole(name, steps === undefined ? "epochs × stepsPerEpoch" : "steps", total, 0);
  const clip = checkClip(options.clip ?? {});
  if (validate === undefined && patience !== undefined) fail("argument", `${name}: patience needs validate`);
  const pause = yieldToEventLoop();
  const recovery: Recovery | undefined = recover === true ? leastLoss() : recover || undefined;
  return {
    ...options,
    name,
    stepsPerEpoch,
    total,
    clip,
    patience: patience ?? Number.POSITIVE_INFINITY,
    recovery,
    tick: options.tick ?? (async () => pause()),
  };
}

/** @throws `non-finite` when it is NaN. */
function validationLoss(
  validate: NonNullable<TrainOptions["validate"]>,
  run: Run,
  state: RunState,
  epoch: number,
): number {
  const { name, key, params, layout } = run;
  const loss = scope(() => {
    const out = validate(tensorsIn(params, layout)(), { ...contextAt(run, state, fold(key, "validate")), epoch });
    return typeof out === "number" ? out : (out.dataSync()[0] as number);
  });
  if (Number.isNaN(loss)) fail("non-finite", `${name}: the validation loss is NaN after epoch ${epoch}`);
  return loss;
}

const epochInfo = (run: Run, state: RunState, means: EpochMeans): EpochInfo => ({
  ...means,
  step: state.step,
  validation: state.history.validation[means.epoch],
  state: () => snapshot(run, state),
});

/** What a result needs besides the run and its last state. */
interface RunEnd {
  readonly ending: Ending | undefined;
  readonly recovery: Recovery | undefined;
  readonly resumable: TrainState | undefined;
  readonly evaluator: Evaluator;
}

function trained(run: Run, state: RunState, { ending, recovery, resumable, evaluator }: RunEnd): Trained {
  const { params, layout } = run;
  const { history, best } = state;
  const kept = best ?? (ending?.stopped === "diverged" ? recovery?.choose() : undefined);
  return {
    params: unflatten(kept === undefined ? params : flatten(kept.params, layout), layout),
    history: { train: [...history.train], validation: [...history.validation] },
    steps: state.step,
    epochs: history.train.length,
    stopped: ending?.stopped ?? "finished",
    message: ending?.message,
    bestEpoch: kept?.epoch ?? history.train.length - 1,
    bestStep: kept?.step ?? state.step,
    state: resumable ?? snapshot(run, state),
    compiled: evaluator.info,
  };
}
