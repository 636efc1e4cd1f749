/**
 * The runners of a kernel: compiled, many steps in one call, where that is wanted and pays; and op by op, one step in a call, also to find
 * the step at which a check failed.
 */
import type { Key } from "../../core/key.ts";
import type { CompileInfo } from "../../engine/info.ts";
import type { Problem } from "../method/infer.ts";
import { maybeCompile, tooFewSteps } from "../train/compile-policy.ts";
import { type CompiledRunner, compileRunner, type FirstStep, firstStep } from "./compiled-runner.ts";
import { type ArrayState, type Block, type Runner, runnerOpByOp, type TransitionSpec } from "./runner.ts";
import type { ScanUse } from "./shards.ts";

/** The runner to use, and the same transition op by op. */
export interface Runners {
  readonly many: Runner;
  readonly one: Runner;
  readonly compiled: CompiledRunner | undefined;
  readonly info: CompileInfo;
}

/** What the steps are for. */
export interface RunnersUse extends Pick<ScanUse, "steps" | "collect" | "maxStepsPerCall" | "hostValues"> {
  /** Steps of the whole run. */
  readonly total: number;
}

/**
 * Runners for a transition, compiled where that is wanted and pays.
 *
 * @param start - The state of the chains and the key of the next step, on which the engines are compared.
 * @throws Under `compiled`: as `compileRunner`, and what the model throws in that step.
 */
export async function runnersFor(
  { choice, threads, background = false }: Pick<Problem, "choice" | "threads" | "background">,
  spec: TransitionSpec,
  start: { readonly state: ArrayState; readonly key: Key },
  { total, ...use }: RunnersUse,
): Promise<Runners> {
  let first: FirstStep | undefined;
  const { compiled, info } = await maybeCompile({
    what: spec.transition.name,
    choice,
    skipReason: tooFewSteps(total),
    compile(native) {
      first = firstStep(spec, start.state, start.key);
      return compileRunner(spec, start.state, first.fixed, { ...use, threads, background, native });
    },
    compare: (made) => made.compare(start.state, start.key, (first as FirstStep).next),
  });
  const one = runnerOpByOp(spec);
  return { many: compiled ?? one, one, compiled, info };
}

/** Which steps to run. */
export interface StepRange {
  readonly from: number;
  readonly to: number;
  keyAt(t: number): Key;
  /** No call goes past a multiple of this step number. */
  readonly every?: number;
}

/**
 * Runs steps, as many in a call as possible.
 *
 * @param after - Called after every call with its block, which begins at step `at`; gives the state to continue from.
 * @returns The last of these states.
 */
export async function runSteps(
  { many, one }: Runners,
  start: ArrayState,
  { from, to, keyAt, every = Number.POSITIVE_INFINITY }: StepRange,
  after: (block: Block, at: number) => ArrayState | Promise<ArrayState>,
): Promise<ArrayState> {
  let state = start;
  /** Steps before this one run op by op: a check failed among them. */
  let opByOpUntil = from;
  const countAt = (t: number) => Math.min(many.length, to - t, every - (t % every));
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

/** Steps of another transition between those of a run. */
export interface Jumps {
  /** One after every so many steps. */
  readonly every: number;
  keyAt(t: number): Key;
  /** The runners, asked for at every jump: at this state, and the jump's key. */
  runners(state: ArrayState, key: Key): Runners | Promise<Runners>;
  /** Called with the block of the jump before step `t`. */
  note(block: Block, t: number): void;
}

/** The state before step `t`, after the jump that is due there. Entries that the jump does not know of stay. */
export async function jumpIfDue(jumps: Jumps | undefined, state: ArrayState, t: number): Promise<ArrayState> {
  if (jumps === undefined || t % jumps.every !== 0) return state;
  const range = { from: t - 1, to: t, keyAt: jumps.keyAt };
  const runners = await jumps.runners(state, jumps.keyAt(t - 1));
  const next = await runSteps(runners, state, range, (block) => {
    jumps.note(block, t);
    return block.state;
  });
  return { ...state, ...next };
}
