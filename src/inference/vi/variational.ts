/** Variational inference: fits a guide (and the parameters of the model) by raising a bound. `elbo` and `iwae` are two names for it. */

import * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { mapTree, type TensorTree, type Tree, toTensors } from "../../core/tree.ts";
import type { Effect, Model } from "../../effects/effects.ts";
import type { ParamsOf } from "../../effects/sites.ts";
import type { EngineInfo } from "../../engine/engine.ts";
import type { Method, Problem, ResultKind } from "../method/infer.ts";
import type { Clip } from "../optim/clip.ts";
import { adam, type Optimizer } from "../optim/optimizers.ts";
import { cosineDecay } from "../optim/schedules.ts";
import { dataRows, type ModelAndGuide, matchGuide } from "../problem/match-guide.ts";
import { batchesPerEpoch, minibatches } from "../problem/minibatch.ts";
import type { StepContext } from "../train/loss.ts";
import { train } from "../train/train.ts";
import type { EpochInfo, Trained, TrainingHistory, TrainState } from "../train/train-types.ts";
import type { Bound, EvidenceOf } from "../weights/bound.ts";
import { compileBound } from "./compiled-bound.ts";
import { boundParts, estimateBound, estimating } from "./estimate-bound.ts";
import { type Estimator, surrogate } from "./importance-bound.ts";
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
  /** Parameters that are not to be fitted. */
  readonly freeze?: readonly string[] | ((name: string) => boolean);
  /**
   * At draws that cannot be reparameterised. Default: `leave-one-out` over particles where there are several, else a running
   * mean of the bound.
   */
  readonly baseline?: Baseline;
  /** Independent bounds per row in the final estimate. Default: 1000 over all rows together, at least 4. */
  readonly boundDraws?: number;
  readonly onEpoch?: (info: EpochInfo) => void | Promise<void>;
  /** Goes on from the `state` of an earlier fit: the result is that of a run never interrupted, bit for bit. */
  readonly from?: TrainState;
}

/** What a variational method found. `E` are the effects of the model, `G` of the guide. */
export interface VariationalFit<E extends Effect = Effect, G extends Effect = Effect> {
  /** Unconstrained parameters of model and guide, to be given to `infer` as `params`. */
  readonly params: Tree<NdArray> & { readonly [N in ParamsOf<E> | ParamsOf<G>]: NdArray };
  /** The same, where their constraints put them. */
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
  /** To go on from here, with `from`. */
  readonly state: TrainState;
  readonly engine: EngineInfo;
}

/** Result type of a variational method with a guide of effects `G`. */
export interface VariationalKind<G extends Effect> extends ResultKind {
  readonly result: VariationalFit<this["effects"], G>;
}

/** A variational method whose guide has effects `G` and arguments `Args`. */
export type Variational<Args extends readonly unknown[], G extends Effect> = Method<
  VariationalKind<G>,
  { readonly effects: G; readonly args: Args }
>;

/** What distinguishes the bounds. */
export interface BoundSpec {
  readonly name: string;
  /** K. */
  readonly k: number;
  /** Independent bounds per step. */
  readonly draws: number;
  readonly estimator: Estimator;
  readonly closed: boolean;
}

const DEFAULT_STEPS = 2000;
const DEFAULT_RATE = 1e-2;
/** Weight of the past in the running-mean baseline. */
const BASELINE_DECAY = 0.9;

/** Makes the method of a bound. */
export function variational<Args extends readonly unknown[], G extends Effect>(
  spec: BoundSpec,
  guide: Model<Args, G, unknown>,
  options: VariationalOptions<Args>,
): Variational<Args, G> {
  if (typeof guide !== "function") fail("argument", `${spec.name}: the first argument must be a guide, a model`);
  const program = guide as unknown as Problem["model"];
  return { name: spec.name, run: (problem) => maximizeBound(spec, program, options as VariationalOptions, problem) };
}

