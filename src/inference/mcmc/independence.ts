/** Independence Metropolis (Tierney 1994): a proposal that does not depend on where the chain is crosses between modes. */
import { add, div, sub } from "@tensorflow/tfjs-core";
import { type GradientState, gradientStateAt, type Kernel, metropolis, moveTo } from "./kernel.ts";

/**
 * x moves to y, a draw of the model's own prior π, with probability min(1, (p(y)/p(x))^{1/T} π(x)/π(y)).
 *
 * @param T - Temperature.
 */
export const independence = (T = 1): Kernel<GradientState, { readonly y: "prior"; readonly accept: "uniform" }> => ({
  name: "independence",
  noise: { y: "prior", accept: "uniform" },
  init: gradientStateAt,
  step(state, { y, accept }, target) {
    const to = target(y);
    const logRatio = add(div(sub(to.logp, state.logp), T), sub(target.logPrior(state.x), target.logPrior(y)));
    const { accepted, info } = metropolis(logRatio, accept);
    return [moveTo(accepted, y, to, state), info];
  },
});
