/**
 * Training as `init` and `step`. A state is a record; its large parts (parameters, slots of the optimiser, gradients, the history) are in
 * buffers that all states of a run share and a step overwrites. A step that throws leaves the state unchanged, except where the optimiser itself
 * finds a gradient that is not finite: then parameters and slots are invalid.
 */
import { fold, type Key } from "../../core/key.ts";
import { mapTree, type Tree } from "../../core/tree.ts";
import { arena } from "../../engine/wasm/arena.ts";
import { type Clip, clipGradients } from "../optim/clip.ts";
import { fill, type Layout, layoutOf, lengthOf, unflatten } from "../optim/flat.ts";
import { copyState, type Optimizer, type OptimizerState } from "../optim/optimizers.ts";
import type { Evaluator } from "./evaluate.ts";
import type { Evaluated, StepContext } from "./loss.ts";
import type { TrainOptions, TrainState } from "./train-types.ts";

/** The state of a run between steps. */
export interface RunState extends Pick<TrainState, "step" | "carry" | "epochLoss" | "epochMetrics" | "best"> {
  readonly optimizer: OptimizerState;
  readonly history: { readonly train: number[]; readonly validation: number[] };
}

/** What stays the same for a whole run: its buffers and settings. */
export interface Run {
  readonly name: string;
  readonly key: Key;
  readonly stepsPerEpoch: number;
  readonly layout: Layout;
  readonly params: Float32Array;
  readonly grads: Float32Array;
  readonly optimizer: Optimizer;
  readonly clip: Clip;
  /** Whether the optimiser itself finds gradients that are not finite. */
  readonly checksFinite: boolean;
}

/** The buffers of a run and its first state. */
export function init(options: TrainOptions & Pick<Run, "name" | "stepsPerEpoch" | "clip">): [Run, RunState] {
  const { name, key, stepsPerEpoch, optimizer, clip, from } = options;
  const first = from?.params ?? options.params;
  const layout = layoutOf(first);
  const stored = from?.optimizer ?? optimizer.init(first);
  const size = lengthOf(layout);
  // Parameters, gradients and moments side by side, so that an update needs no copies.
  const [params, grads, ...slots] = arena([size, size, ...Object.values(stored.slots).map((s) => s.length)]) as [
    Float32Array,
    Float32Array,
    ...Float32Array[],
  ];
  fill(params, layout, first);
  // A run that recovers returns the state before a step that fails, and an optimiser that checks gradients has overwritten it by then.
  const clips = clip.norm !== undefined || clip.value !== undefined;
  const checksFinite = optimizer.checksFinite === true && !clips && !options.recover;
  const { train, validation } = from?.history ?? { train: [], validation: [] };
  return [
    { name, key, stepsPerEpoch, layout, params, grads, optimizer, clip, checksFinite },
    {
      step: from?.step ?? 0,
      optimizer: placed(stored, slots),
      carry: from?.carry ?? options.carry ?? {},
      epochLoss: from?.epochLoss ?? 0,
      epochMetrics: from?.epochMetrics ?? {},
      history: { train: [...train], validation: [...validation] },
      best: from?.best,
    },
  ];
}

/** An optimiser's state, its slots copied to the given buffers. */
function placed({ step, slots }: OptimizerState, buffers: readonly Float32Array[]): OptimizerState {
  const moved = Object.entries(slots).map(([name, slot], i) => {
    const buffer = buffers[i] as Float32Array;
    buffer.set(slot);
    return [name, buffer] as const;
  });
  return { step, slots: Object.fromEntries(moved) };
}

/** The context of a loss at a state. */
export function contextAt({ stepsPerEpoch }: Run, { step, carry }: RunState, key: Key): StepContext {
  const epoch = Math.floor(step / stepsPerEpoch);
  return { key, step, epoch, stepInEpoch: step - epoch * stepsPerEpoch, carry };
}

/** The context of the step from this state. */
export const nextContext = (run: Run, state: RunState): StepContext =>
  contextAt(run, state, fold(fold(run.key, "step"), state.step));

/**
 * One step: loss and gradients, clipping, an update in place.
 *
 * @throws `non-finite` naming the parameter with a gradient that is NaN or infinite; what the loss throws.
 */
export async function step(
  run: Run,
  evaluate: Evaluator["evaluate"],
  state: RunState,
): Promise<[state: RunState, info: Evaluated]> {
  const { name, optimizer, params, grads, layout, clip, checksFinite } = run;
  const info = await evaluate(nextContext(run, state));
  const hint = ` at step ${state.step} of ${name}; lower the learning rate or set clip`;
  if (!checksFinite) clipGradients(grads, layout, clip, hint);
  const updated = optimizer.update(state.optimizer, params, grads, layout);
  // Throws for the gradient that is not finite; there may be none, where only a square overflowed.
  if (updated.finite === false) clipGradients(grads, layout, {}, hint);
  return [
    {
      step: state.step + 1,
      history: state.history,
      best: state.best,
      optimizer: { step: updated.step, slots: updated.slots },
      carry: info.carry,
      epochLoss: state.epochLoss + info.loss,
      epochMetrics: added(state.epochMetrics, info.metrics),
    },
    info,
  ];
}

const added = (sums: Tree<number>, terms: Tree<number>): Tree<number> =>
  mapTree(terms, (term, name) => (sums[name] ?? 0) + term);

/** Means over the steps of an epoch. */
export interface EpochMeans {
  readonly epoch: number;
  readonly train: number;
  readonly metrics: Tree<number>;
}

/** Ends an epoch, also one that is cut short: its mean loss enters the history. */
export function endEpoch({ stepsPerEpoch }: Run, state: RunState): [state: RunState, means: EpochMeans] {
  const { step, history, epochLoss, epochMetrics } = state;
  const steps = step % stepsPerEpoch || stepsPerEpoch;
  const train = epochLoss / steps;
  const metrics = mapTree(epochMetrics, (sum) => sum / steps);
  history.train.push(train);
  return [
    { ...state, epochLoss: 0, epochMetrics: {} },
    { epoch: history.train.length - 1, train, metrics },
  ];
}

/** A validation loss enters the history, and the parameters are kept if it is the best so far. */
export function validated({ params, layout }: Run, state: RunState, loss: number): RunState {
  const { history, best } = state;
  history.validation.push(loss);
  if (best !== undefined && !(loss < best.loss)) return state;
  return {
    ...state,
    best: { step: state.step, epoch: history.train.length - 1, loss, params: unflatten(params, layout) },
  };
}

/** Whether so many epochs in a row were without a better validation loss. */
export const isStale = ({ best, history }: RunState, patience: number): boolean =>
  best !== undefined && history.train.length - 1 - best.epoch >= patience;

/** A copy of everything. */
export const snapshot = ({ params, layout }: Run, { history, optimizer, ...state }: RunState): TrainState => ({
  ...state,
  params: unflatten(params, layout),
  optimizer: copyState(optimizer),
  history: { train: [...history.train], validation: [...history.validation] },
});
