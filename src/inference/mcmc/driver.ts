/**
 * The driver of chains: it owns what is the same for every kernel. Burn-in and warm-up (`warm-up.ts`), then the steps that are kept; how
 * they are made is `steppers.ts`.
 */
import { sizeOf } from "../../core/shape.ts";
import type { CompileInfo } from "../../engine/info.ts";
import type { Problem } from "../method/infer.ts";
import { beginRun, type ChainPlan, type Run } from "./run.ts";
import type { Block, Stored } from "./stepper.ts";
import type { Steppers } from "./steppers.ts";
import { burnInChains, warmUp } from "./warm-up.ts";

/** What a run gave. */
export interface ChainRun {
  /** Draws by site, `[chains, kept, ...]`, in the order of the sites. */
  readonly draws: readonly Float32Array[];
  /** Where the chains are. */
  readonly end: Stored;
  /** Mean acceptance probability after warm-up, of steps and of jumps. */
  readonly acceptance: number;
  readonly jumpAcceptance: number | undefined;
  /** Proposals after warm-up that were not finite. */
  readonly nonFinite: number;
  readonly compiled: CompileInfo;
}

/** Runs chains from where they start. */
export async function runChains(problem: Problem, plan: ChainPlan, start: Stored): Promise<ChainRun> {
  const run = beginRun(problem, plan, start.shapes);
  const { kernel, warmup, steps, targetAcceptance } = plan;
  try {
    const begun = plan.burnIn > 0 ? await burnInChains(run, start) : start;
    const alike = targetAcceptance === undefined ? warmup + steps : steps;
    const usual = await run.make(kernel, begun, run.keyAt(run.bounds.warm), { steps: alike, collect: true });
    return await keepSteps(run, await warmUp(run, begun, usual), usual);
  } finally {
    run.dispose();
  }
}

async function keepSteps(run: Run, from: Stored, usual: Steppers): Promise<ChainRun> {
  const { kept, end } = run.bounds;
  const draws = collectDraws(run.plan);
  let [accepted, nonFinite] = [0, 0];
  const last = await run.advance(usual, from, { from: kept, to: end }, (block, at) => {
    for (let i = 0; i < block.count; i++) {
      accepted += block.acceptance(i);
      nonFinite += block.nonFinite(i);
    }
    draws.add(block, at - kept);
    return block.state;
  });
  const { sum, count } = run.jumped;
  return {
    draws: draws.all,
    end: last,
    acceptance: accepted / (end - kept),
    jumpAcceptance: count === 0 ? undefined : sum / count,
    nonFinite,
    compiled: usual.info,
  };
}

/** Numbers of a chain up to which a loop copies them faster than a call. */
const SHORT = 256;

/** Draws of every site, filled block by block. */
function collectDraws({ density, chains, steps, thin }: ChainPlan) {
  const kept = Math.floor(steps / thin);
  const sizes = density.sites.map(({ shape }) => sizeOf(shape));
  const all = sizes.map((size) => new Float32Array(chains * kept * size));
  /** Puts values `[steps, chains, size]` of kept steps into draws `[chains, kept, size]`, step `i` to place `at + i`. */
  const put = (draws: Float32Array, values: Float32Array, size: number, at: number) => {
    for (let i = 0, from = 0; i * chains * size < values.length; i++) {
      for (let c = 0; c < chains; c++, from += size) {
        const to = (c * kept + at + i) * size;
        if (size > SHORT) draws.set(values.subarray(from, from + size), to);
        else for (let j = 0; j < size; j++) draws[to + j] = values[from + j] as number;
      }
    }
  };
  return {
    all,
    /** Takes what is kept of a block that begins at kept step `at`. */
    add(block: Block, at: number) {
      const taken = Array.from({ length: block.count }, (_, i) => i).filter((i) => (at + i + 1) % thin === 0);
      if (taken.length === 0) return;
      const place = (i: number) => (at + i + 1) / thin - 1;
      // Values that are worked out are worked out for all steps at once.
      const runs = density.direct
        ? taken.map((i) => ({ x: block.x(i), at: place(i) }))
        : [{ x: join(taken.map(block.x)), at: place(taken[0] as number) }];
      for (const run of runs)
        density.constrain(run.x).forEach((values, s) => {
          put(all[s] as Float32Array, values, sizes[s] as number, run.at);
        });
    },
  };
}

/** One array after another. */
function join(arrays: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(arrays.reduce((n, { length }) => n + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}
