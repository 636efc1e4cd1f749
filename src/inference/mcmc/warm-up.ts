/** What comes before the kept steps: a burn-in from a start that is far off, and the adaptation of the step size. */
import * as tf from "@tensorflow/tfjs-core";
import { fold } from "../../core/key.ts";
import { burnIn, resampleStuckChains, startBurnIn } from "./burn-in.ts";
import type { GradientState } from "./kernel.ts";
import type { Run } from "./run.ts";
import { dimensionOf } from "./sites.ts";
import { adapting, adaptStepSize, endAdapting, type StepSizeState, startAdapting, startStepSize } from "./step-size.ts";
import { mapStored, type Stored } from "./stepper.ts";
import { makeSteps, type Steppers } from "./steppers.ts";

/** The chains after a burn-in: those that are stuck take the places of others. */
export async function burnInChains({ problem, plan, bounds, keyAt, make }: Run, start: Stored): Promise<Stored> {
  const { temperature, density, first, warmup, steps } = plan;
  const chains = mapStored(start, (state) => startBurnIn(state as GradientState));
  const steppers = await make(burnIn(temperature), chains, keyAt(first), { steps: plan.burnIn, collect: false });
  const state = await makeSteps(steppers, chains.state, { from: first, to: bounds.warm, keyAt }, async (block, at) => {
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

/** Steps of a warm-up from which it has a program of its own, which adapts inside; in fewer the adaptation comes between calls. */
const WORTH_OWN_PROGRAM = 256;

/**
 * The chains after warm-up.
 *
 * @param usual - Makes the kept steps, and those of a warm-up that adapts nothing or is too short for a program of its own.
 */
export async function warmUp(run: Run, chains: Stored, usual: Steppers): Promise<Stored> {
  const { kernel, targetAcceptance } = run.plan;
  const { warm, kept } = run.bounds;
  if (warm === kept) return chains;
  const range = { from: warm, to: kept };
  if (targetAcceptance === undefined) return run.advance(usual, chains, range);
  // An adaptation inside the program needs all chains in it, which are then no shards.
  if (usual.compiled?.rounds === 1 && kept - warm >= WORTH_OWN_PROGRAM) {
    const begun = mapStored(chains, startAdapting);
    const own = await run.make(adapting(kernel, targetAcceptance), begun, run.keyAt(warm), {
      steps: kept - warm,
      collect: false,
    });
    return mapStored(await run.advance(own, begun, range), endAdapting);
  }
  let adaptation = mapStored({ state: { eta: chains.state.eta as Float32Array }, shapes: { eta: [] } }, ({ eta }) => ({
    ...startStepSize(eta),
    eta,
  }));
  const end = await run.advance(usual, chains, { ...range, most: 1 }, (block) => {
    const mean = block.acceptance(0);
    adaptation = mapStored(adaptation, (state) => {
      const next = adaptStepSize(state as unknown as StepSizeState, tf.scalar(mean), targetAcceptance);
      return { ...next.adaptation, eta: next.eta };
    });
    return { ...block.state, eta: adaptation.state.eta as Float32Array };
  });
  const average = Float32Array.of(Math.exp(adaptation.state.logAverage?.[0] as number));
  return { ...end, state: { ...end.state, eta: average } };
}
