/**
 * Draws of a tilted model by sampling-importance-resampling, in one of two schemes: each output from proposals of its own, or all outputs
 * from one pool of proposals.
 */
import type { NdArray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fold } from "../../core/key.ts";
import { gumbel } from "../../core/random/draws.ts";
import type { Tree } from "../../core/tree.ts";
import type { Effect } from "../../effects/effects.ts";
import { LARGEST_SHARE, LEAST_ESS } from "../diagnostics/thresholds.ts";
import type { EffectsIn, Method, ResultKind } from "../method/infer.ts";
import { takeRows } from "../problem/site-draws.ts";
import type { EvidenceOf, Sandwich } from "../weights/bound.ts";
import { diagnose, sumWeights } from "../weights/weights.ts";
import { snis } from "./snis.ts";
import type { ResultSites, SnisResult } from "./snis-result.ts";

/** Options of {@link snisOutputs}. */
export interface SnisOutputsOptions {
  /** Proposals for each output with `fresh`, for all of them with `pool`. Default 256, or 256 for each output. */
  readonly proposals?: number;
  /**
   * `fresh` (default): every output is chosen among proposals of its own. Outputs are independent, and each has the distribution of SNIS with that
   * many proposals, which tends to the target.
   * `pool`: all outputs are chosen from the same proposals. Outputs repeat and depend on each other; as many proposals serve all.
   */
  readonly from?: "fresh" | "pool";
}

/** Outputs of resampling, with diagnostics. */
export interface SnisOutputs<E extends Effect = Effect> {
  /** Draws `[m, ...event]` of latent and deterministic sites. */
  readonly sites: { readonly [N in ResultSites<E>]: NdArray };
  /** How they were chosen: `fresh proposals for each output` are independent, those of `one pool` are not. */
  readonly scheme: "fresh proposals for each output" | "one pool";
  readonly outputs: number;
  /** Proposals that each output was chosen from. */
  readonly proposals: number;
  /** Different outputs among all: fewer than `outputs` means copies. */
  readonly distinct: number;
  /** Effective sample size of the proposals of one output, averaged over outputs: near 1, an output is little else than its heaviest proposal. */
  readonly essPerOutput: number;
  /** Diagnostics of all proposals as one sample. */
  readonly essRatio: number;
  readonly largestWeight: number;
  readonly khat: number;
  /** log Z of the tilt (with data, log p(data) + log Z), from all proposals; `undefined` with fewer than 64. */
  readonly evidence: Sandwich<EvidenceOf<E>> | undefined;
  readonly trusted: boolean;
  readonly warnings: readonly string[];
}

export interface SnisOutputsKind extends ResultKind {
  readonly result: SnisOutputs<EffectsIn<this>>;
}

const PROPOSALS = 256;

/**
 * `m` draws by sampling-importance-resampling of a model, for instance `pipe(base, tilt("x", energy))`.
 *
 * @throws `argument` unless m and the proposals are positive integers.
 */
export function snisOutputs(m: number, options: SnisOutputsOptions = {}): Method<SnisOutputsKind, undefined> {
  const { from = "fresh" } = options;
  const proposals = options.proposals ?? (from === "fresh" ? PROPOSALS : PROPOSALS * m);
  for (const [name, value] of Object.entries({ m, proposals })) checkWhole("snisOutputs", name, value);
  const method = snis(from === "fresh" ? m * proposals : proposals);
  return {
    name: "snisOutputs",
    async run(problem) {
      const draws = (await method.run(problem)) as SnisResult;
      const { logWeights, essRatio, largestWeight, khat } = draws;
      const noise = (i: number, n: number) => gumbel(fold(fold(problem.key, "choose"), i), n);
      const rows = new Int32Array(m);
      let ess = 0;
      for (let i = 0; i < m; i++) {
        const first = from === "fresh" ? i * proposals : 0;
        const own = logWeights.data.subarray(first, first + proposals);
        rows[i] = first + gumbelMax(own, noise(i, proposals));
        if (i === 0 || from === "fresh") ess += diagnose(sumWeights(own)).ess;
      }
      const essPerOutput = from === "fresh" ? ess / m : ess;
      const distinct = new Set(rows).size;
      const warnings = [
        ...(essPerOutput < LEAST_ESS.output
          ? [
              `the ${proposals} proposals ${from === "fresh" ? "of an output" : "of the pool"} have an effective sample size of ${essPerOutput.toPrecision(2)}: the weights have collapsed, and outputs are not draws of the tilted model; run chains in (z, ε), or tilt the latent`,
            ]
          : []),
        ...(from === "pool" && largestWeight > LARGEST_SHARE
          ? [`one proposal holds ${Math.round(100 * largestWeight)} % of the pool's weight`]
          : []),
        ...(from === "pool" && distinct < m
          ? [`${m} outputs from one pool are ${distinct} different ones: they are not independent`]
          : []),
      ];
      return {
        sites: Object.fromEntries(
          Object.entries(draws.sites as Tree<NdArray>).map(([name, array]) => [name, takeRows(array, rows)]),
        ),
        scheme: from === "fresh" ? "fresh proposals for each output" : "one pool",
        outputs: m,
        proposals,
        distinct,
        essPerOutput,
        essRatio,
        largestWeight,
        khat,
        evidence: draws.evidence,
        trusted: warnings.length === 0,
        warnings,
      } satisfies SnisOutputs;
    },
  };
}

/** A draw from softmax(logWeights): the index of the largest log-weight plus Gumbel noise. */
function gumbelMax(logWeights: ArrayLike<number>, noise: Float32Array): number {
  let best = 0;
  let top = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < noise.length; i++) {
    const at = (logWeights[i] as number) + (noise[i] as number);
    if (at > top) [best, top] = [i, at];
  }
  return best;
}
