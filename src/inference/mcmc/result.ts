/** What Langevin chains give: draws by site, and whether to trust them. */
import { type NdArray, ndarray } from "../../core/array.ts";
import { yieldToEventLoop } from "../../core/event-loop.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import type { Tree } from "../../core/tree.ts";
import type { EngineInfo } from "../../engine/engine.ts";
import { diagnoseChains, MIXED_RHAT } from "../diagnostics/chains.ts";
import type { LangevinState } from "./langevin-kernel.ts";
import { type DriftReport, driftWarnings } from "./langevin-marginal.ts";

/** Everything a run needs to go on. Plain data. */
export interface LangevinCheckpoint {
  /** Sites that move, and the shape of their unconstrained positions, `[chains, ...]`. */
  readonly sites: readonly { readonly name: string; readonly shape: Shape }[];
  readonly state: LangevinState;
  /** Steps done so far, warm-up included. */
  readonly step: number;
  readonly stepSize: number;
}

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
export interface LangevinResult<S extends string = string> {
  /** Draws `[chains, kept steps, ...plates, ...event]`. */
  readonly sites: { readonly [N in S]: NdArray };
  readonly diagnostics: { readonly [N in S]: ChainDiagnostics };
  /** Largest rank-normalised split R-hat over all entries of all sites. */
  readonly rhat: number;
  /** Least bulk and tail effective sample sizes over all entries of all sites. */
  readonly bulkEss: number;
  readonly tailEss: number;
  /** Mean acceptance probability after warm-up; 1 for ULA. */
  readonly acceptance: number;
  /** Mean acceptance probability of jumps after warm-up; `undefined` without jumps. */
  readonly jumpAcceptance: number | undefined;
  /** Step size after adaptation. */
  readonly stepSize: number;
  readonly temperature: number;
  /** What the chains followed: the gradient of the model's density, or an estimate, and what they settle in with it. */
  readonly drift: DriftReport;
  /** Proposals after warm-up with a density or gradient that was not finite. */
  readonly nonFinite: number;
  readonly trusted: boolean;
  readonly warnings: readonly string[];
  readonly checkpoint: LangevinCheckpoint;
  readonly engine: EngineInfo;
}

/** Least effective draws, per site entry, in a result to be trusted. */
const FEWEST_EFFECTIVE = 400;

/** What a run adds to its draws. */
export interface LangevinRun
  extends Pick<
    LangevinResult,
    "acceptance" | "jumpAcceptance" | "stepSize" | "nonFinite" | "temperature" | "drift" | "checkpoint" | "engine"
  > {
  readonly adjusted: boolean;
  /** Proposals after warm-up, over all chains. */
  readonly proposals: number;
}

/** Diagnoses chains `[chains, kept steps, ...plates, ...event]`, which for many entries takes seconds. */
export async function langevinResult(
  sites: Tree<NdArray>,
  { adjusted, proposals, ...run }: LangevinRun,
): Promise<LangevinResult> {
  const politely = yieldToEventLoop();
  const diagnostics: Record<string, ChainDiagnostics> = {};
  for (const [name, draws] of Object.entries(sites)) diagnostics[name] = await diagnoseSite(draws, politely);
  const over = (pick: (d: ChainDiagnostics) => NdArray, best: (...xs: number[]) => number) =>
    Object.values(diagnostics).reduce((a, d) => Array.from(pick(d).data).reduce((b, x) => best(b, x), a), best());
  const summary = {
    rhat: over((d) => d.rhat, Math.max),
    bulkEss: over((d) => d.bulkEss, Math.min),
    tailEss: over((d) => d.tailEss, Math.min),
    acceptance: run.acceptance,
    jumpAcceptance: run.jumpAcceptance,
    stepSize: run.stepSize,
    nonFinite: run.nonFinite,
  };
  const warnings = [...warningsOf(summary, adjusted, proposals), ...driftWarnings(run.drift, adjusted)];
  return {
    sites,
    diagnostics,
    ...summary,
    temperature: run.temperature,
    drift: run.drift,
    trusted: warnings.length === 0,
    warnings,
    checkpoint: run.checkpoint,
    engine: run.engine,
  };
}

async function diagnoseSite(
  { data, shape }: NdArray,
  politely: ReturnType<typeof yieldToEventLoop>,
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
    await politely();
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

function warningsOf(
  { rhat, bulkEss, tailEss, nonFinite }: Pick<LangevinResult, "rhat" | "bulkEss" | "tailEss" | "nonFinite">,
  adjusted: boolean,
  proposals: number,
): string[] {
  const warnings: string[] = [];
  if (!(rhat < MIXED_RHAT))
    warnings.push(`R-hat is ${rhat.toFixed(3)}, not below ${MIXED_RHAT}: the chains have not mixed; run longer`);
  const least = Math.min(bulkEss, tailEss);
  if (!(least >= FEWEST_EFFECTIVE))
    warnings.push(`the draws are worth only ${Math.round(least)} independent ones (bulk or tail)`);
  if (nonFinite > 0)
    warnings.push(`${nonFinite} of ${proposals} proposals had no finite density or gradient; lower the step size`);
  if (!adjusted)
    warnings.push(
      "unadjusted: the stationary distribution differs from the target by a bias of the order of the step size",
    );
  return warnings;
}
