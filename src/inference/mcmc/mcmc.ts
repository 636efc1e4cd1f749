/** Chains of any kernel over the sites of a model: `infer(model, mcmc(kernel, options))`. */
import { type NdArray, ndarray } from "../../core/array.ts";
import { checkPositive, checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import { fold } from "../../core/key.ts";
import type { Tree } from "../../core/tree.ts";
import type { Effect } from "../../effects/effects.ts";
import type { LatentsOf, ObservedOf } from "../../effects/sites.ts";
import type { EffectsIn, Method, Problem, ResultKind } from "../method/infer.ts";
import { checkKernel } from "./check-kernel.ts";
import { type Checkpoint, checkpointOf, positionsOf, restore } from "./checkpoint.ts";
import { type ChainRun, runChains } from "./driver.ts";
import { startPositions } from "./initialize.ts";
import type { Kernel, KernelState, NoiseKinds } from "./kernel.ts";
import { type ChainResult, chainResult } from "./result.ts";
import type { ChainPlan } from "./run.ts";
import type { TransitionSpec } from "./runner.ts";
import { chooseSites, type SampledModel } from "./sites.ts";
import { startState } from "./start-state.ts";
import { type Density, densityOf } from "./target.ts";

/** Options of every method that runs chains. */
export interface ChainOptions<S extends string = string> {
  /** Number of chains. Default 64. */
  readonly chains?: number;
  /** Steps kept after warm-up, before thinning. Default 1000. */
  readonly steps?: number;
  /** Steps before the kept ones, in which the step size is adapted. Default: half of `steps`. */
  readonly warmup?: number;
  /** Keeps every `thin`-th step. Default 1. */
  readonly thin?: number;
  /** η; where warm-up adapts it, its first value. Default 0.01. */
  readonly stepSize?: number;
  /** The sites to sample: latent ones, or observed ones, whose data are then forgotten. Default: all latent sites. */
  readonly sites?: readonly S[];
  /**
   * Starting values `[chains, ...plates, ...event]` by site. Default: draws of the model's prior, resampled with tempered weights
   * that leave half as many effective draws as chains: overdispersed, but not where the data make every step fail.
   */
  readonly init?: { readonly [N in S]?: NdArray };
  /**
   * Continues an earlier run at its step size, without warm-up. The draws are those of one long run, bit for bit on the same engine;
   * `auto` chooses the engine by the number of steps.
   */
  readonly from?: Checkpoint;
}

/** Options of {@link mcmc}. */
export interface McmcOptions<S extends string = string> extends ChainOptions<S> {
  /** Mean acceptance that warm-up adapts the step size to. Default: none, the step size stays as it is. */
  readonly targetAcceptance?: number;
}

/** Result type of a method that runs chains over sites `S`. */
export interface ChainKind<S extends string> extends ResultKind {
  readonly result: ChainResult<SitesOf<EffectsIn<this>, S>>;
}

/** Names of the sampled sites. */
export type SitesOf<E extends Effect, S extends string> = string extends S
  ? LatentsOf<E>
  : Extract<LatentsOf<E> | ObservedOf<E>, S>;

/** Options with their defaults, checked. */
export interface ChainSettings {
  readonly chains: number;
  readonly steps: number;
  readonly warmup: number;
  readonly thin: number;
  readonly stepSize: number;
  readonly sites: readonly string[] | undefined;
  readonly init: Tree<NdArray | undefined>;
  readonly from: Checkpoint | undefined;
}

/** @throws `argument` on options out of range. */
export function chainSettings(what: string, options: ChainOptions): ChainSettings {
  const { chains = 64, steps = 1000, stepSize = 0.01, thin = 1, sites, init, from } = options;
  const { warmup = from === undefined ? Math.floor(steps / 2) : 0 } = options;
  checkWhole(what, "chains", chains);
  checkWhole(what, "steps", steps);
  checkWhole(what, "warmup", warmup, 0);
  checkWhole(what, "thin", thin);
  if (thin > steps) fail("argument", `${what}: thin ${thin} keeps none of ${steps} steps`);
  checkPositive(what, "stepSize", stepSize);
  if (from !== undefined && init !== undefined)
    fail("argument", `${what}: give init or from, not both: a checkpoint says where its chains are`);
  return { chains, steps, warmup, thin, stepSize, sites, init: init ?? {}, from };
}

/** @throws `argument` unless it is a probability that a step size can be adapted to. */
export function checkAcceptance(what: string, target: number): void {
  checkPositive(what, "targetAcceptance", target);
  if (target >= 1) fail("argument", `${what}: targetAcceptance must lie between 0 and 1, got ${target}`);
}

/** What a method adds to the settings. */
export interface ChainSetup extends Pick<ChainPlan, "temperature" | "targetAcceptance" | "jumps"> {
  /** Name of the method, for messages. */
  readonly what: string;
  readonly kernel: Kernel;
  readonly density: Density;
  readonly targetAt: TransitionSpec["targetAt"];
  /** Steps of burn-in where the start may be far from the posterior. */
  readonly burnIn: number;
}

/** Runs chains of a model from their start to their draws. */
export async function sampleChains(
  problem: Problem,
  { model }: SampledModel,
  setup: ChainSetup,
  settings: ChainSettings,
): Promise<{ readonly run: ChainRun; readonly sites: Tree<NdArray>; readonly checkpoint: Checkpoint }> {
  const { what, kernel, density, targetAt, burnIn, ...how } = setup;
  const { chains, steps, warmup, thin, stepSize, init, from } = settings;
  const initial =
    from === undefined
      ? await startPositions(what, { ...problem, model }, density, chains, init)
      : { needsBurnIn: false, x: positionsOf(from, setup, chains) };
  const target = targetAt(fold(problem.key, "first"));
  const burnInSteps = initial.needsBurnIn ? Math.min(burnIn, warmup) : 0;
  const fresh = startState(what, kernel, target, { x: initial.x, chains, stepSize, bounded: burnInSteps > 0 });
  const start = from === undefined ? fresh : restore(what, from, fresh.shapes);
  const first = from?.step ?? 0;
  const plan: ChainPlan = {
    ...how,
    kernel,
    chains,
    density,
    targetAt,
    warmup,
    burnIn: burnInSteps,
    steps,
    thin,
    first,
  };
  const run = await runChains(problem, plan, start);
  const kept = Math.floor(steps / thin);
  const arrays = density.sites.map(
    ({ name, shape }, s) => [name, ndarray(run.draws[s] as Float32Array, [chains, kept, ...shape])] as const,
  );
  const checkpoint = checkpointOf(kernel.name, density.sites, chains, run.end, first + warmup + steps);
  return { run, sites: Object.fromEntries(arrays), checkpoint };
}

/**
 * Chains of a kernel over chosen sites of a model: a sampler of your own is a {@link Kernel}, two pure functions.
 *
 * @remarks Constrained sites are sampled in unconstrained coordinates, by their bijections. Every latent site is sampled: condition those
 * that should stay fixed.
 * @example const chains = await infer(model, mcmc(mala(), { targetAcceptance: 0.574 }), { seed: 1 });
 * @throws `missing-site` for a site the model lacks, or a latent site that `sites` leaves out; `not-differentiable` for a discrete one;
 *   `non-finite` when a chain starts at zero density; `argument` on options out of range.
 */
export function mcmc<S extends KernelState, N extends NoiseKinds, const Sites extends string = string>(
  kernel: Kernel<S, N>,
  options: McmcOptions<Sites> = {},
): Method<ChainKind<Sites>, undefined> {
  checkKernel(kernel);
  const { name } = kernel;
  const { targetAcceptance } = options;
  const settings = chainSettings(name, options);
  if (targetAcceptance !== undefined) checkAcceptance(name, targetAcceptance);
  return {
    name,
    async run(problem) {
      const sampled = chooseSites(name, problem, settings.sites);
      const density = densityOf(name, problem, sampled);
      const setup: ChainSetup = {
        what: name,
        kernel,
        density,
        targetAt: () => density.target,
        temperature: 1,
        targetAcceptance,
        burnIn: 0,
        jumps: undefined,
      };
      const { run, sites, checkpoint } = await sampleChains(problem, sampled, setup, settings);
      return chainResult(sites, {
        acceptance: run.acceptance,
        stepSize: checkpoint.stepSize,
        nonFinite: run.nonFinite,
        unadjusted: run.unadjusted,
        checkpoint,
        engine: { ...problem.engine, compiled: run.compiled },
        proposals: settings.steps * settings.chains,
        warnings: [],
      });
    },
  };
}
