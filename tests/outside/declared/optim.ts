/** Optimisers and schedules as exported constants. */
import { adam, adamw, cosineDecay, linearWarmup, piecewise, sgd } from "tilted/optim";

export const rate = linearWarmup(10, cosineDecay({ from: 1e-2, steps: 100 }));
export const steps = piecewise([[0, 1e-2]]);
export const optimizers = [adam(rate), adamw(steps), sgd(1e-2)];
export const first = adam(1e-3);
export const state = first.init({});
