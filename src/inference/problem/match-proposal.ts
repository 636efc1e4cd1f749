/** A model and its proposal, for importance sampling: any program that draws some of the model's latent sites, or none at all. */
import { fail } from "../../core/errors.ts";
import { sizeOf } from "../../core/shape.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel, type ModelInfo } from "./inspect-model.ts";
import { type ModelAndGuide, modelAndGuide } from "./model-and-guide.ts";

/** Latent sites that the proposal lacks come from the prior; without a proposal all do. */
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

/** Numbers that one run may hold in one site. */
const RUN_NUMBERS = 1 << 18;
/** Least particles of a run. */
const LEAST_PARTICLES = 64;

/** Particles that one run of a model may hold. */
export const particlesAtOnce = ({ sites }: ModelInfo): number => {
  const largest = Math.max(1, ...sites.map((site) => sizeOf(site.shape)));
  return Math.max(LEAST_PARTICLES, Math.floor(RUN_NUMBERS / largest));
};
