/** One run of chains: what its phases share. Its runners, the keys of its steps, the jumps between them, and progress. */
import { fold, type Key } from "../../core/key.ts";
import type { Problem } from "../method/infer.ts";
import type { KernelState, NoiseKinds, Transition } from "./kernel.ts";
import type { Block, Stored, TransitionSpec } from "./runner.ts";
import {
  type Jumps,
  jumpIfDue,
  type Runners,
  type RunnersUse,
  runnersFor,
  runSteps,
  type StepRange,
} from "./runners.ts";
import type { Density } from "./target.ts";

/** The transition of any kernel. */
export type AnyTransition = Transition<KernelState, NoiseKinds>;

/** What to run. */
export interface ChainPlan {
  readonly kernel: AnyTransition;
  readonly chains: number;
  readonly density: Pick<Density, "sites" | "isUnconstrained" | "constrain" | "draw">;
  readonly targetAt: TransitionSpec["targetAt"];
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

/** What runners of a run are for. Default of `total`: the steps of the whole run. */
export type RunUse = Omit<RunnersUse, "total"> & Partial<Pick<RunnersUse, "total">>;

/** A run in progress. */
export interface Run {
  readonly problem: Problem;
  readonly plan: ChainPlan;
  /** The first step after burn-in, the first that is kept, and the end. */
  readonly bounds: { readonly warm: number; readonly kept: number; readonly end: number };
  /** Key of a step. */
  keyAt(t: number): Key;
  /** Runners of a kernel from the chains' state; `key` is that of the first step. */
  makeRunners(kernel: AnyTransition, from: Stored, key: Key, use: RunUse): Promise<Runners>;
  /** Runs steps and the jumps that are due between them, and reports progress. `after` sees every block. */
  advance(
    runners: Runners,
    from: Stored,
    range: Pick<StepRange, "from" | "to">,
    after?: (block: Block, at: number) => void,
  ): Promise<Stored>;
  /** Acceptance of the jumps among the kept steps: its sum, and how many there were. */
  readonly jumped: { readonly sum: number; readonly count: number };
  dispose(): void;
}

/** Begins a run of chains whose kernel has a state of these shapes. */
export function beginRun(problem: Problem, plan: ChainPlan, shapes: Stored["shapes"]): Run {
  const { chains, density, targetAt, jumps, first, warmup, steps } = plan;
  const [warm, kept, end] = [first + plan.burnIn, first + warmup, first + warmup + steps];
  const made: Runners[] = [];
  const jumped = { sum: 0, count: 0 };
  const keysOf = (name: string) => (t: number) => fold(fold(problem.key, name), t);
  const keyAt = keysOf("step");
  let jumpRunners: Runners | undefined;

  const makeRunners: Run["makeRunners"] = async (kernel, { state, shapes }, key, use) => {
    const drawPrior = (key: Key) => density.draw(key, chains);
    const spec = { transition: kernel, sites: density.sites, chains, shapes, targetAt, drawPrior };
    const runners = await runnersFor(problem, spec, { state, key }, { total: warmup + steps, ...use });
    made.push(runners);
    return runners;
  };

  const jumping: Jumps | undefined = jumps && {
    every: jumps.every,
    keyAt: keysOf("jump"),
    async runners(state, key) {
      const use = { steps: Math.ceil((end - first) / jumps.every), collect: false };
      jumpRunners ??= await makeRunners(jumps.kernel, { state, shapes }, key, use);
      return jumpRunners;
    },
    note(block, t) {
      if (t <= kept) return;
      jumped.sum += block.acceptance(0);
      jumped.count++;
    },
  };

  return {
    problem,
    plan,
    bounds: { warm, kept, end },
    keyAt,
    makeRunners,
    jumped,
    async advance(runners, from, range, after) {
      const all = { ...range, keyAt, ...(jumps && { every: jumps.every }) };
      const state = await runSteps(runners, from.state, all, async (block, at) => {
        const t = at + block.count;
        let mean = 0;
        for (let i = 0; i < block.count; i++) mean += block.acceptance(i) / block.count;
        after?.(block, at);
        const next = await jumpIfDue(jumping, block.state, t);
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
