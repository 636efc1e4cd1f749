/** A model and its proposal, for importance sampling: any program that draws some of the model's latent sites, or none at all. */
import { fail } from "../../core/errors.ts";
import { sizeOf } from "../../core/shape.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel, type ModelInfo } from "./inspect-model.ts";
import { type ModelAndGuide, modelAndGuide } from "./model-and-guide.ts";

/** Draws latent sites; those that it lacks are drawn from the prior, and without a proposal all are. */
export type Proposal = Problem["model"] | undefined;

/** @throws `extra-site` when the proposal has a latent site that the model lacks. */
export function matchProposal(problem: Problem, proposal: Proposal): ModelAndGuide {
  const modelInfo = inspectModel(problem);
  const guideInfo = proposal === undefined ? undefined : inspectModel(problem, proposal);
  const known = new Set(modelInfo.latents.map((site) => site.name));
  for (const { name } of guideInfo?.latents ?? []) {
    if (!known.has(name))
      fail("extra-site", `snis: the proposal draws "${name}", which the model does not have`, { site: name });
  }
  return modelAndGuide(problem, proposal, modelInfo, guideInfo);
}

/** Elements of the largest site in one run. */
const MAX_RUN_ELEMENTS = 1 << 18;
/** Fewest particles in a run. */
const MIN_PARTICLES = 64;

/** Particles in one run of a model, so that memory stays bounded. */
export const particlesAtOnce = ({ sites }: ModelInfo): number => {
  const largest = Math.max(1, ...sites.map((site) => sizeOf(site.shape)));
  return Math.max(MIN_PARTICLES, Math.floor(MAX_RUN_ELEMENTS / largest));
};
