/** Self-normalised importance sampling: draws of a proposal, weighted by the model. */
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import type { Effect, Model } from "../../effects/effects.ts";
import type { EffectsIn, Method, Problem, ResultKind } from "../method/infer.ts";
import { matchProposal, type Proposal, particlesAtOnce } from "../problem/match-proposal.ts";
import { weightedDraws } from "../problem/weighted-draws.ts";
import { type ResultSites, type SnisResult, snisResult } from "./snis-result.ts";
import { snisRows } from "./snis-rows.ts";
import type { SnisRowsResult } from "./snis-rows-result.ts";
import { compiledChunk, weigherFor } from "./weigher.ts";

export interface SnisKind extends ResultKind {
  readonly result: SnisResult<EffectsIn<this>>;
}

/** Which draws a result keeps: those of these sites, of none, or (`undefined`) of all. */
export type Keep = readonly string[] | false | undefined;

/** Names of the sites whose draws are kept. */
export type KeptBy<E extends Effect, K extends Keep> = K extends false
  ? never
  : K extends readonly (infer N extends string)[]
    ? string extends ResultSites<E>
      ? N
      : Extract<ResultSites<E>, N>
    : ResultSites<E>;

export interface SnisRowsKind<K extends Keep> extends ResultKind {
  readonly result: SnisRowsResult<EffectsIn<this>, KeptBy<EffectsIn<this>, K>>;
}

/** Options of {@link snis}. */
export interface SnisOptions<Args extends readonly unknown[] = readonly unknown[], G extends Effect = Effect> {
  /**
   * Where latents are drawn from: a guide or any model with the same arguments; its parameters come through `infer`'s `params`.
   * Latent sites it lacks are drawn from the prior. Default: the prior.
   */
  readonly proposal?: Model<Args, G, unknown>;
  /** Particles in one run of the model, which bounds memory. Default 262,144 divided by the size of the largest site, at least 64. */
  readonly chunk?: number;
  /** `together` (default): one weight for each draw of all rows. See {@link SnisRowsOptions} for `each`. */
  readonly rows?: "together";
}

/** Options of {@link snis} for models whose rows are independent. */
export interface SnisRowsOptions<
  Args extends readonly unknown[] = readonly unknown[],
  G extends Effect = Effect,
  K extends Keep = Keep,
> extends Omit<SnisOptions<Args, G>, "rows"> {
  /**
   * `each`: every row of the outermost plate, which must enclose every site, has weights of its own. With one weight for all rows
   * the effective sample size falls exponentially in their number; with weights for each row it does not fall.
   *
   * @remarks A plate that the model subsamples runs in blocks of that many rows.
   */
  readonly rows: "each";
  /** Sites whose draws are kept in the result; `false` for none. Means, variances and `resamples` never need them. Default: all. */
  readonly keep?: K;
  /** Unweighted draws of each row's posterior, taken during the run, of all sites, independent given the draws. Default 0. */
  readonly resamples?: number;
}

/**
 * Self-normalised importance sampling with `n` draws.
 *
 * Weights are w = p(z, data)/q(z), so that Σ w h(z)/Σ w estimates E[h(z) | data] with bias −(1/n)E_q[w̄²(h − μ)] and variance
 * (1/n)E_q[w̄²(h − μ)²], and log mean w estimates the log-evidence from below.
 *
 * @remarks Draws of the prior cancel in the weight and are not scored. The first n of 2n draws are the same.
 * @example
 * const posterior = await infer(coin, snis(1000), { args: [7], seed: 1 });
 * @throws `argument` unless n is a positive integer; `extra-site` when the proposal has a latent site that the model lacks.
 */
export function snis<
  Args extends readonly unknown[] = readonly never[],
  G extends Effect = never,
  const K extends Keep = undefined,
>(n: number, options: SnisRowsOptions<Args, G, K>): Method<SnisRowsKind<K>, undefined>;
export function snis<Args extends readonly unknown[] = readonly never[], G extends Effect = never>(
  n: number,
  options?: SnisOptions<Args, G>,
): Method<SnisKind, undefined>;
export function snis<Args extends readonly unknown[], G extends Effect>(
  n: number,
  options: SnisOptions<Args, G> | SnisRowsOptions<Args, G> = {},
): Method<ResultKind, undefined> {
  const { chunk, rows = "together" } = options;
  const { keep, resamples = 0 } = options as Partial<SnisRowsOptions>;
  const proposal = options.proposal as Proposal;
  checkWhole("snis", "n", n);
  if (chunk !== undefined) checkWhole("snis", "chunk", chunk);
  if (rows === "together") {
    if (keep !== undefined || resamples !== 0)
      fail("argument", 'snis: keep and resamples are options of rows: "each"; without it all draws are kept');
    return { name: "snis", run: (problem) => run(problem, n, { proposal, chunk }) };
  }
  if (rows !== "each") fail("argument", `snis: rows must be "each" or "together", got ${JSON.stringify(rows)}`);
  checkWhole("snis", "resamples", resamples, 0);
  const names = keep === false ? [] : keep;
  return {
    name: "snis",
    run: (problem) => snisRows(problem, { n, proposal, chunk, keep: names, resamples }),
  };
}

interface Settings {
  readonly proposal?: Proposal;
  readonly chunk?: number | undefined;
}

async function run(problem: Problem, n: number, { proposal, chunk }: Settings): Promise<SnisResult> {
  const pair = matchProposal(problem, proposal);
  const part = Math.min(n, chunk ?? compiledChunk(pair));
  const start = { key: problem.key, particles: part, first: 0, rowPlates: [] };
  const weigher = await weigherFor(pair, problem.choice, {
    particles: part,
    count: Math.floor(n / part),
    first: start,
  });
  const size = weigher.info.used ? part : Math.min(n, chunk ?? particlesAtOnce(pair.modelInfo));
  const { sites, logWeights } = await weightedDraws(problem, weigher, n, size, start).finally(() => weigher.dispose());
  const { normalized, observed } = pair.modelInfo;
  return snisResult(
    { ...problem, engine: { ...problem.engine, compiled: weigher.info } },
    sites,
    logWeights,
    pair.params,
    {
      normalized,
      hasData: observed.length > 0,
    },
  );
}
