/** Functions of tensors as exported constants. */
import { cholesky, digamma, lgamma, logSumExp, triangularSolve } from "tilted/math";

export const special = { lgamma, digamma };
export const linear = { cholesky, triangularSolve };
export const reduce = logSumExp;
