/** Negatives from chains of the tilted model: persistent in a buffer, of which a part is drawn afresh, or new in every step. */
import { checkPositive, checkShare, checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import type { Drift } from "../mcmc/pseudo-marginal.ts";
import { startChains } from "./negative-chains.ts";
import type { Coordinates, Negatives } from "./negatives.ts";

/** Options of {@link chainDraws}. */
export interface ChainDrawsOptions {
  /** Chains in one step: the number of negatives. Default 64. */
  readonly chains?: number;
  /** Langevin steps between two steps of training. Default 10. */
  readonly steps?: number;
  /** η; with `adjusted` it is adapted from this value. Default 0.01. */
  readonly stepSize?: number;
  /** T. Default 1. */
  readonly temperature?: number;
  /** Metropolis. Default true. */
  readonly adjusted?: boolean;
  /** Acceptance that the step size is adapted to while training goes on; only with `adjusted`. Default .574. */
  readonly targetAcceptance?: number;
  /**
   * Persistent chains in the buffer, in multiples of `chains`: every step takes a random batch of them, runs it and puts it back. Default 64.
   * 0: chains start at fresh base draws in every step, which is right only if they are long.
   */
  readonly buffer?: number;
  /** Share of a batch that restarts from the base. Default .05. */
  readonly fresh?: number;
  /**
   * Every so many Langevin steps, each chain proposes a jump to a draw of the base, by Metropolis-Hastings with min(1, e^{E(x) − E(x′)}): exact, and
   * often accepted while the tilt is weak. Default: never. Not together with `drift`.
   */
  readonly jumpEvery?: number;
  /**
   * Coordinates that chains sample in. Default: all latent sites of the base as they are, except that a tilted site that is discrete or an image
   * (64 entries or more) is replaced by its noise, `inNoise("x")`. `(base) => base` keeps even an image as it is.
   */
  readonly coordinates?: Coordinates;
  /**
   * Follows this estimate of ∇ log p(x), for instance `fisherDrift(net)`: chains over x alone, the latent integrated out. p̂(x) is estimated anew in every step
   * of training, so that Metropolis is exact up to its noise. Not together with `coordinates`, nor with a base that trains too.
   */
  readonly drift?: Drift;
}

const BUFFER_BATCHES = 64;
const FRESH = 0.05;

/** Chains of the tilted model, persistent by default (Tieleman 2008; Du & Mordatch 2019). */
export function chainDraws(options: ChainDrawsOptions = {}): Negatives {
  const { chains = 64, steps = 10, stepSize = 0.01, temperature = 1, adjusted = true } = options;
  const { targetAcceptance = 0.574, buffer = BUFFER_BATCHES, fresh = FRESH, coordinates, drift, jumpEvery } = options;
  const what = "chainDraws";
  checkWhole(what, "chains", chains);
  checkWhole(what, "steps", steps);
  checkPositive(what, "stepSize", stepSize);
  checkPositive(what, "temperature", temperature);
  checkWhole(what, "buffer", buffer, 0);
  checkShare(what, "fresh", fresh);
  if (jumpEvery !== undefined) checkWhole(what, "jumpEvery", jumpEvery);
  if (drift !== undefined && jumpEvery !== undefined)
    fail("argument", "chainDraws: with a drift chains do not jump; leave out jumpEvery");
  if (drift !== undefined && coordinates !== undefined)
    fail("argument", `chainDraws: a drift is over "${drift.site}" as it is; leave out coordinates`);
  const schedule = { chains, steps, stepSize, targetAcceptance };
  const suffix = drift === undefined ? "" : `, drift ${drift.name}`;
  return {
    name: buffer === 0 ? `chains(${chains}${suffix})` : `buffer(${buffer} × ${chains}, ${fresh} fresh${suffix})`,
    kind: "unweighted",
    ...(coordinates && { coordinates }),
    ...(drift && { marginalSite: drift.site }),
    start: (setting) => startChains(setting, { ...schedule, temperature, adjusted, buffer, fresh, drift, jumpEvery }),
  };
}
