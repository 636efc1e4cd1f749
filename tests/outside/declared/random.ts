/** Bulk draws as exported constants. */
import { normal, permutation, poisson } from "tilted/random";

export const noise = normal;
export const counts = poisson;
export const order = permutation;
