/**
 * Ways to make the steps of a kernel: many in one compiled call where that is wanted and pays, and one by one, op by op, where a check that
 * failed among many must be found.
 */
import type { Key } from "../../core/key.ts";
import type { CompileInfo } from "../../engine/info.ts";
import type { Problem } from "../method/infer.ts";
import { compileIfWorth, tooFewSteps } from "../train/compile-policy.ts";
import { type CompiledStepper, compileSteps, type FirstStep, firstStep } from "./compiled-stepper.ts";
import type { ScanUse } from "./shards.ts";
import { type ArrayState, type Block, type Stepper, type StepSpec, stepperOpByOp } from "./stepper.ts";

/** A way to make steps, and the same op by op. */
export interface Steppers {
  readonly spec: StepSpec;
  readonly many: Stepper;
  readonly one: Stepper;
  readonly compiled: CompiledStepper | undefined;
  readonly info: CompileInfo;
}

/** What the steps are made for. */
export interface SteppersUse extends Pick<ScanUse, "steps" | "collect" | "most" | "hostValues"> {
  /** Steps of the whole run. */
  readonly total: number;
}

/**
 * The way to make steps that is wanted and pays.
 *
 * @param start - Where the chains are, and the key of the first step from there, which is compared between the engines.
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
  const { compiled, info } = await compileIfWorth({
    what: spec.steps.name,
    choice,
    notWorth: tooFewSteps(total),
    reference,
    compile: (native) => compileSteps(spec, start.state, reference().fixed, { ...use, threads, background, native }),
    compare: (made, { next }) => made.compare(start.state, start.key, next),
  });
  const one = stepperOpByOp(spec);
  return { spec, many: compiled ?? one, one, compiled, info };
}

/** Steps to make. */
export interface StepRange {
  readonly from: number;
  readonly to: number;
  keyAt(t: number): Key;
  /** Most steps of a call. */
  readonly most?: number;
  /** A call ends where so many steps, counted from the first of all, are done. */
  readonly every?: number;
}

/**
 * Makes steps, as many in a call as can be.
 *
 * @param after - Called after every call with its block, which begins at step `at`; says from which state to go on.
 * @returns The last of these states.
 */
export async function makeSteps(
  { many, one }: Steppers,
  start: ArrayState,
  { from, to, keyAt, most = Number.POSITIVE_INFINITY, every }: StepRange,
  after: (block: Block, at: number) => ArrayState | Promise<ArrayState>,
): Promise<ArrayState> {
  let state = start;
  /** Steps before this one are made one by one: a check failed among them. */
  let single = from;
  const countAt = (t: number) =>
    Math.min(many.length, most, to - t, every === undefined ? Number.POSITIVE_INFINITY : every - (t % every));
  const keysAt = (t: number, count: number) => Array.from({ length: count }, (_, i) => keyAt(t + i));
  for (let t = from; t < to; ) {
    const alone = t < single;
    const next = t + (alone ? 1 : countAt(t));
    const following = alone || next >= to ? [] : keysAt(next, countAt(next));
    const block = await (alone ? one : many).run(state, keysAt(t, next - t), following);
    if (block === undefined) single = next;
    else {
      state = await after(block, t);
      t = next;
    }
  }
  return state;
}
