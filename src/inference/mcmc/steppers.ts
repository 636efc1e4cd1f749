/**
 * The steppers of a kernel: compiled, many steps in one call, where that is wanted and pays; and op by op, one step in a call, also to find
 * the step at which a check failed.
 */
import type { Key } from "../../core/key.ts";
import type { CompileInfo } from "../../engine/info.ts";
import type { Problem } from "../method/infer.ts";
import { maybeCompile, tooFewSteps } from "../train/compile-policy.ts";
import { type CompiledStepper, compileSteps, type FirstStep, firstStep } from "./compiled-stepper.ts";
import type { ScanUse } from "./shards.ts";
import { type ArrayState, type Block, type Stepper, type StepSpec, stepperOpByOp } from "./stepper.ts";

/** The stepper to use, and the same transition op by op. */
export interface Steppers {
  readonly spec: StepSpec;
  readonly many: Stepper;
  readonly one: Stepper;
  readonly compiled: CompiledStepper | undefined;
  readonly info: CompileInfo;
}

/** What the steps are for. */
export interface SteppersUse extends Pick<ScanUse, "steps" | "collect" | "maxStepsPerCall" | "hostValues"> {
  /** Steps of the whole run. */
  readonly total: number;
}

/**
 * Steppers for a transition, compiled where that is wanted and pays.
 *
 * @param start - The state of the chains and the key of the next step, on which the engines are compared.
 * @throws What the model throws in that step; under `compiled`: as `compileSteps`.
 */
export async function steppersFor(
  { choice, threads, background = false }: Pick<Problem, "choice" | "threads" | "background">,
  spec: StepSpec,
  start: { readonly state: ArrayState; readonly key: Key },
  { total, ...use }: SteppersUse,
): Promise<Steppers> {
  let first: FirstStep | undefined;
  const reference = () => {
    first ??= firstStep(spec, start.state, start.key);
    return first;
  };
  const { compiled, info } = await maybeCompile({
    what: spec.transition.name,
    choice,
    skipReason: tooFewSteps(total),
    reference,
    compile: (native) => compileSteps(spec, start.state, reference().fixed, { ...use, threads, background, native }),
    compare: (made, { next }) => made.compare(start.state, start.key, next),
  });
  const one = stepperOpByOp(spec);
  return { spec, many: compiled ?? one, one, compiled, info };
}

/** Which steps to run. */
export interface StepRange {
  readonly from: number;
  readonly to: number;
  keyAt(t: number): Key;
  /** Default: as many as the stepper takes. */
  readonly maxStepsPerCall?: number;
  /** No call goes past a multiple of this step number. */
  readonly every?: number;
}

/**
 * Runs steps, as many in a call as possible.
 *
 * @param after - Called after every call with its block, which begins at step `at`; gives the state to continue from.
 * @returns The last of these states.
 */
export async function makeSteps(
  { many, one }: Steppers,
  start: ArrayState,
  { from, to, keyAt, maxStepsPerCall = Number.POSITIVE_INFINITY, every }: StepRange,
  after: (block: Block, at: number) => ArrayState | Promise<ArrayState>,
): Promise<ArrayState> {
  let state = start;
  /** Steps before this one run op by op: a check failed among them. */
  let opByOpUntil = from;
  const countAt = (t: number) =>
    Math.min(
      many.length,
      maxStepsPerCall,
      to - t,
      every === undefined ? Number.POSITIVE_INFINITY : every - (t % every),
    );
  const keysAt = (t: number, count: number) => Array.from({ length: count }, (_, i) => keyAt(t + i));
  for (let t = from; t < to; ) {
    const isOpByOp = t < opByOpUntil;
    const next = t + (isOpByOp ? 1 : countAt(t));
    const following = isOpByOp || next >= to ? [] : keysAt(next, countAt(next));
    const block = await (isOpByOp ? one : many).run(state, keysAt(t, next - t), following);
    if (block === undefined) opByOpUntil = next;
    else {
      state = await after(block, t);
      t = next;
    }
  }
  return state;
}
