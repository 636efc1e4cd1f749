/** Self-normalised importance sampling: draw from a proposal, weigh by the model. */
import * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key, rootKey, type Seed } from "../core/key.ts";
import { scope } from "../core/scope.ts";
import { sizeOf } from "../core/shape.ts";
import { type TensorTree, type Tree, toTensors } from "../core/tree.ts";
import { scored, sumSites } from "../effects/density.ts";
import type { Effect, Model } from "../effects/effects.ts";
import { replay } from "../effects/handlers.ts";
import { type Execution, interpret, type SiteRecord } from "../effects/interpret.ts";
import { exportSite } from "../effects/predictive.ts";
import type { DeterministicsOf, LatentsOf } from "../effects/sites.ts";
import type { EngineInfo } from "../engine/engine.ts";
import { type Bound, type EvidenceOf, evidenceLabel } from "./bound.ts";
import type { Method, Problem, ResultKind } from "./infer.ts";
import { paretoK, UNRELIABLE_K } from "./pareto.ts";
import { type ResamplingScheme, resampleRows } from "./resample.ts";
import { probe } from "./structure.ts";
import { diagnose, normalizeWeights, sumWeights } from "./weights.ts";

/** A self-normalised mean and its standard error. */
export interface Estimate {
  readonly value: number;
  readonly standardError: number;
}

/** The same for every entry of a site. */
export interface SiteEstimate {
  /** Of the site's shape, `[...plates, ...event]`. */
  readonly value: NdArray;
  readonly standardError: NdArray;
}

type Kept<E extends Effect> = LatentsOf<E> | DeterministicsOf<E>;

/** Weighted draws of a model's latent sites. */
export interface SnisResult<E extends Effect = Effect> {
  /** Draws `[n, ...plates, ...event]` of latent and deterministic sites, as proposed: they count by their weights. */
  readonly sites: { readonly [N in Kept<E>]: NdArray };
  /** log p(z, data) − log q(z) for every draw, `[n]`, not normalised. */
  readonly logWeights: NdArray;
  /** Number of draws. */
  readonly n: number;
  /** Effective sample size, (Σw)²/Σw². */
  readonly ess: number;
  readonly essRatio: number;
  /** Share of all weight that the heaviest draw holds. */
  readonly largestWeight: number;
  /** Pareto shape of the weights: below .5 fine, to .7 usable, above unreliable. */
  readonly khat: number;
  /** log of the mean weight. Its expectation is at most the truth; what it estimates, `of` says. */
  readonly logEvidence: Bound<EvidenceOf<E>>;
  /** Whether diagnostics let the weighted means be trusted; if not, `warnings` say why. */
  readonly trusted: boolean;
  readonly warnings: readonly string[];
  /** Parameters used, unconstrained. */
  readonly params: Tree<NdArray>;
  readonly engine: EngineInfo;
  /** Weights that sum to 1. */
  weights(): Float64Array;
  /** Mean of a scalar site, or of a function of the sites that gives one number for each draw. */
  expectation(of: Kept<E> | ((sites: { readonly [N in Kept<E>]: tf.Tensor }) => tf.Tensor)): Estimate;
  /** Mean of every entry of a site. */
  mean(site: Kept<E>): SiteEstimate;
  /** Variance of every entry of a site, Σ w (z − mean)². */
  variance(site: Kept<E>): NdArray;
  /** `m` even draws of every site, `[m, ...]`, in random order; draws repeat when m is large or weights are uneven. */
  resample(m: number, options?: ResampleOptions): { readonly [N in Kept<E>]: NdArray };
}

/** Options of {@link SnisResult.resample}. */
export interface ResampleOptions {
  /** Default `systematic`. */
  readonly scheme?: ResamplingScheme;
  /** Default: derived from the run's own seed. */
  readonly seed?: Seed | Key;
}

interface SnisKind extends ResultKind {
  readonly result: SnisResult<this["effects"]>;
}