async function maximizeBound(
  spec: BoundSpec,
  guide: Problem["model"],
  options: VariationalOptions,
  problem: Problem,
): Promise<VariationalFit<Effect, Effect>> {
  const { name } = spec;
  const paired = matchGuide(problem, guide);
  checkSpec(spec, paired);
  const held =
    options.validation === undefined ? undefined : matchGuide({ ...problem, args: options.validation.args }, guide);
  const perEpoch = options.stepsPerEpoch ?? passOver(paired);
  const length = options.epochs === undefined ? { steps: options.steps ?? DEFAULT_STEPS } : { epochs: options.epochs };
  if (options.epochs !== undefined && options.steps !== undefined)
    fail("argument", `${name}: give either steps or epochs, not both`);
  const total = length.steps ?? (options.epochs as number) * perEpoch;

  const [fitted, frozen] = divide(paired.params, options.freeze);
  if (total > 0 && Object.keys(fitted).length === 0) {
    fail("argument", `${name}: model and guide have no parameters to fit; steps: 0 estimates the bound`);
  }
  const baseline = options.baseline ?? (spec.draws * spec.k > 1 ? "leave-one-out" : "running-mean");
  const rowsAt = minibatches(fold(problem.key, "rows"));
  const all = (params: TensorTree): TensorTree => ({ ...params, ...toTensors(frozen) });

  const validating = { key: fold(fold(problem.key, "train"), "validate"), k: spec.k, closed: spec.closed };
  const validationDraws = options.validation?.draws ?? 1;
  const heldWeights =
    held === undefined
      ? undefined
      : await compileBound(
          held,
          problem,
          boundParts(held, { ...validating, draws: validationDraws }),
          total / perEpoch,
        );
  const trained = await train({
    ...length,
    name,
    params: fitted,
    optimizer: options.optimizer ?? adam(cosineDecay({ from: DEFAULT_RATE, steps: Math.max(1, total) })),
    stepsPerEpoch: perEpoch,
    key: fold(problem.key, "train"),
    tick: problem.tick,
    engine: problem.choice,
    ...(problem.threads !== undefined && { threads: problem.threads }),
    ...(problem.background && { background: true }),
    ...(options.clip && { clip: options.clip }),
    ...(options.patience !== undefined && { patience: options.patience }),
    ...(options.onEpoch && { onEpoch: options.onEpoch }),
    ...(options.from && { from: options.from }),
    loss(params, context) {
      const { bound, signal } = surrogate(paired, {
        key: context.key,
        params: all(params),
        // Read when rows are chosen, which a recorded step does anew in every run.
        subsample: (...plate) => rowsAt(context.step)(...plate),
        particles: undefined,
        k: spec.k,
        draws: spec.draws,
        estimator: spec.estimator,
        closed: spec.closed,
        baseline,
        expected: () => expectedSignal(context.carry),
      });
      const carry = baseline === "running-mean" ? () => learn(context.carry, signal()) : {};
      return { loss: tf.div(bound, -dataRows(paired)), carry };
    },
    ...(held && {
      validate(params: TensorTree, { key }: StepContext) {
        const { value } = estimateBound(held, {
          key,
          params: () => all(params),
          k: spec.k,
          draws: validationDraws,
          closed: spec.closed,
          ...(heldWeights && { weights: heldWeights.weights }),
        });
        return -value / dataRows(held);
      },
    }),
  }).finally(() => heldWeights?.dispose());
  const params = { ...problem.params, ...frozen, ...trained.params };
  const asked = {
    key: fold(problem.key, "bound"),
    k: spec.k,
    closed: spec.closed,
    ...(options.boundDraws !== undefined && { draws: options.boundDraws }),
  };
  const { weights, dispose } = await compileBound(paired, problem, boundParts(paired, asked), 1);
  const estimate = estimating(paired, { ...asked, params: () => toTensors(params), weights });
  let bound: IteratorResult<void, Bound>;
  try {
    bound = estimate.next();
    while (!bound.done) {
      await problem.tick({ step: trained.steps, total: trained.steps, metrics: {} });
      bound = estimate.next();
    }
  } finally {
    dispose();
  }
  const constrained = scope(() => constrainedValues(paired, toTensors(params)));
  const { history, steps, epochs, stopped, bestEpoch, state } = trained;
  return {
    params,
    constrained,
    bound: bound.value as Bound<EvidenceOf<Effect>>,
    rows: dataRows(paired),
    history,
    steps,
    epochs,
    stopped,
    bestEpoch,
    state,
    engine: { ...problem.engine, compiled: trained.compiled },
  };
}

function checkSpec({ name, k, estimator }: BoundSpec, paired: ModelAndGuide): void {
  const [score] = paired.scores;
  if (k > 1 && estimator !== "pathwise" && score !== undefined) {
    fail(
      "not-differentiable",
      `${name}: the "${estimator}" estimator needs reparameterised draws, which site "${score}" does not have; use estimator "pathwise"`,
      { site: score },
    );
  }
  if (k === 1) return;
  const inside = [...paired.plates.values()].find(
    (plate) =>
      plate.subsample !== undefined && plate.subsample < plate.size && !paired.rows.some((r) => r.name === plate.name),
  );
  if (inside !== undefined) {
    fail(
      "plate",
      `${name}: plate "${inside.name}" is subsampled but does not enclose every site, so the minibatch would stand inside the logarithm and bound nothing; use elbo, or all rows`,
      { site: inside.name },
    );
  }
}

/** Steps in one pass over the outermost subsampled plate. */
function passOver({ rows, plates }: ModelAndGuide): number {
  const order = [...rows.map(({ name }) => plates.get(name)), ...plates.values()];
  const first = order.find((plate) => plate?.subsample !== undefined && plate.indices === undefined);
  return first?.subsample === undefined ? 1 : batchesPerEpoch(first.size, first.subsample);
}

/** Parameters to be fitted, and the others. */
function divide(params: Tree<NdArray>, freeze: VariationalOptions["freeze"]): [Tree<NdArray>, Tree<NdArray>] {
  const isFrozen = typeof freeze === "function" ? freeze : (name: string) => freeze?.includes(name) ?? false;
  if (typeof freeze === "object") {
    const unknown = freeze.find((name) => params[name] === undefined);
    if (unknown !== undefined) {
      fail("argument", `freeze: there is no parameter "${unknown}"; there are: ${Object.keys(params).join(", ")}`);
    }
  }
  const part = (frozen: boolean) => Object.fromEntries(Object.entries(params).filter(([n]) => isFrozen(n) === frozen));
  return [part(false), part(true)];
}

/** The running mean of the learning signal: weighted sum and weight, so that the first steps are unbiased too. */
const learn = ({ baseline }: StepContext["carry"], signal: number): StepContext["carry"] => {
  const [sum = 0, weight = 0] = baseline?.data ?? [];
  const keep = BASELINE_DECAY;
  return { baseline: ndarray(Float32Array.of(keep * sum + (1 - keep) * signal, keep * weight + 1 - keep)) };
};

const expectedSignal = ({ baseline }: StepContext["carry"]): number => {
  const [sum = 0, weight = 0] = baseline?.data ?? [];
  return weight === 0 ? 0 : sum / weight;
};

const constrainedValues = ({ params, constraints }: ModelAndGuide, unconstrained: TensorTree): Tree<NdArray> =>
  mapTree(params, (_, name) => {
    const value = unconstrained[name] as tf.Tensor;
    return fromTensor(constraints.get(name)?.bijection().forward(value) ?? value);
  });
