/** Independence Metropolis (Tierney 1994): a proposal that does not depend on where the chain is crosses between modes. */
import { add, div, sub, type Tensor } from "@tensorflow/tfjs-core";
import { evaluated, type GradientState, type Kernel, metropolis, moveTo } from "./kernel.ts";

/**
 * x moves to y, a draw of the model's own prior π, with probability min(1, (p(y)/p(x))^{1/T} π(x)/π(y)).
 *
 * @param logPrior - log π of positions, `[chains]`.
 * @param T - Temperature.
 */
export const independence = (
  logPrior: (x: Tensor) => Tensor,
  T = 1,
): Kernel<GradientState, { readonly y: "prior"; readonly accept: "uniform" }> => ({
  name: "independence",
  noise: { y: "prior", accept: "uniform" },
  init: evaluated,
  step(state, { y, accept }, target) {
    const to = target(y);
    const logRatio = add(div(sub(to.logp, state.logp), T), sub(logPrior(state.x), logPrior(y)));
    const { taken, info } = metropolis(logRatio, accept);
    return [moveTo(taken, y, to, state), info];
  },
});
