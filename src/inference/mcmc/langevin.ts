/** Langevin dynamics over chosen sites of a model, latent or data: which kernels run, and what distribution their chains have. */
import { checkPositive, checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import type { EffectsIn, Method, Problem, ResultKind } from "../method/infer.ts";
import { independence } from "./independence.ts";
import type { Kernel } from "./kernel.ts";
import { mala } from "./mala.ts";
import {
  type ChainOptions,
  type ChainSettings,
  type ChainSetup,
  chainSettings,
  checkAcceptance,
  type SitesOf,
  sampleChains,
} from "./mcmc.ts";
import {
  type Drift,
  type DriftReport,
  driftWarnings,
  estimatedTarget,
  integrateOthers,
  targetsOf,
} from "./pseudo-marginal.ts";
import { type ChainResult, chainResult } from "./result.ts";
import { chooseSites } from "./sites.ts";
import { densityOf } from "./target.ts";
import { ula } from "./ula.ts";

/** Options of {@link langevin}. */
export interface LangevinOptions<S extends string = string> extends ChainOptions<S> {
  /** η: the drift of one step is η∇log p, its noise √(2ηT). Warm-up of MALA adapts it from this value. Default 0.01. */
  readonly stepSize?: number;
  /** T: the stationary distribution is p^{1/T}. Default 1, the model itself. */
  readonly temperature?: number;
  /** Accept or reject (MALA, exact). Default true; false is ULA, whose bias falls with the step size. */
  readonly adjusted?: boolean;
  /** Mean acceptance that warm-up adapts the step size to. Default .574, optimal in high dimension (Roberts & Rosenthal 1998). */
  readonly targetAcceptance?: number;
  /**
   * Every so many steps each chain also proposes a fresh draw of the model's own prior, z* ~ p(z), accepted with probability
   * min(1, w(z*)/w(z)), w = p(z, data)/p(z) (independence Metropolis): chains cross between modes that small steps do not connect. Exact.
   * Default: never.
   */
  readonly jumpEvery?: number;
  /**
   * An estimate of ∇ log p(x) to follow instead of the model's gradient: chains sample the site it names, and all other latents
   * are integrated out. With `adjusted` the chains are pseudo-marginal and exact; without, the result's `drift` names their distribution.
   */
  readonly drift?: Drift<S>;
}

/** Chains of Langevin dynamics. */
export interface LangevinResult<S extends string = string> extends ChainResult<S> {
  /** Mean acceptance probability of jumps after warm-up; `undefined` without jumps. */
  readonly jumpAcceptance: number | undefined;
  readonly temperature: number;
  /** The drift that chains followed, the gradient of the model's density or an estimate, and their stationary distribution. */
  readonly drift: DriftReport;
}

/** Result type of {@link langevin}. */
export interface LangevinKind<S extends string> extends ResultKind {
  readonly result: LangevinResult<SitesOf<EffectsIn<this>, S>>;
}

/**
 * Langevin dynamics x' = x + η∇log p(x) + √(2ηT) ξ over chosen sites, unadjusted or Metropolis-adjusted.
 *
 * @remarks Constrained sites are sampled in unconstrained coordinates, by their bijections. Every latent site is sampled: condition those
 * that should stay fixed.
 * @example
 * const chain = await infer(tilted, langevin({ chains: 64, steps: 1000, stepSize: 0.01, sites: ["z"] }), { seed: 3 });
 * chain.rhat; chain.acceptance;
 * @throws `missing-site` for a site the model lacks, or a latent site that `sites` leaves out; `not-differentiable` for a discrete one;
 *   `non-finite` when a chain starts at zero density; `argument` on options out of range.
 */
export function langevin<const S extends string = string>(
  options: LangevinOptions<S> = {},
): Method<LangevinKind<S>, undefined> {
  const what = "langevin";
  const settings = chainSettings(what, options);
  const { temperature = 1, adjusted = true, targetAcceptance = 0.574, jumpEvery, drift } = options;
  checkPositive(what, "temperature", temperature);
  checkAcceptance(what, targetAcceptance);
  if (jumpEvery !== undefined) checkWhole(what, "jumpEvery", jumpEvery);
  if (drift !== undefined && jumpEvery !== undefined)
    fail("argument", "langevin: with a drift chains do not jump; leave out jumpEvery");
  const dynamics: Dynamics = { temperature, adjusted, targetAcceptance, jumpEvery, drift };
  return { name: what, run: (problem) => run(problem, settings, dynamics) };
}

/** Metropolis-adjusted or not. */
export const langevinKernel = ({ adjusted, temperature }: Pick<Dynamics, "adjusted" | "temperature">): Kernel =>
  adjusted ? mala(temperature) : ula(temperature);

/** What distinguishes Langevin dynamics from other chains. */
interface Dynamics {
  readonly temperature: number;
  readonly adjusted: boolean;
  readonly targetAcceptance: number;
  readonly jumpEvery: number | undefined;
  readonly drift: Drift | undefined;
}

/** Most steps of burn-in where the start may be far from the posterior, and its largest share of the warm-up. */
const BURN_IN_STEPS = 300;
const BURN_IN_SHARE = 0.5;

const OP_BY_OP = "a drift that is an estimate runs op by op";

async function run(problem: Problem, settings: ChainSettings, dynamics: Dynamics): Promise<LangevinResult> {
  const { temperature, adjusted, targetAcceptance, jumpEvery, drift } = dynamics;
  const { chains, warmup, steps } = settings;
  const sampled =
    drift === undefined
      ? chooseSites("langevin", problem, settings.sites)
      : integrateOthers(problem, drift, settings.sites);
  if (drift !== undefined && problem.choice === "compiled")
    fail("unsupported", `langevin: ${OP_BY_OP}; leave out engine: "compiled"`);
  const density = densityOf("langevin", problem, sampled);
  const estimated = drift && estimatedTarget(problem, drift, sampled, density.sites, { chains, temperature, adjusted });
  const setup: ChainSetup = {
    what: "langevin",
    kernel: langevinKernel({ adjusted, temperature }),
    density,
    targetAt: targetsOf(density, estimated),
    temperature,
    targetAcceptance: adjusted ? targetAcceptance : undefined,
    burnIn: adjusted && drift === undefined ? Math.min(BURN_IN_STEPS, Math.floor(BURN_IN_SHARE * warmup)) : 0,
    jumps: jumpEvery === undefined ? undefined : { every: jumpEvery, kernel: independence(temperature) },
  };
  const within = drift === undefined ? problem : { ...problem, choice: "wasm" as const };
  const found = await sampleChains(within, sampled, setup, settings);
  const report = estimated?.report() ?? { name: "gradient" as const, target: stationaryOf(temperature, adjusted) };
  const compiled = drift === undefined ? found.run.compiled : { used: false as const, reason: OP_BY_OP };
  const result = await chainResult(found.sites, {
    acceptance: found.run.acceptance,
    stepSize: found.checkpoint.stepSize,
    nonFinite: found.run.nonFinite,
    checkpoint: found.checkpoint,
    engine: { ...problem.engine, compiled },
    proposals: steps * chains,
    unadjusted: found.run.unadjusted,
    warnings: driftWarnings(report, adjusted),
  });
  return { ...result, jumpAcceptance: found.run.jumpAcceptance, temperature, drift: report };
}

/** The stationary distribution of chains that follow the model's own gradient. */
const stationaryOf = (temperature: number, adjusted: boolean): string =>
  `${temperature === 1 ? "the model itself" : `the model's density to the power 1/${temperature}`}${adjusted ? "" : ", up to the step size"}`;