/** Options of {@link snis}. */
export interface SnisOptions<Args extends readonly unknown[] = readonly unknown[], G extends Effect = Effect> {
  /**
   * Where latents are drawn from: a guide or any model with the same arguments; its parameters come through `infer`'s `params`.
   * Latent sites it lacks are drawn from the prior. Default: the prior.
   */
  readonly proposal?: Model<Args, G, unknown>;
  /** Particles per run of the model: bounds memory. Default 65,536 divided by the size of the largest site. */
  readonly chunk?: number;
}

/** Numbers that one chunk may hold in one site. */
const CHUNK_NUMBERS = 1 << 18;
/** Least particles of a chunk. */
const LEAST_CHUNK = 64;
/** Largest share of weight that one draw may hold in a result to be trusted. */
const LARGEST_SHARE = 0.1;
/** Fewest effective draws in a result to be trusted. */
const FEWEST_EFFECTIVE = 50;

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
export function snis<Args extends readonly unknown[] = readonly never[], G extends Effect = never>(
  n: number,
  options: SnisOptions<Args, G> = {},
): Method<SnisKind, undefined> {
  if (!Number.isInteger(n) || n < 1) fail("argument", `snis: n must be a positive integer, got ${n}`);
  const { chunk, proposal } = options;
  if (chunk !== undefined && (!Number.isInteger(chunk) || chunk < 1)) {
    fail("argument", `snis: chunk must be a positive integer, got ${chunk}`);
  }
  return {
    name: "snis",
    run: (problem) => run(problem, n, { proposal: proposal as Problem["model"] | undefined, chunk }),
  };
}

interface Settings {
  readonly proposal?: Problem["model"] | undefined;
  readonly chunk?: number | undefined;
  readonly startImproper?: boolean;
}

/** Weighted draws of the prior, for methods that need places to start from: improper sites too. */
export const drawWeighted = (problem: Problem, n: number): Promise<SnisResult> =>
  run(problem, n, { startImproper: true });

async function run(
  problem: Problem,
  n: number,
  { proposal, chunk, startImproper = false }: Settings,
): Promise<SnisResult> {
  const structure = probe(problem);
  const guide = proposal === undefined ? undefined : probe(problem, proposal);
  const known = new Set(structure.latents.map((site) => site.name));
  for (const { name } of guide?.latents ?? []) {
    if (!known.has(name))
      fail("extra-site", `snis: the proposal draws "${name}", which the model does not have`, { site: name });
  }
  const depth = Math.max(structure.depth, guide?.depth ?? 0);
  const largest = Math.max(1, ...structure.sites.map((site) => sizeOf(site.shape)));
  const size = Math.min(n, chunk ?? Math.max(LEAST_CHUNK, Math.floor(CHUNK_NUMBERS / largest)));
  const logWeights = new Float32Array(n);
  const kept = new Map<string, { data: Float32Array | Int32Array; event: readonly number[] }>();

  for (let first = 0; first < n; first += size) {
    const particles = Math.min(size, n - first);
    const draws = scope(() => {
      const { logWeight, model } = weigh(problem, proposal, { particles, first, depth, startImproper });
      logWeights.set(logWeight.dataSync() as Float32Array, first);
      return [...model.sites.values()].flatMap((site) =>
        (site.kind === "sample" || site.kind === "deterministic") && site.value !== undefined
          ? [{ name: site.name, array: rowsOf(model, site, particles) }]
          : [],
      );
    });
    for (const { name, array } of draws) {
      const event = array.shape.slice(1);
      const each = sizeOf(event);
      let entry = kept.get(name);
      if (entry === undefined) {
        const data = array.dtype === "int32" ? new Int32Array(n * each) : new Float32Array(n * each);
        entry = { data, event };
        kept.set(name, entry);
      }
      entry.data.set(array.data, first * each);
    }
    await problem.tick({ step: first + particles, total: n, metrics: {} });
  }
  const sites = Object.fromEntries([...kept].map(([name, { data, event }]) => [name, ndarray(data, [n, ...event])]));
  return resultOf(
    problem,
    sites,
    logWeights,
    { ...structure.params, ...guide?.params },
    {
      normalized: structure.normalized,
      hasData: structure.observed.length > 0,
    },
  );
}

