/** The phases before the kept steps: burn-in from a start far from the posterior, and step-size adaptation. */
import * as tf from "@tensorflow/tfjs-core";
import { fold } from "../../core/key.ts";
import { burnIn, resampleStuckChains, startBurnIn } from "./burn-in.ts";
import type { GradientState } from "./kernel.ts";
import type { Run } from "./run.ts";
import { dimensionOf } from "./sites.ts";
import { adapting, adaptStepSize, endAdapting, type StepSizeState, startAdapting, startStepSize } from "./step-size.ts";
import { mapStored, type Stored } from "./stepper.ts";
import { makeSteps, type Steppers } from "./steppers.ts";

/** The chains after burn-in: stuck chains take the positions of others. */
export async function burnInChains(
  { problem, plan, bounds, keyAt, makeSteppers }: Run,
  start: Stored,
): Promise<Stored> {
  const { temperature, density, first, warmup, steps } = plan;
  const chains = mapStored(start, (state) => startBurnIn(state as GradientState));
  const steppers = await makeSteppers(burnIn(temperature), chains, keyAt(first), {
    steps: plan.burnIn,
    collect: false,
  });
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

/** Warm-up steps from which a separate compiled program pays, which adapts inside; in shorter ones the host adapts between calls. */
const MIN_PROGRAM_STEPS = 256;

/**
 * The chains after warm-up.
 *
 * @param keptSteppers - Run the kept steps, and a warm-up that adapts nothing or is too short for its own program.
 */
export async function warmUp(run: Run, chains: Stored, keptSteppers: Steppers): Promise<Stored> {
  const { kernel, targetAcceptance } = run.plan;
  const { warm, kept } = run.bounds;
  if (warm === kept) return chains;
  const range = { from: warm, to: kept };
  if (targetAcceptance === undefined) return run.advance(keptSteppers, chains, range);
  // Adaptation inside the program needs all chains in one call, without shards.
  if (keptSteppers.compiled?.rounds === 1 && kept - warm >= MIN_PROGRAM_STEPS) {
    const adaptive = mapStored(chains, startAdapting);
    const steppers = await run.makeSteppers(adapting(kernel, targetAcceptance), adaptive, run.keyAt(warm), {
      steps: kept - warm,
      collect: false,
    });
    return mapStored(await run.advance(steppers, adaptive, range), endAdapting);
  }
  let adaptation = mapStored({ state: { eta: chains.state.eta as Float32Array }, shapes: { eta: [] } }, ({ eta }) => ({
    ...startStepSize(eta),
    eta,
  }));
  const end = await run.advance(keptSteppers, chains, { ...range, maxStepsPerCall: 1 }, (block) => {
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
