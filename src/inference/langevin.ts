/** Langevin dynamics over chosen sites of a model, latent or data, all chains in one batch. */
import type * as tf from "@tensorflow/tfjs-core";
import { add, sum } from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key } from "../core/key.ts";
import { normal, uniform } from "../core/random/draws.ts";
import { scope } from "../core/scope.ts";
import { type Shape, showShape, sizeOf } from "../core/shape.ts";
import { type TensorTree, type Tree, toTensors } from "../core/tree.ts";
import { logJoint } from "../effects/density.ts";
import { handler } from "../effects/handle.ts";
import { replay } from "../effects/handlers.ts";
import { interpret } from "../effects/interpret.ts";
import { exportSite } from "../effects/predictive.ts";
import type { LatentsOf, ObservedOf } from "../effects/sites.ts";
import type { EngineInfo } from "../engine/engine.ts";
import { bulkEss, MIXED_RHAT, meanMcse, rhat, tailEss } from "./chains.ts";
import { adaptStepSize, type StepSizeState, startStepSize } from "./dual-averaging.ts";
import type { Method, Problem, ResultKind } from "./infer.ts";
import {
  initLangevin,
  jumpLangevin,
  type LangevinKernel,
  type LangevinNoise,
  type LangevinState,
  stepLangevin,
} from "./langevin-kernel.ts";
import { resampleRows } from "./resample.ts";
import { takeRows } from "./site-draws.ts";
import { drawWeighted } from "./snis.ts";
import { probe, type SiteInfo, type Structure } from "./structure.ts";
import { diagnose, normalizeWeights, sumWeights } from "./weights.ts";

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
  /** Goes on where an earlier run ended: no warm-up, and the same draws as one long run. */
  readonly from?: LangevinCheckpoint;
}

/** Everything a run needs to go on. Plain data. */
export interface LangevinCheckpoint {
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
  /** Proposals after warm-up with a density or gradient that was not finite. */
  readonly nonFinite: number;
  readonly trusted: boolean;
  readonly warnings: readonly string[];
  readonly checkpoint: LangevinCheckpoint;
  readonly engine: EngineInfo;
}

interface LangevinKind<S extends string> extends ResultKind {
  readonly result: LangevinResult<
    string extends S ? LatentsOf<this["effects"]> : Extract<LatentsOf<this["effects"]> | ObservedOf<this["effects"]>, S>
  >;
}

/** Least effective draws, per site entry, in a result to be trusted. */
const FEWEST_EFFECTIVE = 400;

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
  const settings = { chains, steps, stepSize, temperature, thin, adjusted, warmup, targetAcceptance, jumpEvery, from };
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
  readonly from: LangevinCheckpoint | undefined;
}

/** A site that moves: its shape for all chains, and the way to unconstrained coordinates. */
interface Moving {
  readonly name: string;
  /** `[chains, ...plates, ...event]`. */
  readonly shape: Shape;
  /** The same in unconstrained coordinates. */
  readonly free: Shape;
  /** Bijections may hold tensors of the run that made them, so they are taken afresh in every run. */
  readonly info: SiteInfo;
}

/** The model with chosen observed sites latent again. */
const freeing = (sites: ReadonlySet<string>) =>
  handler(
    () =>
      function* (effect) {
        if (effect.kind !== "observe" || !sites.has(effect.name)) return yield effect;
        const { kind: _, value: __, observed: ___, ...site } = effect;
        return yield { ...site, kind: "sample" };
      },
  );