/** Runs proposal and model once and takes the difference of their log-densities. */
function weigh(
  problem: Problem,
  proposal: Problem["model"] | undefined,
  at: { readonly particles: number; readonly first: number; readonly depth: number; readonly startImproper: boolean },
): { readonly logWeight: tf.Tensor; readonly model: Execution } {
  const params = toTensors(problem.params);
  const common = { ...at, key: problem.key, params };
  if (proposal === undefined) {
    const model = interpret(problem.model(...problem.args), {
      ...common,
      density: ({ kind }) => kind !== "sample",
    });
    return { logWeight: sumSites(model, scored(model)), model };
  }
  const guide = interpret(proposal(...problem.args), common);
  const drawn = new Map([...guide.sites].filter(([, site]) => site.kind === "sample"));
  const latents: TensorTree = Object.fromEntries([...drawn].map(([name, site]) => [name, site.value as tf.Tensor]));
  const model = interpret(replay({ latents })(problem.model)(...problem.args), {
    ...common,
    plates: guide.plates,
    density: ({ kind, name }) => kind !== "sample" || drawn.has(name),
  });
  return { logWeight: tf.sub(sumSites(model, scored(model)), sumSites(guide, scored(guide))), model };
}

/** A site's draws, one row a particle also when all particles share one value. */
function rowsOf(run: Execution, site: SiteRecord, particles: number): NdArray {
  const array = exportSite(run, site);
  if (array.shape[0] === particles && array.shape.length > site.plates.length + site.eventRank) return array;
  const value = site.value as tf.Tensor;
  return fromTensor(tf.broadcastTo(tf.expandDims(value, 0), [particles, ...value.shape]));
}

function resultOf(
  problem: Problem,
  sites: Tree<NdArray>,
  logWeights: Float32Array,
  params: Tree<NdArray>,
  about: { readonly normalized: boolean; readonly hasData: boolean },
): SnisResult {
  const n = logWeights.length;
  const { ess, essRatio, largestWeight, logMean, standardError } = diagnose(sumWeights(logWeights));
  const khat = paretoK(logWeights);
  const warnings = warningsOf(ess, largestWeight, khat);
  let normalized: Float64Array | undefined;
  const weights = () => {
    normalized ??= normalizeWeights(logWeights);
    return normalized;
  };
  const site = (name: string): NdArray =>
    sites[name] ??
    fail(
      "missing-site",
      `snis: there is no site "${name}"; there are ${Object.keys(sites)
        .map((s) => `"${s}"`)
        .join(", ")}`,
    );

  const mean = (name: string): SiteEstimate => {
    const { data, shape } = site(name);
    const event = shape.slice(1);
    const size = sizeOf(event);
    const w = weights();
    const value = new Float64Array(size);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < size; j++)
        value[j] = (value[j] as number) + (w[i] as number) * (data[i * size + j] as number);
    const squares = new Float64Array(size);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < size; j++) {
        const term = (w[i] as number) * ((data[i * size + j] as number) - (value[j] as number));
        squares[j] = (squares[j] as number) + term * term;
      }
    }
    return {
      value: ndarray(Float32Array.from(value), event),
      standardError: ndarray(Float32Array.from(squares, Math.sqrt), event),
    };
  };

  return {
    sites,
    logWeights: ndarray(logWeights, [n]),
    n,
    ess,
    essRatio,
    largestWeight,
    khat,
    logEvidence: {
      value: logMean,
      standardError,
      side: "lower",
      of: evidenceLabel(about.normalized, about.hasData) as EvidenceOf<Effect>,
    },
    trusted: warnings.length === 0,
    warnings,
    params,
    engine: problem.engine,
    weights,
    mean,
    variance(name) {
      const { data, shape } = site(name);
      const event = shape.slice(1);
      const size = sizeOf(event);
      const w = weights();
      const centre = mean(name).value.data;
      const out = new Float64Array(size);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < size; j++) {
          out[j] =
            (out[j] as number) + (w[i] as number) * ((data[i * size + j] as number) - (centre[j] as number)) ** 2;
        }
      }
      return ndarray(Float32Array.from(out), event);
    },
    expectation(of) {
      const h =
        typeof of === "string" ? scalarSite(of, site(of)) : evaluate(sites, of as (s: TensorTree) => tf.Tensor, n);
      const w = weights();
      let value = 0;
      for (let i = 0; i < n; i++) value += (w[i] as number) * (h[i] as number);
      let squares = 0;
      for (let i = 0; i < n; i++) squares += ((w[i] as number) * ((h[i] as number) - value)) ** 2;
      return { value, standardError: Math.sqrt(squares) };
    },
    resample(m, options = {}) {
      const { scheme = "systematic", seed } = options;
      const key = seed === undefined ? fold(problem.key, "resample") : typeof seed === "object" ? seed : rootKey(seed);
      const rows = resampleRows(weights(), m, scheme, key);
      return Object.fromEntries(Object.entries(sites).map(([name, array]) => [name, takeRows(array, rows)]));
    },
  };
}

