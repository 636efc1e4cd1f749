/** The result of chains: draws by site, their diagnostics, and whether to trust them. */
import { type NdArray, ndarray } from "../../core/array.ts";
import { yieldToEventLoop } from "../../core/event-loop.ts";
import { sizeOf } from "../../core/shape.ts";
import type { Tree } from "../../core/tree.ts";
import type { EngineInfo } from "../../engine/engine.ts";
import { diagnoseChains, MIXED_RHAT } from "../diagnostics/chains.ts";
import { LEAST_ESS } from "../diagnostics/thresholds.ts";
import type { Checkpoint } from "./checkpoint.ts";

/** Diagnostics of every entry of a site, each of its shape. */
export interface ChainDiagnostics {
  readonly rhat: NdArray;
  readonly bulkEss: NdArray;
  readonly tailEss: NdArray;
  /** Monte Carlo standard error of the mean. */
  readonly mcse: NdArray;
  readonly mean: NdArray;
}

/** Chains of a model's sites. */
export interface ChainResult<S extends string = string> {
  /** Draws `[chains, kept steps, ...plates, ...event]`. */
  readonly sites: { readonly [N in S]: NdArray };
  readonly diagnostics: { readonly [N in S]: ChainDiagnostics };
  /** Largest rank-normalised split R-hat over all entries of all sites. */
  readonly rhat: number;
  /** Least bulk and tail effective sample sizes over all entries of all sites. */
  readonly bulkEss: number;
  readonly tailEss: number;
  /** Mean acceptance probability after warm-up; 1 for a kernel that accepts every proposal. */
  readonly acceptance: number;
  /** Step size after adaptation. */
  readonly stepSize: number;
  /** Proposals after warm-up with a density or gradient that was not finite. */
  readonly nonFinite: number;
  readonly trusted: boolean;
  readonly warnings: readonly string[];
  /** To continue from here, as the option `from`. */
  readonly checkpoint: Checkpoint;
  readonly engine: EngineInfo;
}

/** What a run adds to its draws. */
export interface ChainRunInfo
  extends Pick<ChainResult, "acceptance" | "stepSize" | "nonFinite" | "checkpoint" | "engine"> {
  /** Proposals after warm-up, over all chains. */
  readonly proposals: number;
  /** Whether every proposal was accepted. */
  readonly unadjusted: boolean;
  /** Warnings besides those of the diagnostics. */
  readonly warnings: readonly string[];
}

/** Diagnoses chains `[chains, kept steps, ...plates, ...event]`; with many entries this takes seconds. */
export async function chainResult(
  sites: Tree<NdArray>,
  { proposals, unadjusted, warnings: others, ...run }: ChainRunInfo,
): Promise<ChainResult> {
  const pause = yieldToEventLoop();
  const diagnostics: Record<string, ChainDiagnostics> = {};
  for (const [name, draws] of Object.entries(sites)) diagnostics[name] = await diagnoseSite(draws, pause);
  const over = (pick: (d: ChainDiagnostics) => NdArray, best: (...xs: number[]) => number) =>
    Object.values(diagnostics).reduce((a, d) => Array.from(pick(d).data).reduce((b, x) => best(b, x), a), best());
  const summary = {
    rhat: over((d) => d.rhat, Math.max),
    bulkEss: over((d) => d.bulkEss, Math.min),
    tailEss: over((d) => d.tailEss, Math.min),
    ...run,
  };
  const warnings = [...warningsOf(summary, proposals), ...(unadjusted ? [UNADJUSTED] : []), ...others];
  return { sites, diagnostics, ...summary, trusted: warnings.length === 0, warnings };
}

async function diagnoseSite(
  { data, shape }: NdArray,
  pause: ReturnType<typeof yieldToEventLoop>,
): Promise<ChainDiagnostics> {
  const [chains, kept, ...event] = shape as [number, number, ...number[]];
  const size = sizeOf(event);
  // One buffer for all entries: a run of many would spend its time on new memory.
  const chain = Array.from({ length: chains }, () => new Float64Array(kept));
  const entry = (j: number) => {
    chain.forEach((values, c) => {
      for (let t = 0, at = c * kept * size + j; t < kept; t++, at += size) values[t] = data[at] as number;
    });
    return chain;
  };
  const columns = {
    rhat: new Float32Array(size),
    bulkEss: new Float32Array(size),
    tailEss: new Float32Array(size),
    mcse: new Float32Array(size),
    mean: new Float32Array(size),
  };
  for (let j = 0; j < size; j++) {
    const found = diagnoseChains(entry(j));
    for (const name of Object.keys(columns) as (keyof typeof columns)[]) columns[name][j] = found[name];
    await pause();
  }
  const of = (column: Float32Array) => ndarray(column, event);
  return {
    rhat: of(columns.rhat),
    bulkEss: of(columns.bulkEss),
    tailEss: of(columns.tailEss),
    mcse: of(columns.mcse),
    mean: of(columns.mean),
  };
}

const UNADJUSTED =
  "unadjusted: the stationary distribution differs from the target by a bias of the order of the step size";

/** Mean acceptance below which chains hardly move. */
const LEAST_ACCEPTANCE = 0.01;

function warningsOf(
  summary: Pick<ChainResult, "rhat" | "bulkEss" | "tailEss" | "nonFinite" | "acceptance">,
  proposals: number,
): string[] {
  const { rhat, bulkEss, tailEss, nonFinite, acceptance } = summary;
  const warnings: string[] = [];
  if (!(rhat < MIXED_RHAT))
    warnings.push(`R-hat is ${rhat.toFixed(3)}, not below ${MIXED_RHAT}: the chains have not mixed; run longer`);
  const least = Math.min(bulkEss, tailEss);
  if (!(least >= LEAST_ESS.chains))
    warnings.push(`the effective sample size is only ${Math.round(least)} (bulk or tail)`);
  if (!(acceptance >= LEAST_ACCEPTANCE))
    warnings.push(
      `the mean acceptance is ${acceptance.toPrecision(2)}: hardly a proposal was taken; the step size is wrong, or the target`,
    );
  if (nonFinite > 0)
    warnings.push(`${nonFinite} of ${proposals} proposals had no finite density or gradient; lower the step size`);
  return warnings;
}
