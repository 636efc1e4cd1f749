/** The importance-weighted bound. */
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import type { Effect, Model } from "../../effects/effects.ts";
import type { Estimator } from "./importance-bound.ts";
import { variational } from "./variational.ts";
import type { Variational, VariationalOptions } from "./variational-types.ts";

/** Options of {@link iwae}. */
export interface IwaeOptions<Args extends readonly unknown[] = readonly unknown[]> extends VariationalOptions<Args> {
  /** Independent bounds per step, averaged. Default 1. */
  readonly draws?: number;
  /**
   * `pathwise` (default); `dreg`, doubly reparameterised: unbiased, with a signal-to-noise ratio for the guide that does not fall as K grows
   * (Tucker et al. 2019); `stl`: less variance, but biased for K > 1.
   */
  readonly estimator?: Estimator;
}

/**
 * Maximizes the importance-weighted bound Σ_rows E log (1/K) Σ_k p(x, z_k)/q(z_k) ≤ log p(x) (Burda, Grosse & Salakhutdinov 2016).
 *
 * @param guide - q(z): a program with the same arguments and latent sites as the model.
 * @param k - K, particles inside the logarithm. K = 1 is {@link elbo} with sampled KL.
 * @remarks Non-decreasing in K, with gap (J − 1)/(2K) + O(K⁻²), J = ∫ posterior²/q. The logarithm is taken within each row of
 * the plates that enclose every site, and only then are rows summed.
 * @example await infer(digits, iwae(encoder, 50, { estimator: "dreg", epochs: 20 }), { args: [x], seed: 1 });
 * @throws As {@link elbo}; `plate` when a subsampled plate would be inside the logarithm; `not-differentiable` when `dreg` or
 *   `stl` meets a site that cannot be reparameterised.
 */
export function iwae<Args extends readonly unknown[], G extends Effect>(
  guide: Model<Args, G, unknown>,
  k: number,
  options: IwaeOptions<NoInfer<Args>> = {},
): Variational<Args, G> {
  const { draws = 1, estimator = "pathwise" } = options;
  checkWhole("iwae", "k", k);
  checkWhole("iwae", "draws", draws);
  if (!["pathwise", "stl", "dreg"].includes(estimator))
    fail("argument", `iwae: the estimator is "pathwise", "stl" or "dreg", got "${estimator}"`);
  return variational({ name: "iwae", k, draws, estimator, closed: false }, guide, options);
}
