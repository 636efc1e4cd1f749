/** Options and result of a fit of a tilt. */
import type * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../../core/array.ts";
import type { Key } from "../../core/key.ts";
import type { Tree } from "../../core/tree.ts";
import type { ParamEffect, Program } from "../../effects/effects.ts";
import type { EngineInfo } from "../../engine/engine.ts";
import type { Clip } from "../optim/clip.ts";
import type { Optimizer } from "../optim/optimizers.ts";
import type { Trained, TrainingHistory } from "../train/train-types.ts";
import type { Sandwich } from "../weights/bound.ts";
import type { TiltObjective } from "./objectives.ts";
import type { BaseLogDensity } from "./tilt-density.ts";

/** A finite set of data, each of which can be drawn afresh: for instance from its own posterior q(z|x). */
export interface DrawableRows {
  readonly count: number;
  /** One draw for each of the given rows, shape `[rows.length, ...event]`. */
  draw(key: Key, rows: Int32Array): tf.Tensor;
}

/** Options of `fitTilt`. */
export interface FitTiltOptions {
  /** Default `logistic()`. */
  readonly objective?: TiltObjective;
  /** Default Adam with step 1e-3. */
  readonly optimizer?: Optimizer;
  /** Greatest number of optimiser steps. Default 2000. */
  readonly steps?: number;
  /** Target rows per step. Default 128, at most all. */
  readonly batch?: number;
  /** Base draws per step. Default 512. */
  readonly negatives?: number;
  /** Share of the target rows held out for stopping; 0 trains on all and stops at `steps`. Default 0.2. */
  readonly holdout?: number;
  /** Steps between validations. Default 25. */
  readonly every?: number;
  /** Validations without improvement before it stops. Default: never; the best parameters are restored all the same. */
  readonly patience?: number;
  /**
   * Cross-fitting: so many energies, each trained without one part of the rows; the fit is their mean. Every row trains, every row
   * is held out once. Default 1: one energy and `holdout`.
   */
  readonly folds?: number;
  /**
   * Stops by the effective sample size instead of the held-out loss: at the last validation at which base draws keep this share,
   * ESS/n, under the fitted tilt. With few target rows the held-out loss stops before the tilt is complete.
   */
  readonly minEssRatio?: number;
  /**
   * Mean of log p(x) over rows under the base, from both sides, for the fit's `logLikelihood`:
   * `(x, params) => logDensityOf(net, x, { params, seed: 1 })`. Default: exact where the base draws the tilted site alone, else none.
   */
  readonly logDensity?: BaseLogDensity;
  /** Rows of which `logLikelihood` is the mean. Default: the target, at most 1024 rows of it, which flatters the fit. */
  readonly test?: NdArray;
  /** Limits on the gradients of a step. Default: none. */
  readonly clip?: Clip;
}

/** A fitted energy. */
export interface TiltFit {
  /** The energy to tilt by: the given one, or with folds the mean of its copies. Takes its parameters from `params`. */
  readonly energy: (value: tf.Tensor) => Program<ParamEffect, tf.Tensor>;
  /** Unconstrained parameters of the energy, with those given to `infer`; pass them to `infer(pipe(base, tilt(...)), ...)`. */
  readonly params: Tree<NdArray>;
  /** Losses by epoch of `every` steps, summed over folds; `validation` is what the fit stops by. */
  readonly history: TrainingHistory;
  /** Mean over folds of the held-out loss at the parameters kept; `undefined` when nothing was held out. */
  readonly heldOutLoss: number | undefined;
  readonly objective: string;
  /** `early`: patience ran out, or ESS/n fell below `minEssRatio`. `diverged`: a loss was not finite; `params` are the last good ones. */
  readonly stopped: Trained["stopped"];
  readonly trusted: boolean;
  /** Reasons not to trust it: divergence, too few base draws for the tilt. */
  readonly warnings: readonly string[];
  /** Optimiser steps behind the parameters kept. */
  readonly steps: number;
  /** log Z of the fitted tilt over the base, from fresh base draws. */
  readonly logZ: Sandwich<"log Z">;
  /** Effective share of base draws under the fitted tilt, ESS/n. */
  readonly essRatio: number;
  /** Share of all weight that the heaviest base draw holds, and the Pareto shape of the weights. */
  readonly largestWeight: number;
  readonly khat: number;
  /** Mean of log p_E(x) over `test`; `undefined` where log p(x) is unknown, and for rows that are drawn afresh. */
  readonly logLikelihood: Sandwich<"log p_E(x)"> | undefined;
  readonly engine: EngineInfo;
}