function warningsOf(ess: number, largestWeight: number, khat: number): string[] {
  if (ess === 0) return ["every weight is zero: no draw is possible under the model"];
  const warnings: string[] = [];
  if (khat > UNRELIABLE_K) {
    warnings.push(
      `Pareto k is ${khat.toFixed(2)}, above ${UNRELIABLE_K}: weighted means are unreliable; use a proposal closer to the target`,
    );
  }
  if (ess < FEWEST_EFFECTIVE) warnings.push(`the draws are worth only ${ess.toFixed(1)} even ones`);
  if (largestWeight > LARGEST_SHARE) {
    warnings.push(`one draw holds ${Math.round(100 * largestWeight)} % of all weight`);
  }
  return warnings;
}

function scalarSite(name: string, { data, shape }: NdArray): ArrayLike<number> {
  if (sizeOf(shape.slice(1)) !== 1) {
    fail(
      "shape",
      `expectation: "${name}" is no scalar; use mean("${name}"), or a function that gives one number for each draw`,
      { site: name },
    );
  }
  return data;
}

/** Rows that a function of the sites is given at once. */
const EVALUATED_ROWS = 1 << 16;

/** One number for each draw, in chunks. */
function evaluate(sites: Tree<NdArray>, of: (sites: TensorTree) => tf.Tensor, n: number): Float64Array {
  const out = new Float64Array(n);
  for (let first = 0; first < n; first += EVALUATED_ROWS) {
    const rows = Math.min(EVALUATED_ROWS, n - first);
    const h = scope(() => {
      const part = Object.fromEntries(
        Object.entries(sites).map(([name, { data, shape }]) => {
          const size = sizeOf(shape.slice(1));
          return [
            name,
            ndarray(data.subarray(first * size, (first + rows) * size), [rows, ...shape.slice(1)]).tensor(),
          ];
        }),
      );
      return of(part).dataSync();
    });
    if (h.length !== rows) fail("shape", `expectation: the function gave ${h.length} numbers for ${rows} draws`);
    out.set(h, first);
  }
  return out;
}

/** Rows of the first axis. */
export function takeRows({ data, shape }: NdArray, rows: Int32Array): NdArray {
  const size = sizeOf(shape.slice(1));
  const out = data instanceof Int32Array ? new Int32Array(rows.length * size) : new Float32Array(rows.length * size);
  rows.forEach((row, i) => {
    out.set(data.subarray(row * size, (row + 1) * size), i * size);
  });
  return ndarray(out, [rows.length, ...shape.slice(1)]);
}
