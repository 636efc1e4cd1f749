/** Thresholds of trust: the least effective sample size for each use, and the largest weight that one draw may have. */

/** Least effective sample sizes. */
export const LEAST_ESS = {
  /** Weighted draws, for a mean or log Z. */
  weights: 50,
  /** Draws of chains, for each entry of a site (Vehtari et al. 2021: 100 for each of four chains). */
  chains: 400,
  /** Proposals, for one output of sampling-importance-resampling. */
  output: 5,
  /** Particles, for a gradient that chains follow. */
  drift: 5,
  /** Particles, for the score of one row. */
  score: 10,
} as const;

/** Largest share of all weight that one draw may hold. */
export const LARGEST_SHARE = 0.1;
