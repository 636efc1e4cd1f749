/** Distributions, constraints and divergences as exported constants. */
import { bernoulli, beta, independent, interval, kl, mixture, normal, real, softplusBijection } from "tilted/dist";

const key = { hi: 1, lo: 2 };

export const prior = normal(0, 1);
export const rows = bernoulli({ probs: 0.5 }).event(0);
export const two = mixture([0.5, 0.5] as never, [prior, beta(1, 1)]);
export const set = independent(interval(0, 3), 1);
export const onto = softplusBijection;
export const line = real;
export const distance = kl(prior, prior);
export const estimated = kl(prior, two, { key, draws: 10 });
