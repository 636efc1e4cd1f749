/** The phases before the kept steps: burn-in from a start far from the posterior, and step-size adaptation. */
import * as tf from "@tensorflow/tfjs-core";
import { fold } from "../../core/key.ts";
import { burnIn, resampleStuckChains, startBurnIn } from "./burn-in.ts";
import type { GradientState } from "./kernel.ts";
import type { Run } from "./run.ts";
import { mapStored, type Stored } from "./runner.ts";
import { type Runners, runSteps } from "./runners.ts";
import { dimensionOf } from "./sites.ts";
import { adapting, endAdapting, startAdapting } from "./step-size.ts";

/** The chains after burn-in: stuck chains take the positions of others. */
export async function burnInChains({ problem, plan, bounds, keyAt, makeRunners }: Run, start: Stored): Promise<Stored> {
  const { temperature, density, first, warmup, steps } = plan;
  const chains = mapStored(start, (state) => startBurnIn(state as GradientState));
  const runners = await makeRunners(burnIn(temperature), chains, keyAt(first), {
    steps: plan.burnIn,
    collect: false,
  });
  const state = await runSteps(runners, chains.state, { from: first, to: bounds.warm, keyAt }, async (block, at) => {
    await problem.tick({ step: at + block.count - first, total: warmup + steps, metrics: {} });
    return block.state;
  });
  const key = fold(problem.key, "stuck");
  const takes = resampleStuckChains(state.logp as Float32Array, dimensionOf(density.sites), temperature, key);
  return mapStored({ state, shapes: chains.shapes }, ({ scale: _, ...all }) => {
    const rows = tf.tensor1d(takes, "int32");
    return Object.fromEntries(Object.entries(all).map(([name, x]) => [name, x.rank === 0 ? x : tf.gather(x, rows)]));
  });
}

/** A program of the warm-up alone pays from this share of the steps that repay one for a whole run. */
const SHARE = 1 / 4;

/**
 * The chains after warm-up. An adaptation runs inside the steps, and needs all chains in them, without shards.
 *
 * @param keptRunners - Run the kept steps, and a warm-up that adapts nothing.
 */
export async function warmUp(run: Run, chains: Stored, keptRunners: Runners): Promise<Stored> {
  const { kernel, targetAcceptance } = run.plan;
  const { warm, kept } = run.bounds;
  if (warm === kept) return chains;
  const range = { from: warm, to: kept };
  if (targetAcceptance === undefined) return run.advance(keptRunners, chains, range);
  const adaptive = mapStored(chains, startAdapting);
  const steps = kept - warm;
  const total = Math.min(steps / SHARE, run.plan.warmup + run.plan.steps);
  const use = { steps, total, collect: false };
  const runners = await run.makeRunners(adapting(kernel, targetAcceptance), adaptive, run.keyAt(warm), use);
  return mapStored(await run.advance(runners, adaptive, range), endAdapting);
}
