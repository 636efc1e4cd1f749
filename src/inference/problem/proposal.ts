/** A model weighed against its proposal: the checks before, and one run of the two. Importance samplers are loops over it. */
import * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import type { Key } from "../../core/key.ts";
import { sizeOf } from "../../core/shape.ts";
import type { MaybeTraced } from "../../core/tracing.ts";
import { type TensorTree, type Tree, toTensors } from "../../core/tree.ts";
import { scored, sumSites } from "../../effects/density.ts";
import { replay } from "../../effects/handlers.ts";
import { type Execution, interpret } from "../../effects/interpret.ts";
import { scoreOnly, withPlates, withRows } from "../../effects/run-handlers.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel, type Structure } from "./inspect-model.ts";
import type { Subsample } from "./minibatch.ts";

/** Latent sites that the proposal lacks come from the prior; without a proposal all do. */
export type Proposal = Problem["model"] | undefined;

/** What is known before the first draw. */
export interface Plan {
  readonly problem: Problem;
  readonly proposal: Proposal;
  readonly structure: Structure;
  readonly guide: Structure | undefined;
  /** Greatest nesting of plates in either. */
  readonly depth: number;
  /** Unconstrained parameters of both. */
  readonly params: Tree<NdArray>;
  /** Particles that one run may hold. */
  readonly atOnce: number;
}

/** Numbers that one run may hold in one site. */
const RUN_NUMBERS = 1 << 18;
/** Least particles of a run. */
const LEAST_PARTICLES = 64;

/** @throws `extra-site` when the proposal has a latent site that the model lacks. */
export function plan(problem: Problem, proposal: Proposal): Plan {
  const structure = inspectModel(problem);
  const guide = proposal === undefined ? undefined : inspectModel(problem, proposal);
  const known = new Set(structure.latents.map((site) => site.name));
  for (const { name } of guide?.latents ?? []) {
    if (!known.has(name))
      fail("extra-site", `snis: the proposal draws "${name}", which the model does not have`, { site: name });
  }
  const largest = Math.max(1, ...structure.sites.map((site) => sizeOf(site.shape)));
  return {
    problem,
    proposal,
    structure,
    guide,
    depth: Math.max(structure.depth, guide?.depth ?? 0),
    params: { ...structure.params, ...guide?.params },
    atOnce: Math.max(LEAST_PARTICLES, Math.floor(RUN_NUMBERS / largest)),
  };
}

/** Which draws to take. */
export interface WeighOptions {
  readonly key: Key;
  readonly particles: number;
  /** Index of the first of them. */
  readonly first: MaybeTraced;
  /** Outermost plates over which log-weights stay apart; 0 sums them all. */
  readonly apart?: number;
  readonly subsample?: Subsample;
}

/**
 * Runs proposal and model once and takes the difference of their log-densities. Call it inside `scope`.
 *
 * @returns Log-weights `[particles]`, or `[particles, ...plates kept apart]`, and the run of the model.
 * @remarks Draws of the prior cancel in the weight and are not scored.
 */
export function weighOnce(
  { problem, proposal, depth, params }: Plan,
  { apart = 0, subsample, ...at }: WeighOptions,
): { readonly logWeight: tf.Tensor; readonly model: Execution } {
  const common = { ...at, depth, params: toTensors(params) };
  const inRows = (program: Problem["model"]) => (subsample === undefined ? program : withRows(subsample)(program));
  if (proposal === undefined) {
    const likelihood = scoreOnly(({ kind }) => kind !== "sample")(problem.model);
    const model = interpret(inRows(likelihood)(...problem.args), common);
    return { logWeight: sumSites(model, scored(model), apart), model };
  }
  const guide = interpret(inRows(proposal)(...problem.args), common);
  const drawn = new Map([...guide.sites].filter(([, site]) => site.kind === "sample"));
  const latents: TensorTree = Object.fromEntries([...drawn].map(([name, site]) => [name, site.value as tf.Tensor]));
  const drawnOrData = scoreOnly(({ kind, name }) => kind !== "sample" || drawn.has(name));
  const weighed = drawnOrData(replay({ latents })(withPlates(guide.plates)(problem.model)));
  const model = interpret(inRows(weighed)(...problem.args), common);
  return { logWeight: tf.sub(sumSites(model, scored(model), apart), sumSites(guide, scored(guide), apart)), model };
}
