/**
 * The training loop: minimises a scalar in a tree of parameters. Every step is a pure function evaluated in one memory scope;
 * what lives between steps is typed arrays, so a run can be stored, resumed bit for bit, aborted, and never leaks.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail, TiltedError } from "../../core/errors.ts";
import { yieldToEventLoop } from "../../core/event-loop.ts";
import { fold, type Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import type { TensorTree } from "../../core/tree.ts";
import { resolveChoice } from "../../engine/engine.ts";
import { readInto } from "../../engine/read.ts";
import { arena } from "../../engine/wasm/arena.ts";
import { checkClip, clipGradients } from "../optim/clip.ts";
import { fill, flatten, type Layout, layoutOf, lengthOf, unflatten, views } from "../optim/flat.ts";
import { copyState, type OptimizerState } from "../optim/optimizers.ts";
import { compileFor, type Evaluated } from "./compiled-loss.ts";
import { valueAndGradient } from "./gradient.ts";
import type { LossWithCarry, StepContext } from "./loss.ts";
import type { Trained, TrainOptions, TrainState } from "./train-types.ts";

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
  const {
    optimizer,
    loss,
    validate,
    key,
    name = "train",
    stepsPerEpoch = 1,
    patience = Number.POSITIVE_INFINITY,
  } = options;
  const total = totalSteps(name, options.steps, options.epochs, stepsPerEpoch);
  const clip = checkClip(options.clip ?? {});
  // A run that recovers gives the state before a step that fails; what an optimiser has looked at, it has overwritten.
  const recovers = options.recover === true;
  const looks = optimizer.checksFinite === true && clip.norm === undefined && clip.value === undefined && !recovers;
  const politely = yieldToEventLoop();
  const tick = options.tick ?? (async () => politely());
  if (validate === undefined && options.patience !== undefined)
    fail("argument", `${name}: patience needs validation data to be impatient about`);

  const start = options.from;
  const first = start?.params ?? options.params;
  const layout = layoutOf(first);
  const initialState = start?.optimizer ?? optimizer.init(first);
  const size = lengthOf(layout);
  // Parameters, gradients and moments side by side, so that an update needs no copies.
  const [params, grads, ...slots] = arena([size, size, ...Object.values(initialState.slots).map((s) => s.length)]) as [
    Float32Array,
    Float32Array,
    ...Float32Array[],
  ];
  fill(params, layout, first);
  const tree = views(params, layout);
  let optimizerState = placed(initialState, slots);
  let carry = start?.carry ?? options.carry ?? {};
  let best = start?.best;
  let epochLoss = start?.epochLoss ?? 0;
  const history = { train: [...(start?.history.train ?? [])], validation: [...(start?.history.validation ?? [])] };
  let step = start?.step ?? 0;

  const tensors = (): TensorTree =>
    // Without the defensive copy of NdArray.tensor(): this loop writes to the buffer only between scopes.
    Object.fromEntries(Object.entries(tree).map(([n, a]) => [n, tf.tensor(a.data, [...a.shape], a.dtype)]));
  const context = (purpose: Key): StepContext => {
    const epoch = Math.floor(step / stepsPerEpoch);
    return { key: purpose, step, epoch, stepInEpoch: step - epoch * stepsPerEpoch, carry };
  };
  const state = (): TrainState => ({
    step,
    params: unflatten(params, layout),
    optimizer: copyState(optimizerState),
    carry,
    history: { train: [...history.train], validation: [...history.validation] },
    epochLoss,
    best,
  });
  const stale = () => (best === undefined ? 0 : history.train.length - 1 - best.epoch);

  let resumable: TrainState | undefined;
  /** What a run that diverges goes back to, without validation. */
  let good: TrainState["best"];
  let message: string | undefined;
  let stopped: Trained["stopped"] = best !== undefined && stale() >= patience ? "early" : "finished";
  /** Loss of this step, gradients into the buffer: op by op. */
  const eagerly = (told: StepContext): Evaluated =>
    scope(() => {
      const at = tensors();
      const next: { carry: LossWithCarry["carry"] } = { carry };
      const evaluate = () => {
        const out = loss(at, told);
        if (out instanceof tf.Tensor) return out;
        next.carry = out.carry;
        return out.loss;
      };
      const { value, grads: derivatives } = valueAndGradient(name, evaluate, at);
      const read = value.dataSync()[0] as number;
      if (!Number.isFinite(read)) diverged(name, read, step);
      collect(derivatives, grads, layout);
      return { loss: read, carry: typeof next.carry === "function" ? next.carry() : next.carry };
    });
  const keyOf = (at: number): Key => fold(fold(key, "step"), at);
  const { compiled, info } = await compileFor(resolveChoice(options.engine), total, step, {
    spec: { name, loss, layout, params, grads, key, carry, threads: options.threads, background: options.background },
    check: () => eagerly(context(keyOf(step))),
    context: () => context(keyOf(step)),
  });
  try {
    while (step < total && stopped !== "early") {
      const told = context(keyOf(step));
      const evaluated = (await compiled?.evaluate(told)) ?? eagerly(told);
      const value = evaluated.loss;
      carry = evaluated.carry;
      const hint = ` at step ${step} of ${name}; lower the learning rate or set clip`;
      if (!looks) clipGradients(grads, layout, clip, hint);
      const { finite, ...next } = optimizer.update(optimizerState, params, grads, layout);
      // Which gradient it is; or none, and only a square was too large.
      if (finite === false) clipGradients(grads, layout, {}, hint);
      optimizerState = next;
      epochLoss += value;
      step++;
      const stepInEpoch = step % stepsPerEpoch;
      const metrics: Record<string, number> = { loss: value };
      // A last epoch that is cut short enters the history, but not the state from which a longer run goes on.
      if (step === total && stepInEpoch !== 0) resumable = state();
      if (stepInEpoch === 0 || step === total) {
        history.train.push(epochLoss / (stepInEpoch === 0 ? stepsPerEpoch : stepInEpoch));
        epochLoss = 0;
        const epoch = history.train.length - 1;
        if (validate !== undefined) {
          const validation = scope(() => {
            const out = validate(tensors(), { ...context(fold(key, "validate")), epoch });
            return typeof out === "number" ? out : (out.dataSync()[0] as number);
          });
          if (Number.isNaN(validation)) fail("non-finite", `${name}: the validation loss is NaN after epoch ${epoch}`);
          history.validation.push(validation);
          metrics.validation = validation;
          // A copy: parameters go on changing under the same buffer.
          if (best === undefined || validation < best.loss)
            best = { params: unflatten(params, layout), loss: validation, epoch };
          if (stale() >= patience) stopped = "early";
        } else if (recovers) {
          const mean = history.train[epoch] as number;
          if (good === undefined || mean < good.loss) good = { params: unflatten(params, layout), loss: mean, epoch };
        }
        await options.onEpoch?.({
          epoch,
          step,
          train: history.train[epoch] as number,
          validation: history.validation[epoch],
          state,
        });
      }
      // An early stop is the end, and a progress bar should show it.
      await tick({ step, total: stopped === "early" ? step : total, metrics });
    }
  } catch (error) {
    const isDivergence = recovers && error instanceof TiltedError && error.code === "non-finite";
    if (!isDivergence || (best ?? good) === undefined) throw error;
    stopped = "diverged";
    message = error.message;
  } finally {
    compiled?.dispose();
  }
  const kept = best ?? (stopped === "diverged" ? good : undefined);
  return {
    params: unflatten(kept === undefined ? params : flatten(kept.params, layout), layout),
    history: { train: [...history.train], validation: [...history.validation] },
    steps: step,
    epochs: history.train.length,
    stopped,
    message,
    bestEpoch: kept?.epoch ?? history.train.length - 1,
    state: resumable ?? state(),
    compiled: info,
  };
}

