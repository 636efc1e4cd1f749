/**
 * `tilted/random`: bulk draws on the host. A draw is a function of its key and its place, so that a longer draw begins with the shorter
 * one. Values are typed arrays.
 */
export { permutation } from "./discrete.ts";
export { type BulkDraw, bits, exponential, gumbel, normal, uniform } from "./draws.ts";
export { binomial, gamma, logGammaDraws as logGamma, poisson } from "./rejection.ts";
