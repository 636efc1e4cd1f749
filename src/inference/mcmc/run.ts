/** One run of chains: what its phases share. Its steppers, the keys of its steps, the jumps between them, and progress. */
import { fold, type Key } from "../../core/key.ts";
import type { Problem } from "../method/infer.ts";
import type { KernelState, NoiseKinds, Transition } from "./kernel.ts";
import type { ArrayState, Block, StepSpec, Stored } from "./stepper.ts";
import { makeSteps, type Steppers, type SteppersUse, type StepRange, steppersFor } from "./steppers.ts";
import type { Density } from "./target.ts";

/** The transition of any kernel. */
export type AnyTransition = Transition<KernelState, NoiseKinds>;

/** What to run. */
export interface ChainPlan {
  readonly kernel: AnyTransition;
  readonly chains: number;
  readonly density: Pick<Density, "sites" | "isUnconstrained" | "constrain" | "draw">;
  readonly targetAt: StepSpec["targetAt"];
  readonly temperature: number;
  /** Steps before the kept ones, and of those the first that are a burn-in. */
  readonly warmup: number;
  readonly burnIn: number;
  /** Acceptance that warm-up adapts the step size to; without, the step size stays. */
  readonly targetAcceptance: number | undefined;
  /** Steps kept after warm-up, of which every `thin`-th is stored. */
  readonly steps: number;
  readonly thin: number;
  /** Steps of another kernel, one after every so many. */
  readonly jumps: { readonly every: number; readonly kernel: AnyTransition } | undefined;
  /** Steps done in earlier runs: steps are counted on from there. */
  readonly first: number;
}

/** A run in progress. */
export interface Run {
  readonly problem: Problem;
  readonly plan: ChainPlan;
  /** The first step after burn-in, the first that is kept, and the end. */
  readonly bounds: { readonly warm: number; readonly kept: number; readonly end: number };
  /** Key of a step. */
  keyAt(t: number): Key;
  /** Steppers of a kernel from the chains' state; `key` is that of the first step. */
  makeSteppers(kernel: AnyTransition, from: Stored, key: Key, use: Omit<SteppersUse, "total">): Promise<Steppers>;
  /** Runs steps and the jumps that are due between them, and reports progress. `after` gives the state to continue from. */
  advance(
    steppers: Steppers,
    from: Stored,
    range: Pick<StepRange, "from" | "to" | "maxStepsPerCall">,
    after?: (block: Block, at: number) => ArrayState,
  ): Promise<Stored>;
  /** Acceptance of the jumps among the kept steps: its sum, and how many there were. */
  readonly jumped: { readonly sum: number; readonly count: number };
  dispose(): void;
}

/** Begins a run of chains whose kernel has a state of these shapes. */
export function beginRun(problem: Problem, plan: ChainPlan, shapes: Stored["shapes"]): Run {
  const { chains, density, targetAt, jumps, first, warmup, steps } = plan;
  const [warm, kept, end] = [first + plan.burnIn, first + warmup, first + warmup + steps];
  const made: Steppers[] = [];
  const jumped = { sum: 0, count: 0 };
  const keysOf = (name: string) => (t: number) => fold(fold(problem.key, name), t);
  const [keyAt, jumpKeyAt] = [keysOf("step"), keysOf("jump")];
  let jumpSteppers: Steppers | undefined;

  const makeSteppers: Run["makeSteppers"] = async (kernel, { state, shapes }, key, use) => {
    const drawPrior = (key: Key) => density.draw(key, chains);
    const spec = { transition: kernel, sites: density.sites, chains, shapes, targetAt, drawPrior };
    const steppers = await steppersFor(problem, spec, { state, key }, { total: warmup + steps, ...use });
    made.push(steppers);
    return steppers;
  };

  /** The state before step `t`, after the jump that is due there. */
  const jump = async (state: ArrayState, t: number): Promise<ArrayState> => {
    if (jumps === undefined || t % jumps.every !== 0) return state;
    jumpSteppers ??= await makeSteppers(jumps.kernel, { state, shapes }, jumpKeyAt(t - 1), {
      steps: Math.ceil((end - first) / jumps.every),
      collect: false,
    });
    const range = { from: t - 1, to: t, keyAt: jumpKeyAt };
    const next = await makeSteps(jumpSteppers, state, range, (block) => {
      if (t > kept) {
        jumped.sum += block.acceptance(0);
        jumped.count++;
      }
      return block.state;
    });
    // Entries that a warm-up adds to the kernel's state stay.
    return { ...state, ...next };
  };

  return {
    problem,
    plan,
    bounds: { warm, kept, end },
    keyAt,
    makeSteppers,
    jumped,
    async advance(steppers, from, range, after = (block) => block.state) {
      const all = { ...range, keyAt, ...(jumps && { every: jumps.every }) };
      const state = await makeSteps(steppers, from.state, all, async (block, at) => {
        const t = at + block.count;
        let mean = 0;
        for (let i = 0; i < block.count; i++) mean += block.acceptance(i) / block.count;
        const next = await jump(after(block, at), t);
        const metrics = { acceptance: mean, stepSize: next.eta?.[0] as number };
        await problem.tick({ step: t - first, total: warmup + steps, metrics });
        return next;
      });
      return { ...from, state };
    },
    dispose() {
      for (const { compiled } of made) compiled?.dispose();
    },
  };
}
