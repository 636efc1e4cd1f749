/**
 * The Metropolis-adjusted Langevin algorithm (Besag 1994; Roberts & Tweedie 1996): a Langevin step as proposal, accepted or rejected, so
 * that p^{1/T} is exactly stationary.
 */
import { add, div, mul, sqrt, sub, sum } from "@tensorflow/tfjs-core";
import { type GradientState, gradientStateAt, type Kernel, metropolis, moveTo } from "./kernel.ts";

/**
 * x' = x + η∇log p(x) + √(2ηT) ξ, accepted with probability min(1, p(x')^{1/T} q(x|x') / (p(x)^{1/T} q(x'|x))).
 *
 * @param T - Temperature.
 */
export const mala = (T = 1): Kernel<GradientState, { readonly xi: "normal"; readonly accept: "uniform" }> => ({
  name: "mala",
  noise: { xi: "normal", accept: "uniform" },
  init: gradientStateAt,
  step(state, { xi, accept }, target) {
    const { x, logp, grad, eta } = state;
    const spread = sqrt(mul(2 * T, eta));
    const y = add(add(x, mul(eta, grad)), mul(spread, xi));
    const to = target(y);
    // The reverse step needs the noise ξ' = −(ξ + a): log q(x|x') − log q(x'|x) = ½Σ(ξ² − ξ'²) = −½Σ a(a + 2ξ).
    const a = mul(add(grad, to.grad), div(eta, spread));
    const logRatio = sub(div(sub(to.logp, logp), T), mul(0.5, sum(mul(a, add(a, mul(2, xi))), 1)));
    const { accepted, info } = metropolis(logRatio, accept);
    return [moveTo(accepted, y, to, state), info];
  },
});
