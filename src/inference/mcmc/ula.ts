/** The unadjusted Langevin algorithm: every proposal is taken, and what is stationary differs from p^{1/T} by a bias of the order of η. */
import { add, mul, sqrt, sum } from "@tensorflow/tfjs-core";
import { eachFinite, evaluated, type GradientState, type Kernel, moveTo } from "./kernel.ts";

/**
 * x' = x + η∇log p(x) + √(2ηT) ξ. A proposal without a finite density or gradient is not taken.
 *
 * @param T - Temperature.
 */
export const ula = (T = 1): Kernel<GradientState, { readonly xi: "normal" }> => ({
  name: "ula",
  noise: { xi: "normal" },
  init: evaluated,
  step(state, { xi }, target) {
    const { x, grad, eta } = state;
    const y = add(add(x, mul(eta, grad)), mul(sqrt(mul(2 * T, eta)), xi));
    const to = target(y);
    // A sum is finite where all of it is.
    const taken = eachFinite(add(to.logp, sum(to.grad, 1)));
    return [moveTo(taken, y, to, state), { finite: taken }];
  },
});
