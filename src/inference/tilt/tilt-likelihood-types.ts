/** Options and result of a maximum-likelihood fit of a tilt. */
import type * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../../core/array.ts";
import type { Tree } from "../../core/tree.ts";
import type { Effect, Model, ParamEffect, Program } from "../../effects/effects.ts";
import type { EngineInfo } from "../../engine/engine.ts";
import type { Clip } from "../optim/clip.ts";
import type { Optimizer } from "../optim/optimizers.ts";
import type { Sandwich } from "../weights/bound.ts";
import type { NegativeInfo, Negatives } from "./negatives.ts";
import type { EnergyCheck, StopRule } from "./stability.ts";
import type { BaseLogDensity } from "./tilt-density.ts";

/** The base as a latent-variable model of given rows, and its guide: needed to train the base with the energy. */
export interface Trainable {
  readonly model: Model<[x: NdArray], Effect, unknown>;
  readonly guide: Model<[x: NdArray], Effect, unknown>;
}

/** Options of {@link tiltLikelihood}. */
export interface TiltLikelihoodOptions {
  /**
   * Where draws of p_E come from. Default `freshDraws(1024)`; for images, sites of 64 entries or more, `chainDraws()`, a buffer of chains in
   * (z, ε).
   */
  readonly negatives?: Negatives;
  /** Trains the base as well: by its own density where it has no latent but the site, otherwise by the ELBO of these two. Default: frozen. */
  readonly joint?: Trainable | true;
  /** Default Adam with step 1e-3. */
  readonly optimizer?: Optimizer;
  /** Default 2000. */
  readonly steps?: number;
  /** Rows of data in one step. Default 128, at most all. */
  readonly batch?: number;
  /** Steps between checks of the energies. Default 25. */
  readonly every?: number;
  /** Gradient clipping. Default: norm 10. */
  readonly clip?: Clip;
  /** α of a penalty α(E_q[E²] + E_{p_E}[E²]) on energies about their centre (Du & Mordatch 2019). Biases the tilt; default 0. */
  readonly penalty?: number;
  /** When to stop a run that diverges; `false` never. */
  readonly stop?: StopRule | false;
  /** Good states to keep, for going back after divergence. Default 8. */
  readonly ring?: number;
  /** Base draws for log Z and its weights at the end. Default 8192. */
  readonly evaluation?: number;
  /**
   * Mean of log p(x) over rows under the base, from both sides, for the fit's `logLikelihood`:
   * `(x, params) => logDensityOf(net, x, { params, seed: 1 })`. Default: exact where the base draws the tilted site alone, else none.
   */
  readonly logDensity?: BaseLogDensity;
  /** Rows of which `logLikelihood` is the mean. Default: the data, at most 1024 of them, which flatters the fit. */
  readonly test?: NdArray;
  /** Labels of rows: the entropy of classes in the buffer is then reported. */
  readonly classify?: (x: NdArray) => ArrayLike<number>;
}

/** Statistics of the steps between two checks. */
export interface TiltCheck extends EnergyCheck, NegativeInfo {
  /** ESS/n of weighted negatives. */
  readonly essRatio?: number;
  readonly classEntropy?: number;
}

/** A tilt fitted by maximum likelihood. */
export interface TiltLikelihoodFit {
  /** The energy, centred: shifted so that Z = 1 as far as base draws can tell. Takes its parameters from `params`. */
  readonly energy: (value: tf.Tensor) => Program<ParamEffect, tf.Tensor>;
  /** Constant subtracted from the network's output, in nats: minus its log Z. */
  readonly centre: number;
  /** Unconstrained parameters of base and energy, for `infer(pipe(base, tilt(site, fit.energy)), …)`. */
  readonly params: Tree<NdArray>;
  readonly negatives: string;
  readonly history: readonly TiltCheck[];
  /** `diverged`: the run was stopped, and `params` are those of the last good state. `message` says what happened. */
  readonly stopped: "finished" | "diverged";
  readonly message: string;
  /** Steps behind `params`. */
  readonly steps: number;
  /** Earlier good states, oldest first. */
  readonly checkpoints: readonly { readonly step: number; readonly params: Tree<NdArray> }[];
  /**
   * log Z of the centred tilt over the base. Lower: from fresh base draws, always valid. Upper: with a buffer, from its rows as draws of
   * p_E (`logZWithDraws`), valid only if its chains have converged and kept up with the energy (a row of a large buffer was drawn some steps
   * ago); else from base draws alone (`logZ`). In many dimensions the gap is wide.
   */
  readonly logZ: Sandwich<"log Z">;
  /** Draws behind the bounds `logZ`. */
  readonly logZFrom: "base draws" | "base draws and the buffer";
  /** Mean of log p_E(x) over `test`; `undefined` where log p(x) is unknown, see `logDensity`. */
  readonly logLikelihood: Sandwich<"log p_E(x)"> | undefined;
  /** Diagnostics of base draws as weighted draws of the tilted model: ESS/n, the largest weight, Pareto k. */
  readonly essRatio: number;
  readonly largestWeight: number;
  readonly khat: number;
  /** Entropy of classes in the buffer at the end, in nats; `undefined` without a buffer or a classifier. */
  readonly classEntropy: number | undefined;
  readonly trusted: boolean;
  readonly warnings: readonly string[];
  readonly engine: EngineInfo;
}
