/** What a result must be worth to be trusted: the fewest effective draws for each use of them, and the most that one draw may weigh. */

/** Fewest effective draws. */
export const LEAST_ESS = {
  /** Weighted draws behind a mean or log Z. */
  weights: 50,
  /** Draws of chains, for each entry of a site (Vehtari et al. 2021: 100 for each of four chains). */
  chains: 400,
  /** Proposals behind one output of sampling-importance-resampling. */
  output: 5,
  /** Particles behind a gradient that chains follow. */
  drift: 5,
  /** Particles behind the score of one row. */
  score: 10,
} as const;

/** Largest share of all weight that one draw may hold. */
export const LARGEST_SHARE = 0.1;
