/** Options and result of a variational fit. */
import type { NdArray } from "../../core/array.ts";
import type { Tree } from "../../core/tree.ts";
import type { Effect } from "../../effects/effects.ts";
import type { ParamsOf } from "../../effects/sites.ts";
import type { EngineInfo } from "../../engine/engine.ts";
import type { EffectsIn, Method, ResultKind } from "../method/infer.ts";
import type { Clip } from "../optim/clip.ts";
import type { Optimizer } from "../optim/optimizers.ts";
import type { EpochInfo, Trained, TrainingHistory, TrainState } from "../train/train-types.ts";
import type { Bound, EvidenceOf } from "../weights/bound.ts";
import type { Estimator } from "./importance-bound.ts";
import type { Baseline } from "./learning-signal.ts";

/** Options common to all variational methods. `Args` are those of model and guide. */
export interface VariationalOptions<Args extends readonly unknown[] = readonly unknown[]> {
  /** Default: Adam, whose rate falls from 1e-2 to 0 along a cosine over the run. */
  readonly optimizer?: Optimizer;
  /** Optimiser steps; 0 only estimates the bound. Default, without `epochs`: 2000. */
  readonly steps?: number;
  /** Passes over the subsampled plate. */
  readonly epochs?: number;
  /** Steps between validations and entries of the history. Default: a pass over the outermost subsampled plate, else 1. */
  readonly stepsPerEpoch?: number;
  /** Held-out arguments, on which the bound is estimated after every epoch; the best parameters are the ones returned. */
  readonly validation?: {
    readonly args: Args;
    /** Independent bounds per row. Default 1; the same noise is used every time. */
    readonly draws?: number;
  };
  /** Stops after so many epochs in a row without a better validation. Default: never. */
  readonly patience?: number;
  /** Default: none. */
  readonly clip?: Clip;
  /** Parameters to keep fixed. */
  readonly freeze?: readonly string[] | ((name: string) => boolean);
  /**
   * At draws that cannot be reparameterised. Default: `leave-one-out` over particles where there are several, else a running
   * mean of the bound.
   */
  readonly baseline?: Baseline;
  /** Independent bounds per row in the final estimate. Default: 1000 over all rows together, at least 4. */
  readonly boundDraws?: number;
  readonly onEpoch?: (info: EpochInfo) => void | Promise<void>;
  /** Continues from the `state` of an earlier fit: the result is that of an uninterrupted run, bit for bit. */
  readonly from?: TrainState;
}

/** What a variational method found. `E` are the effects of the model, `G` of the guide. */
export interface VariationalFit<E extends Effect = Effect, G extends Effect = Effect> {
  /** Unconstrained parameters of model and guide, to be given to `infer` as `params`. */
  readonly params: Tree<NdArray> & { readonly [N in ParamsOf<E> | ParamsOf<G>]: NdArray };
  /** The same as constrained values. */
  readonly constrained: { readonly [N in ParamsOf<E> | ParamsOf<G>]: NdArray };
  /** The bound on all data at these parameters, in nats, freshly estimated. */
  readonly bound: Bound<EvidenceOf<E>>;
  /** Rows of data under the bound: of the outermost plate around every site, or 1. */
  readonly rows: number;
  /** Minus the bound, in nats per row, by epoch. */
  readonly history: TrainingHistory;
  readonly steps: number;
  readonly epochs: number;
  readonly stopped: Trained["stopped"];
  readonly bestEpoch: number;
  /** To continue from here, with `from`. */
  readonly state: TrainState;
  readonly engine: EngineInfo;
}

/** Result type of a variational method with a guide of effects `G`. */
export interface VariationalKind<G extends Effect> extends ResultKind {
  readonly result: VariationalFit<EffectsIn<this>, G>;
}

/** A variational method whose guide has effects `G` and arguments `Args`. */
export type Variational<Args extends readonly unknown[], G extends Effect> = Method<
  VariationalKind<G>,
  { readonly effects: G; readonly args: Args }
>;

/** What distinguishes `elbo` and `iwae`. */
export interface BoundSpec {
  readonly name: string;
  /** K. */
  readonly k: number;
  /** Independent bounds per step. */
  readonly draws: number;
  readonly estimator: Estimator;
  readonly closed: boolean;
}
