/** What a method is made of, as exported constants. */
import { infer, mcmc, model, sample } from "tilted";
import { normal } from "tilted/dist";
import {
  diagnose,
  diagnoseChains,
  independence,
  inspectModel,
  interpret,
  mala,
  matchGuide,
  type Problem,
  resampleRows,
  sumWeights,
  ula,
} from "tilted/inference";

export const structure = (problem: Problem) => inspectModel(problem);
export const pair = (problem: Problem) => matchGuide(problem, problem.model);
export const run = (problem: Problem) => interpret(problem.model(...problem.args), { key: problem.key });
export const ofChains = diagnoseChains([new Float64Array(8)]);
export const ofWeights = diagnose(sumWeights([0, 1]));
export const rows = (problem: Problem) => resampleRows(new Float64Array([1]), 1, "systematic", problem.key);

export const kernels = [ula(), mala()];
export const kernel = mala(2);
export const jump = independence();
export const chains = mcmc(kernel, { targetAcceptance: 0.574 });
export const ofSite = mcmc(kernel, { sites: ["z"] });
export const point = model(function* () {
  yield* sample("z", normal(0, 1));
});
export const path = () => infer(point, chains, { seed: 1 });