async function run(
  problem: Problem,
  settings: Settings,
  chosen: readonly string[] | undefined,
  init: Tree<NdArray | undefined>,
): Promise<LangevinResult> {
  const { chains, temperature, adjusted, warmup, steps, thin, jumpEvery, from } = settings;
  const { structure, model } = freed(problem, chosen);
  const moving = structure.latents.map((info): Moving => {
    if (info.discrete || info.support === undefined) {
      fail("not-differentiable", `langevin: "${info.name}" is discrete; sum it out, condition on it, or use snis`, {
        site: info.name,
      });
    }
    const shape = [chains, ...info.shape];
    return { name: info.name, shape, free: info.support.bijection().unconstrainedShape(shape), info };
  });
  if (moving.length === 0) fail("missing-site", "langevin: the model has no latent site to move");

  const place = densityOf(problem, model, structure, moving, chains);
  const kernel: LangevinKernel = {
    logDensity: place.logDensity,
    shapes: moving.map((m) => m.free),
    temperature,
    adjusted,
  };
  let state = from?.state ?? initLangevin(kernel, await place.start(init));
  let adaptation: StepSizeState = startStepSize(from?.stepSize ?? settings.stepSize);
  let eta = from?.stepSize ?? settings.stepSize;
  const first = from?.step ?? 0;
  const kept = Math.floor(steps / thin);
  const draws = moving.map(({ shape }) => new Float32Array(sizeOf(shape) * kept));
  let accepted = 0;
  let jumped = 0;
  let jumps = 0;
  let nonFinite = 0;

  for (let t = 0; t < warmup + steps; t++) {
    const next = stepLangevin(kernel, state, eta, noiseOf(fold(fold(problem.key, "step"), first + t), moving));
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
    if (t < warmup) {
      if (adjusted) {
        adaptation = adaptStepSize(adaptation, mean, settings.targetAcceptance);
        eta = Math.exp(t === warmup - 1 ? adaptation.logAverage : adaptation.logStep);
      }
    } else {
      accepted += mean;
      nonFinite += next.info.nonFinite;
      const at = t - warmup + 1;
      if (at % thin === 0) {
        const values = place.constrain(state.positions);
        values.forEach((value, s) => {
          store(draws[s] as Float32Array, value, chains, kept, at / thin - 1);
        });
      }
    }
    await problem.tick({ step: t + 1, total: warmup + steps, metrics: { acceptance: mean, stepSize: eta } });
  }
  const sites = Object.fromEntries(
    moving.map(({ name, shape }, s) => [name, ndarray(draws[s] as Float32Array, [chains, kept, ...shape.slice(1)])]),
  );
  const diagnostics = Object.fromEntries(moving.map(({ name }) => [name, diagnoseSite(sites[name] as NdArray)]));
  const over = (pick: (d: ChainDiagnostics) => NdArray, best: (...xs: number[]) => number) =>
    Object.values(diagnostics).reduce((a, d) => Array.from(pick(d).data).reduce((b, x) => best(b, x), a), best());
  const summary = {
    rhat: over((d) => d.rhat, Math.max),
    bulkEss: over((d) => d.bulkEss, Math.min),
    tailEss: over((d) => d.tailEss, Math.min),
    acceptance: accepted / steps,
    jumpAcceptance: jumps === 0 ? undefined : jumped / jumps,
    stepSize: eta,
    nonFinite,
  };
  const warnings = warningsOf(summary, adjusted, steps * chains);
  return {
    sites,
    diagnostics,
    ...summary,
    temperature,
    trusted: warnings.length === 0,
    warnings,
    checkpoint: { state, step: first + warmup + steps, stepSize: eta },
    engine: problem.engine,
  };
}

/** The model as it is to be sampled, and its structure: chosen observed sites forget their data, and nothing else may be latent. */
function freed(problem: Problem, chosen: readonly string[] | undefined) {
  const before = probe(problem);
  const known = new Map(before.sites.map((site) => [site.name, site]));
  const wanted = new Set(chosen ?? before.latents.map((site) => site.name));
  for (const name of wanted) {
    const kind = known.get(name)?.kind;
    if (kind !== "sample" && kind !== "observe") {
      const names = before.sites.map((s) => `"${s.name}"`).join(", ");
      fail("missing-site", `langevin: the model has no site "${name}" that could move; its sites are ${names}`, {
        site: name,
      });
    }
  }
  for (const { name } of before.latents) {
    if (!wanted.has(name)) {
      fail(
        "missing-site",
        `langevin: "${name}" is latent but not among the sites that move; add it, or fix it with condition({ ${name}: ... })`,
        { site: name },
      );
    }
  }
  const model = freeing(wanted)(problem.model);
  const structure = probe(problem, model);
  return { structure, model };
}

/** The density in unconstrained coordinates, and the maps to and from them. */
function densityOf(
  problem: Problem,
  model: Problem["model"],
  structure: Structure,
  moving: readonly Moving[],
  chains: number,
) {
  const common = () => ({
    particles: chains,
    depth: structure.depth,
    params: toTensors(problem.params),
    plates: structure.plates,
  });
  const bijection = ({ info }: Moving) => {
    if (info.support === undefined) return fail("unsupported", `"${info.name}" has no support`);
    return info.support.bijection();
  };
  const constrained = (positions: readonly tf.Tensor[]): TensorTree =>
    Object.fromEntries(moving.map((m, s) => [m.name, bijection(m).forward(positions[s] as tf.Tensor)]));
  return {
    logDensity(positions: readonly tf.Tensor[]): tf.Tensor {
      const latents = constrained(positions);
      const run = interpret(replay({ latents })(model)(...problem.args), common());
      return withLogDets(logJoint(run), positions, latents);
    },
    constrain: (positions: readonly Float32Array[]): Float32Array[] =>
      scope(() => {
        const tensors = positions.map((x, s) => ndarray(x, (moving[s] as Moving).free).tensor());
        const latents = constrained(tensors);
        return moving.map(({ name }) => fromTensor(latents[name] as tf.Tensor).data as Float32Array);
      }),
    /** log of the density of the moving sites under their own distributions, in unconstrained coordinates. */
    logPrior: (positions: readonly Float32Array[]): Float32Array =>
      scope(() => {
        const free = positions.map((x, s) => ndarray(x, (moving[s] as Moving).free).tensor());
        const latents = constrained(free);
        const run = interpret(replay({ latents })(model)(...problem.args), {
          ...common(),
          density: ({ kind }) => kind === "sample",
        });
        return withLogDets(logJoint(run), free, latents).dataSync().slice() as Float32Array;
      }),
    /** Fresh draws of the prior, one for each chain. */
    draw: (key: Key): Float32Array[] => scope(() => positionsOf({}, key)),
    async start(init: Tree<NdArray | undefined>): Promise<Float32Array[]> {
      const given: Tree<NdArray> = Object.fromEntries(
        Object.entries(init).flatMap(([name, value]) =>
          value === undefined ? [] : [[name, checkInit(name, value, moving)]],
        ),
      );
      const complete = moving.every(({ name }) => given[name] !== undefined);
      const drawn = complete ? {} : await temperedStart({ ...problem, model }, chains);
      return scope(() => positionsOf(toTensors({ ...drawn, ...given }), fold(problem.key, "start")));
    },
  };

  /** Unconstrained positions of a run in which some sites have given values and the others are drawn. */
  function positionsOf(latents: TensorTree, key: Key): Float32Array[] {
    const run = interpret(replay({ latents })(model)(...problem.args), {
      ...common(),
      key,
      density: false,
      startImproper: true,
    });
    return moving.map((m) => {
      const site = run.sites.get(m.name);
      if (site === undefined)
        return fail("missing-site", `langevin: "${m.name}" vanished between runs`, { site: m.name });
      return bijection(m).inverse(exportSite(run, site).tensor()).dataSync().slice() as Float32Array;
    });
  }

  function withLogDets(total: tf.Tensor, positions: readonly tf.Tensor[], latents: TensorTree): tf.Tensor {
    return moving.reduce((sumSoFar, m, s) => {
      const logDet = bijection(m).logAbsDet(positions[s] as tf.Tensor, latents[m.name] as tf.Tensor);
      const axes = Array.from({ length: logDet.rank - 1 }, (_, i) => i + 1);
      return add(sumSoFar, axes.length === 0 ? logDet : sum(logDet, axes));
    }, total);
  }
}

