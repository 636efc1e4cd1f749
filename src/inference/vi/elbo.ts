/** The evidence lower bound. */
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import type { Effect, Model } from "../../effects/effects.ts";
import { variational } from "./variational.ts";
import type { Variational, VariationalOptions } from "./variational-types.ts";

/** Options of {@link elbo}. */
export interface ElboOptions<Args extends readonly unknown[] = readonly unknown[]> extends VariationalOptions<Args> {
  /** Draws of the guide per step, averaged. Default 1. */
  readonly particles?: number;
  /**
   * `pathwise` (default), or `stl`, "sticking the landing": without the score of the guide at fixed draws, whose mean is zero.
   * Its variance vanishes where the guide is the posterior (Roeder et al. 2017). It runs the guide a second time.
   */
  readonly estimator?: "pathwise" | "stl";
  /**
   * `analytic` (default for `pathwise`): where KL(guide ‖ model) at a site has a closed form, it replaces the sampled value. `stl` needs
   * `sampled`.
   */
  readonly kl?: "analytic" | "sampled";
}

/**
 * Maximizes the evidence lower bound E_q[log p(x, z) − log q(z)] ≤ log p(x) in the parameters of model and guide.
 *
 * @param guide - q(z): a program with the same arguments and latent sites as the model.
 * @remarks The gap is KL(q ‖ posterior). Draws that cannot be reparameterised get score-function gradients, each row of the
 * common plates with its own learning signal. The loss of the history is minus the bound, in nats per row of the outermost
 * plate that encloses every site. A minibatch goes through a fresh shuffle in each epoch.
 * @example
 * const fit = await infer(digits, elbo(encoder, { optimizer: adam(1e-3), epochs: 20 }), { args: [x], seed: 1 });
 * showBound(fit.bound);
 * await infer(digits, elbo(encoder, { steps: 0 }), { args: [test], params: fit.params, seed: 2 });   // the bound alone
 * @throws `missing-site`, `extra-site`, `shape`, `plate`, `support` when guide and model do not fit, naming the site;
 *   `non-finite` when the bound or a gradient diverges; `argument` on options out of range.
 */
export function elbo<Args extends readonly unknown[], G extends Effect>(
  guide: Model<Args, G, unknown>,
  options: ElboOptions<NoInfer<Args>> = {},
): Variational<Args, G> {
  const { particles = 1, estimator = "pathwise", kl = estimator === "stl" ? "sampled" : "analytic" } = options;
  checkWhole("elbo", "particles", particles);
  if (estimator !== "pathwise" && estimator !== "stl")
    fail("argument", `elbo: the estimator is "pathwise" or "stl", got "${estimator}"`);
  if (estimator === "stl" && kl === "analytic")
    fail("argument", `elbo: estimator "stl" works on sampled log-densities; leave out kl: "analytic"`);
  const spec = { name: "elbo", k: 1, draws: particles, estimator, closed: kl === "analytic" };
  return variational(spec, guide, options);
}
