/** A model and its guide, for variational inference: a first run of each, and the checks that the two fit. */
import { scope } from "../../core/scope.ts";
import { toTensors } from "../../core/tree.ts";
import { withPlates } from "../../effects/run-handlers.ts";
import type { Problem } from "../method/infer.ts";
import {
  checkGuideSites,
  checkSharedParams,
  closedKl,
  drawOnly,
  matchedValues,
  mayUseClosedKl,
} from "./guide-checks.ts";
import { inspectRun } from "./inspect-model.ts";
import { type ModelAndGuide, modelAndGuide } from "./model-and-guide.ts";

/**
 * Runs guide and model once, without particles, and checks that they fit.
 *
 * @throws `missing-site`, `extra-site`, `plate`, `shape`, `support`, `parameter`, each naming the site; `unsupported` when the guide
 *   observes; `argument` when a factor of the guide does not say whether it is differentiable.
 */
export function matchGuide(problem: Problem, guide: Problem["model"]): ModelAndGuide {
  return scope(() => {
    const params = toTensors(problem.params);
    const drawn = inspectRun({ ...problem, params }, guide, drawOnly);
    const initial = Object.fromEntries([...drawn.run.params].map(([name, p]) => [name, p.unconstrained]));
    const scored = inspectRun({ ...problem, params: { ...params, ...initial } }, problem.model, (program) =>
      withPlates(drawn.run.plates)(matchedValues(drawn)(program)),
    );
    checkGuideSites(drawn, scored);
    checkSharedParams(drawn.run, scored.run);
    const names = scored.info.latents.map(({ name }) => name);
    return {
      ...modelAndGuide(problem, drawOnly(guide), scored.info, drawn.info),
      complete: true,
      scores: new Set(names.filter((name) => drawn.run.sites.get(name)?.dist?.reparameterized === false)),
      closed: new Map(names.filter((name) => mayUseClosedKl(name, drawn, scored)).map((name) => [name, closedKl])),
    };
  });
}