/** Prior draws looked at for each chain that starts. */
const CANDIDATES = 16;

/** Draws of the prior, resampled by weights tempered until half as many as there are chains stay effective. */
async function temperedStart(problem: Problem, chains: number): Promise<Tree<NdArray>> {
  const tick = async () => {};
  const candidates = await drawWeighted({ ...problem, key: fold(problem.key, "start"), tick }, CANDIDATES * chains);
  const { data } = candidates.logWeights;
  const tempered = (power: number) => data.map((l) => (l === Number.NEGATIVE_INFINITY ? l : power * l));
  let power = 1;
  while (power > LEAST_POWER && diagnose(sumWeights(tempered(power))).ess < chains / 2) power /= 2;
  const weights = normalizeWeights(tempered(power));
  const rows = resampleRows(weights, chains, "systematic", fold(problem.key, "start rows"));
  return Object.fromEntries(Object.entries(candidates.sites).map(([name, array]) => [name, takeRows(array, rows)]));
}

/** Below this power the weights count for nothing. */
const LEAST_POWER = 1e-6;

function checkInit(name: string, value: NdArray, moving: readonly Moving[]): NdArray {
  const site = moving.find((m) => m.name === name);
  if (site === undefined)
    return fail("extra-site", `langevin: init names "${name}", which does not move`, { site: name });
  if (`${value.shape}` !== `${site.shape}`) {
    fail(
      "shape",
      `langevin: init of "${name}" has shape ${showShape(value.shape)}, expected ${showShape(site.shape)}`,
      { site: name },
    );
  }
  return value;
}

/** Noise of one step: every site has its own key. */
const noiseOf = (key: Key, moving: readonly Moving[]): LangevinNoise => ({
  normals: moving.map(({ name, free }) => normal(fold(key, name), sizeOf(free))),
  uniforms: uniform(fold(key, "accept"), (moving[0] as Moving).free[0] as number),
});

/** Puts the values of one step, `[chains, ...]`, into draws `[chains, kept, ...]`. */
function store(draws: Float32Array, values: Float32Array, chains: number, kept: number, at: number): void {
  const size = values.length / chains;
  for (let c = 0; c < chains; c++) draws.set(values.subarray(c * size, (c + 1) * size), (c * kept + at) * size);
}

function diagnoseSite({ data, shape }: NdArray): ChainDiagnostics {
  const [chains, kept, ...event] = shape as [number, number, ...number[]];
  const size = sizeOf(event);
  const entry = (j: number) =>
    Array.from({ length: chains }, (_, c) =>
      Float64Array.from({ length: kept }, (_, t) => data[(c * kept + t) * size + j] as number),
    );
  const columns = {
    rhat: new Float32Array(size),
    bulkEss: new Float32Array(size),
    tailEss: new Float32Array(size),
    mcse: new Float32Array(size),
    mean: new Float32Array(size),
  };
  for (let j = 0; j < size; j++) {
    const draws = entry(j);
    columns.rhat[j] = rhat(draws);
    columns.bulkEss[j] = bulkEss(draws);
    columns.tailEss[j] = tailEss(draws);
    columns.mcse[j] = meanMcse(draws);
    columns.mean[j] = draws.reduce((s, chain) => s + chain.reduce((a, b) => a + b, 0), 0) / (chains * kept);
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
