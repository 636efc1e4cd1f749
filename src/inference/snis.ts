/** Self-normalised importance sampling: draw from a proposal, weigh by the model. */
import { type NdArray, ndarray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { scope } from "../core/scope.ts";
import { sizeOf } from "../core/shape.ts";
import type { Effect, Model } from "../effects/effects.ts";
import type { Method, Problem, ResultKind } from "./infer.ts";
import { type Proposal, plan, weighOnce } from "./proposal.ts";
import { drawnSites, drawsOf, zerosLike } from "./site-draws.ts";
import { type SnisResult, snisResult } from "./snis-result.ts";

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
  readonly proposal?: Proposal;
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
  const planned = plan(problem, proposal);
  const size = Math.min(n, chunk ?? planned.atOnce);
  const logWeights = new Float32Array(n);
  const kept = new Map<string, NdArray>();

  for (let first = 0; first < n; first += size) {
    const particles = Math.min(size, n - first);
    const draws = scope(() => {
      const { logWeight, model } = weighOnce(planned, { key: problem.key, particles, first, startImproper });
      logWeights.set(logWeight.dataSync() as Float32Array, first);
      return drawnSites(model).map((site) => [site.name, drawsOf(model, site, particles)] as const);
    });
    for (const [name, { data, shape }] of draws) {
      const each = sizeOf(shape.slice(1));
      const all = kept.get(name) ?? ndarray(zerosLike(data, n * each), [n, ...shape.slice(1)]);
      all.data.set(data, first * each);
      kept.set(name, all);
    }
    await problem.tick({ step: first + particles, total: n, metrics: {} });
  }
  const { normalized, observed } = planned.structure;
  return snisResult(problem, Object.fromEntries(kept), logWeights, planned.params, {
    normalized,
    hasData: observed.length > 0,
  });
}
