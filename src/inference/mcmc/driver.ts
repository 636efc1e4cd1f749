/**
 * The driver of chains: what is the same for every kernel. Burn-in and warm-up (`warm-up.ts`), then the steps whose draws are kept;
 * `runners.ts` runs the steps.
 */
import { joinArrays } from "../../core/join.ts";
import { sizeOf } from "../../core/shape.ts";
import type { CompileInfo } from "../../engine/info.ts";
import type { Problem } from "../method/infer.ts";
import { beginRun, type ChainPlan, type Run } from "./run.ts";
import type { Block, Stored } from "./runner.ts";
import type { Runners } from "./runners.ts";
import { burnInChains, warmUp } from "./warm-up.ts";

/** The result of a run. */
export interface ChainRun {
  /** Draws by site, `[chains, kept, ...]`, in the order of the sites. */
  readonly draws: readonly Float32Array[];
  /** The state of the chains at the end. */
  readonly end: Stored;
  /** Mean acceptance probability after warm-up, of steps and of jumps. */
  readonly acceptance: number;
  readonly jumpAcceptance: number | undefined;
  /** Proposals after warm-up that were not finite. */
  readonly nonFinite: number;
  /** Whether the kernel accepts every proposal, so that its stationary distribution is not the target. */
  readonly unadjusted: boolean;
  readonly compiled: CompileInfo;
}

/** Runs chains from where they start. */
export async function runChains(problem: Problem, plan: ChainPlan, start: Stored): Promise<ChainRun> {
  const run = beginRun(problem, plan, start.shapes);
  const { kernel, warmup, steps, targetAcceptance } = plan;
  try {
    const burnedIn = plan.burnIn > 0 ? await burnInChains(run, start) : start;
    const count = targetAcceptance === undefined ? warmup + steps : steps;
    const runners = await run.makeRunners(kernel, burnedIn, run.keyAt(run.bounds.warm), {
      steps: count,
      collect: true,
    });
    return await keepSteps(run, await warmUp(run, burnedIn, runners), runners);
  } finally {
    run.dispose();
  }
}

async function keepSteps(run: Run, from: Stored, runners: Runners): Promise<ChainRun> {
  const { kept, end } = run.bounds;
  const draws = collectDraws(run.plan);
  let [accepted, nonFinite, unadjusted] = [0, 0, false];
  const last = await run.advance(runners, from, { from: kept, to: end }, (block, at) => {
    for (let i = 0; i < block.count; i++) {
      accepted += block.acceptance(i);
      nonFinite += block.nonFinite(i);
    }
    draws.add(block, at - kept);
    unadjusted = block.unadjusted;
  });
  const { sum, count } = run.jumped;
  return {
    draws: draws.all,
    end: last,
    acceptance: accepted / (end - kept),
    jumpAcceptance: count === 0 ? undefined : sum / count,
    nonFinite,
    unadjusted,
    compiled: runners.info,
  };
}

/** Numbers of one chain up to which a loop copies them faster than `set` does. */
const MAX_LOOP_COPY = 256;

/** Draws of every site, filled block by block. */
function collectDraws({ density, chains, steps, thin }: ChainPlan) {
  const stored = Math.floor(steps / thin);
  const sizes = density.sites.map(({ shape }) => sizeOf(shape));
  const all = sizes.map((size) => new Float32Array(chains * stored * size));
  /** Puts values `[steps, chains, size]` into draws `[chains, stored, size]`, step `i` at index `at + i`. */
  const put = (draws: Float32Array, values: Float32Array, size: number, at: number) => {
    for (let i = 0, from = 0; i * chains * size < values.length; i++) {
      for (let c = 0; c < chains; c++, from += size) {
        const to = (c * stored + at + i) * size;
        if (size > MAX_LOOP_COPY) draws.set(values.subarray(from, from + size), to);
        else for (let j = 0; j < size; j++) draws[to + j] = values[from + j] as number;
      }
    }
  };
  return {
    all,
    /** Stores every `thin`-th step of a block that begins at step `at` after warm-up. */
    add(block: Block, at: number) {
      const kept = Array.from({ length: block.count }, (_, i) => i).filter((i) => (at + i + 1) % thin === 0);
      if (kept.length === 0) return;
      const place = (i: number) => (at + i + 1) / thin - 1;
      // Where positions must be mapped to values, one call maps those of all steps.
      const runs = density.isUnconstrained
        ? kept.map((i) => ({ x: block.x(i), at: place(i) }))
        : [{ x: joinArrays(kept.map(block.x), (n) => new Float32Array(n)), at: place(kept[0] as number) }];
      for (const run of runs)
        density.constrain(run.x).forEach((values, s) => {
          put(all[s] as Float32Array, values, sizes[s] as number, run.at);
        });
    },
  };
}
