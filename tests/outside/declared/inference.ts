/** What a method is made of, as exported constants. */
import {
  diagnose,
  diagnoseChains,
  inspectModel,
  interpret,
  matchGuide,
  type Problem,
  resampleRows,
  sumWeights,
} from "tilted/inference";

export const structure = (problem: Problem) => inspectModel(problem);
export const pair = (problem: Problem) => matchGuide(problem, problem.model);
export const run = (problem: Problem) => interpret(problem.model(...problem.args), { key: problem.key });
export const ofChains = diagnoseChains([new Float64Array(8)]);
export const ofWeights = diagnose(sumWeights([0, 1]));
export const rows = (problem: Problem) => resampleRows(new Float64Array([1]), 1, "systematic", problem.key);
