/** Langevin dynamics over chosen sites of a model, latent or data, all chains in one batch. */
import { type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { normal, uniform } from "../../core/random/draws.ts";
import { sizeOf } from "../../core/shape.ts";
import type { Tree } from "../../core/tree.ts";
import type { LatentsOf, ObservedOf } from "../../effects/sites.ts";
import type { EffectsIn, Method, Problem, ResultKind } from "../method/infer.ts";
import { gatherLost, startApproach, stepApproach } from "./burn-in.ts";
import { checkCheckpoint, placesOf } from "./checkpoint.ts";
import { compileKernel } from "./compiled-density.ts";
import {
  acceptLangevin,
  evaluateLangevin,
  initLangevin,
  jumpLangevin,
  type LangevinKernel,
  type LangevinNoise,
  proposeLangevin,
} from "./langevin-kernel.ts";
import { type Drift, integrated, marginalKernel } from "./langevin-marginal.ts";
import { type LangevinCheckpoint, type LangevinResult, langevinResult } from "./result.ts";
import { adaptStepSize, type StepSizeState, startStepSize } from "./step-size.ts";
import { densityOf, freed, type SampledSite, sampledSites } from "./target.ts";

/** Options of {@link langevin}. */
export interface LangevinOptions<S extends string = string> {
  /** Number of chains, run side by side. Default 64. */
  readonly chains?: number;
  /** Steps kept after warm-up, before thinning. Default 1000. */
  readonly steps?: number;
  /** η: the drift of one step is η∇log p, its noise √(2ηT). In warm-up of MALA it is where the adaptation starts. Default 0.01. */
  readonly stepSize?: number;
  /** T: chains settle in p^{1/T}. Default 1, the model itself. */
  readonly temperature?: number;
  /** Accept or reject (MALA, exact). Default true; false is ULA, whose bias falls with the step size. */
  readonly adjusted?: boolean;
  /** The sites that move: latent ones, or observed ones, which then forget their data. Default: all latent sites. */
  readonly sites?: readonly S[];
  /** Steps before the kept ones; MALA adapts its step size in them. Default: half of `steps`. */
  readonly warmup?: number;
  /** Keeps every `thin`-th step. Default 1. */
  readonly thin?: number;
  /** Acceptance that warm-up aims at. Default .574, optimal in high dimension (Roberts & Rosenthal 1998). */
  readonly targetAcceptance?: number;
  /**
   * Every so many steps each chain also proposes a fresh draw of the model's own prior, z* ~ p(z), accepted with probability
   * min(1, w(z*)/w(z)), w = p(z, data)/p(z) (independence Metropolis): chains cross between modes that no small step joins. Exact.
   * Default: never.
   */
  readonly jumpEvery?: number;
  /**
   * Starting values `[chains, ...plates, ...event]` by site. Default: draws of the model's prior, resampled by tempered weights
   * that keep half of them apart: overdispersed, but not where the data make every step fail.
   */
  readonly init?: { readonly [N in S]?: NdArray };
  /**
   * An estimate of ∇ log p(x) to follow instead of the model's gradient: the site it names moves alone, and all other latents are
   * integrated out. With `adjusted` the chains are pseudo-marginal and exact; without, the result's `drift` says what they settle in.
   */
  readonly drift?: Drift<S>;
  /** Goes on where an earlier run ended, at its step size: no warm-up, and the same draws as one long run. */
  readonly from?: LangevinCheckpoint;
}

export interface LangevinKind<S extends string> extends ResultKind {
  readonly result: LangevinResult<
    string extends S ? LatentsOf<EffectsIn<this>> : Extract<LatentsOf<EffectsIn<this>> | ObservedOf<EffectsIn<this>>, S>
  >;
}

/**
 * Langevin dynamics x' = x + η∇log p(x) + √(2ηT) ξ over chosen sites, unadjusted or Metropolis-adjusted.
 *
 * @remarks Sites that are constrained move in unconstrained coordinates, by their bijections. Every latent site must move: those that
 * should not are conditioned first.
 * @example
 * const chain = await infer(tilted, langevin({ chains: 64, steps: 1000, stepSize: 0.01, sites: ["z"] }), { seed: 3 });
 * chain.rhat; chain.acceptance;
 * @throws `missing-site` for a site the model lacks, or a latent site that does not move; `not-differentiable` for a discrete one;
 *   `non-finite` when a chain starts at zero density; `argument` on options out of range.
 */
export function langevin<const S extends string = string>(
  options: LangevinOptions<S> = {},
): Method<LangevinKind<S>, undefined> {
  const { chains = 64, steps = 1000, stepSize = 0.01, temperature = 1, thin = 1, jumpEvery, from } = options;
  const {
    adjusted = true,
    warmup = from === undefined ? Math.floor(steps / 2) : 0,
    targetAcceptance = 0.574,
  } = options;
  const whole = (name: string, value: number, least: number) => {
    if (!Number.isInteger(value) || value < least)
      fail("argument", `langevin: ${name} must be a whole number of at least ${least}, got ${value}`);
  };
  whole("chains", chains, 1);
  whole("steps", steps, 1);
  whole("warmup", warmup, 0);
  whole("thin", thin, 1);
  if (jumpEvery !== undefined) whole("jumpEvery", jumpEvery, 1);
  if (thin > steps) fail("argument", `langevin: thin ${thin} keeps none of ${steps} steps`);
  for (const [name, value] of Object.entries({ stepSize, temperature, targetAcceptance })) {
    if (!(value > 0 && Number.isFinite(value))) fail("argument", `langevin: ${name} must be positive, got ${value}`);
  }
  if (targetAcceptance >= 1)
    fail("argument", `langevin: targetAcceptance must lie between 0 and 1, got ${targetAcceptance}`);
  if (from !== undefined && options.init !== undefined)
    fail("argument", "langevin: give init or from, not both: a checkpoint says where its chains are");
  const { drift } = options;
  if (drift !== undefined && jumpEvery !== undefined)
    fail("argument", "langevin: with a drift chains do not jump; leave out jumpEvery");
  const schedule = { chains, steps, stepSize, temperature, thin, adjusted, warmup, targetAcceptance };
  const settings = { ...schedule, jumpEvery, drift, from };
  return { name: "langevin", run: (problem) => run(problem, settings, options.sites, options.init ?? {}) };
}

interface Settings {
  readonly chains: number;
  readonly steps: number;
  readonly stepSize: number;
  readonly temperature: number;
  readonly thin: number;
  readonly adjusted: boolean;
  readonly warmup: number;
  readonly targetAcceptance: number;
  readonly jumpEvery: number | undefined;
  readonly drift: Drift | undefined;
  readonly from: LangevinCheckpoint | undefined;
}

async function run(
  problem: Problem,
  settings: Settings,
  chosen: readonly string[] | undefined,
  init: Tree<NdArray | undefined>,
): Promise<LangevinResult> {
  const { chains, temperature, adjusted, warmup, steps, thin, jumpEvery, drift, from } = settings;
  const { structure, model } = drift === undefined ? freed(problem, chosen) : integrated(problem, drift, chosen);
  const moving = sampledSites(structure, chains);
  if (from !== undefined) checkCheckpoint(from, moving);
  const densityAt = (sites: readonly SampledSite[], count: number) =>
    densityOf(problem, model, structure, sites, count);
  const place = densityAt(moving, chains);
  if (drift !== undefined && problem.choice === "compiled")
    fail("unsupported", 'langevin: a drift that is an estimate runs op by op; leave out engine: "compiled"');
  const how = { temperature, adjusted };
  const shapes = moving.map((m) => m.unconstrained);
  const estimated =
    drift === undefined
      ? undefined
      : marginalKernel(problem, drift, structure, shapes[0] as SampledSite["unconstrained"], how);
  const eager: LangevinKernel = estimated?.kernel ?? { logDensity: place.logDensity, shapes, ...how };
  const start = from === undefined ? await place.start(init) : undefined;
  const at = from?.state.positions ?? start?.positions ?? [];
  // MALA adapts its step size in warm-up, and jumps come between steps.
  const repeated = jumpEvery === undefined ? (adjusted ? steps : warmup + steps) : 0;
  const use = {
    steps: warmup + steps,
    start: at,
    repeated: { steps: repeated, sites: moving.map(({ name }) => name) },
    kernelOf(count: number): LangevinKernel {
      const sites = sampledSites(structure, count);
      return { logDensity: densityAt(sites, count).logDensity, shapes: sites.map((m) => m.unconstrained), ...how };
    },
  };
  const compiled = estimated === undefined ? await compileKernel(eager, problem, use) : undefined;
  const kernel = compiled?.kernel ?? eager;
  let state = from?.state ?? initLangevin(eager, start?.positions ?? [], fold(problem.key, "first"));
  const far =
    drift === undefined && adjusted && start?.far === true
      ? Math.min(APPROACH_STEPS, Math.floor(APPROACH_SHARE * warmup))
      : 0;
  let approach = startApproach(state, Math.sqrt(settings.stepSize));
  let adaptation: StepSizeState = startStepSize(from?.stepSize ?? settings.stepSize);
  let eta = from?.stepSize ?? settings.stepSize;
  const first = from?.step ?? 0;
  const kept = Math.floor(steps / thin);
  const draws = moving.map(({ shape }) => new Float32Array(sizeOf(shape) * kept));
  let accepted = 0;
  let jumped = 0;
  let jumps = 0;
  let nonFinite = 0;
  const total = warmup + steps;
  const keyAt = (t: number) => fold(fold(problem.key, "step"), first + t);
  const keep = (t: number, mean: number, bad: number, positions: () => readonly Float32Array[]) => {
    accepted += mean;
    nonFinite += bad;
    const at = t - warmup + 1;
    if (at % thin !== 0) return;
    place.constrain(positions()).forEach((value, s) => {
      store(draws[s] as Float32Array, value, chains, kept, at / thin - 1);
    });
  };
  /** Steps that a block which begins at step `t` has, of so many at most; warm-up and the kept steps do not share one. */
  const blockAt = (t: number, length: number) => Math.min(length, (t < warmup ? warmup : total) - t);
  /** Steps before this one are made singly, where a check failed among many and must be found. */
  let single = adjusted ? warmup : 0;

  try {
    for (let t = 0; t < total; t++) {
      if (compiled?.blocks !== undefined && repeated > 0 && t >= single) {
        const { length } = compiled.blocks;
        const count = blockAt(t, length);
        const block = await compiled.blocks.run(state, eta, count, (i) => keyAt(t + i), blockAt(t + count, length));
        if (block === undefined) single = t + count;
        else {
          let mean = 0;
          for (let i = 0; i < count; i++) {
            mean += block.acceptance(i) / count;
            if (t + i >= warmup) keep(t + i, block.acceptance(i), block.nonFinite(i), () => block.positions(i));
          }
          state = block.state;
          t += count - 1;
          await problem.tick({ step: t + 1, total, metrics: { acceptance: mean, stepSize: eta } });
          continue;
        }
      }
      const stepKey = keyAt(t);
      const noise = noiseOf(stepKey, moving);
      if (t < far) {
        approach = stepApproach(kernel, approach, noise.normals);
        state = approach.chains;
        if (t === far - 1) state = gatherLost(kernel, state, fold(problem.key, "gather"));
        await problem.tick({ step: t + 1, total, metrics: {} });
        continue;
      }
      const to = proposeLangevin(kernel, state, eta, noise);
      const proposal = await (kernel.evaluateLater?.(to) ?? evaluateLangevin(kernel, to, stepKey));
      const next = acceptLangevin(kernel, state, eta, noise, proposal);
      state = next.state;
      if (jumpEvery !== undefined && (first + t + 1) % jumpEvery === 0) {
        const key = fold(fold(problem.key, "jump"), first + t);
        const jump = jumpLangevin(kernel, state, place.logPrior, place.draw(key), uniform(fold(key, "accept"), chains));
        state = jump.state;
        if (t >= warmup) {
          jumped += jump.acceptance;
          jumps++;
        }
      }
      const { acceptance } = next.info;
      const mean = acceptance.reduce((a, b) => a + b, 0) / chains;
      if (t >= warmup) keep(t, mean, next.info.nonFinite, () => state.positions);
      else if (adjusted) {
        adaptation = adaptStepSize(adaptation, mean, settings.targetAcceptance);
        eta = Math.exp(t === warmup - 1 ? adaptation.logAverage : adaptation.logStep);
      }
      await problem.tick({ step: t + 1, total, metrics: { acceptance: mean, stepSize: eta } });
    }
  } finally {
    compiled?.dispose();
  }
  const sites = Object.fromEntries(
    moving.map(({ name, shape }, s) => [name, ndarray(draws[s] as Float32Array, [chains, kept, ...shape.slice(1)])]),
  );
  return langevinResult(sites, {
    acceptance: accepted / steps,
    jumpAcceptance: jumps === 0 ? undefined : jumped / jumps,
    stepSize: eta,
    nonFinite,
    temperature,
    drift: estimated?.report() ?? { name: "gradient", target: targetAt(temperature, adjusted) },
    checkpoint: { sites: placesOf(moving), state, step: first + warmup + steps, stepSize: eta },
    engine: {
      ...problem.engine,
      compiled: compiled?.info ?? { used: false, reason: "a drift that is an estimate runs op by op" },
    },
    adjusted,
    proposals: steps * chains,
  });
}

/** What chains settle in that follow the model's own gradient. */
const targetAt = (temperature: number, adjusted: boolean): string =>
  `${temperature === 1 ? "the model itself" : `the model's density to the power 1/${temperature}`}${adjusted ? "" : ", up to the step size"}`;

/** Most steps of the way to a posterior that is far from the start, and the largest share of the warm-up. */
const APPROACH_STEPS = 300;
const APPROACH_SHARE = 0.5;

/** Noise of one step: every site has its own key. */
const noiseOf = (key: Key, moving: readonly SampledSite[]): LangevinNoise => ({
  normals: moving.map(({ name, unconstrained }) => normal(fold(key, name), sizeOf(unconstrained))),
  uniforms: uniform(fold(key, "accept"), (moving[0] as SampledSite).unconstrained[0] as number),
});

/** Numbers of a chain up to which a loop copies them faster than a call. */
const SHORT = 256;

/** Puts the values of one step, `[chains, ...]`, into draws `[chains, kept, ...]`. */
function store(draws: Float32Array, values: Float32Array, chains: number, kept: number, at: number): void {
  const size = values.length / chains;
  for (let c = 0; c < chains; c++) {
    const [from, to] = [c * size, (c * kept + at) * size];
    if (size > SHORT) draws.set(values.subarray(from, from + size), to);
    else for (let i = 0; i < size; i++) draws[to + i] = values[from + i] as number;
  }
}
