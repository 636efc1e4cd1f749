/** Independence Metropolis (Tierney 1994): the proposal does not depend on the chain's position, so it can cross between modes. */
import { add, div, sub, type Tensor } from "@tensorflow/tfjs-core";
import { type GradientState, gradientStateAt, type Kernel, metropolis, moveTo } from "./kernel.ts";

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
  init: gradientStateAt,
  step(state, { y, accept }, target) {
    const to = target(y);
    const logRatio = add(div(sub(to.logp, state.logp), T), sub(logPrior(state.x), logPrior(y)));
    const { accepted, info } = metropolis(logRatio, accept);
    return [moveTo(accepted, y, to, state), info];
  },
});
