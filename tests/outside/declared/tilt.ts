/** Objectives and negatives as exported constants. */
import { chainDraws, contrastive, freshDraws, logistic, logZ, logZWithDraws, selfNormalized } from "tilted/tilt";

export const objectives = [logistic(), selfNormalized(), contrastive()];
export const objective = logistic();
export const fresh = freshDraws(10);
export const kept = chainDraws({ chains: 8 });
export const z = logZ(new Float64Array(64));
export const both = logZWithDraws(new Float64Array(64), new Float64Array(64));