/** A state whose slots are copied to the given buffers. */
function placed({ step, slots }: OptimizerState, buffers: readonly Float32Array[]): OptimizerState {
  const moved = Object.entries(slots).map(([name, slot], i) => {
    const buffer = buffers[i] as Float32Array;
    buffer.set(slot);
    return [name, buffer] as const;
  });
  return { step, slots: Object.fromEntries(moved) };
}

function totalSteps(name: string, steps: number | undefined, epochs: number | undefined, perEpoch: number): number {
  if (!(Number.isInteger(perEpoch) && perEpoch >= 1))
    fail("argument", `${name}: stepsPerEpoch must be a positive integer, got ${perEpoch}`);
  if ((steps === undefined) === (epochs === undefined)) fail("argument", `${name}: give either steps or epochs`);
  const total = steps ?? (epochs as number) * perEpoch;
  if (!(Number.isInteger(total) && total >= 0))
    fail("argument", `${name}: steps and epochs must be non-negative integers, got ${steps ?? epochs}`);
  return total;
}

function diverged(name: string, loss: number, step: number): never {
  return fail(
    "non-finite",
    `${name}: the loss is ${loss} at step ${step}; lower the learning rate, set clip, or check the initial parameters`,
  );
}

/** Copies gradients into their places in the flat buffer; an absent one is zero. */
function collect(
  grads: { readonly [name: string]: tf.Tensor | undefined },
  buffer: Float32Array,
  layout: Layout,
): void {
  for (const { name, offset, size } of layout) {
    const grad = grads[name];
    if (grad === undefined) buffer.fill(0, offset, offset + size);
    else readInto(grad, buffer, offset);
  }
}
