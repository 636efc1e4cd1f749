/** log Z of a model that chains have sampled: bounds from fresh draws of the base, and from the chains' draws. */
import { type NdArray, ndarray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key, type Seed, toKey } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { sizeOf } from "../../core/shape.ts";
import { type Tree, toTensors } from "../../core/tree.ts";
import { logJoint } from "../../effects/density.ts";
import type { Effect, Model } from "../../effects/effects.ts";
import { replay } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { scoreOnly, withPlates } from "../../effects/run-handlers.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel, type ModelInfo } from "../problem/inspect-model.ts";
import { type EvidenceOf, evidenceLabel, type Sandwich } from "../weights/bound.ts";
import { logZWithDraws } from "../weights/log-z.ts";
import type { ChainResult } from "./result.ts";

/** Options of {@link chainEvidence}. */
export interface ChainEvidenceOptions {
  readonly seed: Seed | Key;
  /** Unconstrained parameters, as given to the chains. */
  readonly params?: Tree<NdArray>;
  /** Draws of the base, at least 64, and at most so many of the chains'. Default 8192. */
  readonly draws?: number;
}

/** Elements of the largest site in one run of draws. */
const MAX_ELEMENTS = 1 << 19;

/**
 * log Z of a tilted model (with data log p(data) + log Z) from both sides, with the draws of its chains above: {@link logZWithDraws}.
 *
 * @param model - What the chains ran on, without arguments, in the same coordinates.
 * @param chains - The result of `langevin`. The upper side is valid only where its chains have converged.
 * @remarks The lower side is from the base alone and always valid. In many dimensions base draws miss where the tilt has its mass: the gap is then wide.
 * @example
 * const tilted = pipe(net.base, tilt("x", energy), inNoise("x"));
 * const chains = await infer(tilted, langevin({ chains: 64, steps: 1000 }), { params, seed: 1 });
 * const z = chainEvidence(tilted, chains, { params, seed: 2 });
 * const density = tiltedLogDensity(net, energy, z, heldOut, { params, seed: 3 });
 * @throws `argument` with fewer than 64 draws, or when the factors depend on a site that the chains did not sample.
 */
export function chainEvidence<E extends Effect>(
  model: Model<[], E, unknown>,
  chains: Pick<ChainResult, "sites">,
  options: ChainEvidenceOptions,
): Sandwich<EvidenceOf<E>> {
  const { draws = 8192, params = {} } = options;
  checkWhole("chainEvidence", "draws", draws);
  const key = toKey(options.seed);
  const where = { model: model as unknown as Problem["model"], params, key };
  const structure = inspectModel({ ...where, args: [] } as unknown as Problem);
  const known = thinnedDraws(structure, chains.sites as Tree<NdArray>, draws);
  const weights = weightsOf(where, structure, known.count, known.values, "chains");
  if (structure.latents.some(({ name }) => known.values[name] === undefined)) {
    const again = weightsOf(where, structure, known.count, known.values, "others");
    if (again.some((w, i) => w !== weights[i]))
      fail("argument", "chainEvidence: the model's factors depend on a site that the chains do not have");
  }
  const label = evidenceLabel(structure.normalized, structure.observed.length > 0) as EvidenceOf<E>;
  return logZWithDraws(weightsOf(where, structure, draws, {}, "base"), weights, label);
}

/** At most `most` of the chains' draws, equally spaced along the run: all chains at one step, then all at the next. */
function thinnedDraws({ latents }: ModelInfo, sites: Tree<NdArray>, most: number) {
  const [chains = 0, kept = 0] = Object.values(sites)[0]?.shape ?? [];
  const steps = Math.max(1, Math.min(kept, Math.floor(most / Math.max(1, chains))));
  const of = ({ data, shape }: NdArray): NdArray => {
    const event = shape.slice(2);
    const size = sizeOf(event);
    const out = new Float32Array(chains * steps * size);
    for (let s = 0; s < steps; s++)
      for (let c = 0; c < chains; c++) {
        const from = (c * kept + Math.floor(((s + 1) * kept) / steps) - 1) * size;
        out.set(data.subarray(from, from + size), (s * chains + c) * size);
      }
    return ndarray(out, [chains * steps, ...event]);
  };
  const values = latents.flatMap(({ name }) => (sites[name] === undefined ? [] : [[name, of(sites[name])] as const]));
  return { count: chains * steps, values: Object.fromEntries(values) };
}

/** log w = Σ log-probabilities of all but the draws themselves: factors and data. */
function weightsOf(
  { model, params, key }: Pick<Problem, "model" | "params" | "key">,
  { latents, depth, plates }: ModelInfo,
  count: number,
  values: Tree<NdArray>,
  purpose: string,
): Float32Array {
  const largest = Math.max(1, ...latents.map(({ shape }) => sizeOf(shape)));
  const part = Math.max(1, Math.min(count, Math.floor(MAX_ELEMENTS / largest)));
  const out = new Float32Array(count);
  const weighed = scoreOnly(({ kind }) => kind !== "sample")(withPlates(plates)(model));
  for (let first = 0; first < count; first += part) {
    const particles = Math.min(part, count - first);
    const rows = Object.fromEntries(
      Object.entries(values).map(([name, { data, shape }]) => {
        const size = sizeOf(shape.slice(1));
        return [name, ndarray(data.slice(first * size, (first + particles) * size), [particles, ...shape.slice(1)])];
      }),
    );
    scope(() => {
      const run = interpret(replay({ latents: rows })(weighed)(), {
        key: fold(key, purpose),
        particles,
        first,
        depth,
        params: toTensors(params),
      });
      out.set(logJoint(run).dataSync() as Float32Array, first);
    });
  }
  return out;
}
