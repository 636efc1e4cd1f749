/** The unadjusted Langevin algorithm: every proposal is accepted, and the stationary distribution differs from p^{1/T} by a bias of order η. */
import { add, mul, sqrt, sum } from "@tensorflow/tfjs-core";
import { eachFinite, type GradientState, gradientStateAt, type Kernel, moveTo } from "./kernel.ts";

/**
 * x' = x + η∇log p(x) + √(2ηT) ξ. A proposal without a finite density or gradient is rejected.
 *
 * @param T - Temperature.
 */
export const ula = (T = 1): Kernel<GradientState, { readonly xi: "normal" }> => ({
  name: "ula",
  noise: { xi: "normal" },
  init: gradientStateAt,
  step(state, { xi }, target) {
    const { x, grad, eta } = state;
    const y = add(add(x, mul(eta, grad)), mul(sqrt(mul(2 * T, eta)), xi));
    const to = target(y);
    // The sum is finite only where every term is.
    const accepted = eachFinite(add(to.logp, sum(to.grad, 1)));
    return [moveTo(accepted, y, to, state), { finite: accepted }];
  },
});
