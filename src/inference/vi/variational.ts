/** Variational inference: fits a guide (and the parameters of the model) by maximizing a bound. `elbo` and `iwae` call it. */
import * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { mapTree, type TensorTree, type Tree, toTensors } from "../../core/tree.ts";
import type { Effect, Model } from "../../effects/effects.ts";
import type { Problem } from "../method/infer.ts";
import { adam } from "../optim/optimizers.ts";
import { cosineDecay } from "../optim/schedules.ts";
import { matchGuide } from "../problem/match-guide.ts";
import { batchesPerEpoch, minibatches } from "../problem/minibatch.ts";
import { dataRows, type ModelAndGuide } from "../problem/model-and-guide.ts";
import type { Loss, StepContext } from "../train/loss.ts";
import { train, trainingIn } from "../train/train.ts";
import type { Trained } from "../train/train-types.ts";
import type { Bound, EvidenceOf } from "../weights/bound.ts";
import { compileBound } from "./bound-program.ts";
import { boundParts, estimateBound, estimating } from "./estimate-bound.ts";
import { surrogate } from "./importance-bound.ts";
import type { BoundSpec, Variational, VariationalFit, VariationalOptions } from "./variational-types.ts";

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

/** A fit before its first step. */
interface Fitting {
  readonly spec: BoundSpec;
  readonly options: VariationalOptions;
  readonly problem: Problem;
  readonly paired: ModelAndGuide;
  /** The same with held-out arguments. */
  readonly heldOut: ModelAndGuide | undefined;
  readonly fitted: Tree<NdArray>;
  readonly frozen: Tree<NdArray>;
  readonly stepsPerEpoch: number;
  /** Steps of the whole run. */
  readonly total: number;
}

async function maximizeBound(
  spec: BoundSpec,
  guide: Problem["model"],
  options: VariationalOptions,
  problem: Problem,
): Promise<VariationalFit<Effect, Effect>> {
  const fitting = prepared(spec, guide, options, problem);
  const { paired, frozen } = fitting;
  const trained = await trainGuide(fitting);
  const params = { ...problem.params, ...frozen, ...trained.params };
  const bound = await finalBound(fitting, params, trained.steps);
  const { history, steps, epochs, stopped, bestEpoch, state } = trained;
  return {
    params,
    constrained: scope(() => constrainedValues(paired, toTensors(params))),
    bound: bound as Bound<EvidenceOf<Effect>>,
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

/** @throws What {@link matchGuide} throws; `argument`, `plate`, `not-differentiable` on options that do not fit the model. */
function prepared(spec: BoundSpec, guide: Problem["model"], options: VariationalOptions, problem: Problem): Fitting {
  const { name } = spec;
  const { validation, epochs, steps = DEFAULT_STEPS } = options;
  const paired = matchGuide(problem, guide);
  checkSpec(spec, paired);
  const heldOut = validation && matchGuide({ ...problem, args: validation.args }, guide);
  if (epochs !== undefined && options.steps !== undefined)
    fail("argument", `${name}: give either steps or epochs, not both`);
  const stepsPerEpoch = options.stepsPerEpoch ?? passOver(paired);
  const total = epochs === undefined ? steps : epochs * stepsPerEpoch;
  const [fitted, frozen] = divide(paired.params, options.freeze);
  if (total > 0 && Object.keys(fitted).length === 0)
    fail("argument", `${name}: model and guide have no parameters to fit; steps: 0 estimates the bound`);
  return { spec, options, problem, paired, heldOut, fitted, frozen, stepsPerEpoch, total };
}

/** Trains the parameters that are not frozen. */
async function trainGuide(fitting: Fitting): Promise<Trained> {
  const { spec, options, problem, fitted, stepsPerEpoch, total } = fitting;
  const { steps = DEFAULT_STEPS, epochs, clip, patience, onEpoch, from } = options;
  const validation = await validationOf(fitting);
  return train({
    ...trainingIn(problem),
    ...(epochs === undefined ? { steps } : { epochs }),
    name: spec.name,
    params: fitted,
    optimizer: options.optimizer ?? adam(cosineDecay({ from: DEFAULT_RATE, steps: Math.max(1, total) })),
    stepsPerEpoch,
    ...(clip && { clip }),
    ...(patience !== undefined && { patience }),
    ...(onEpoch && { onEpoch }),
    ...(from && { from }),
    loss: lossOf(fitting),
    ...(validation && { validate: validation.validate }),
  }).finally(() => validation?.dispose());
}

/** Fitted and frozen parameters together. */
const allParams = ({ frozen }: Fitting, fitted: TensorTree): TensorTree => ({ ...fitted, ...toTensors(frozen) });

/** Minus the bound, in nats per row. */
function lossOf(fitting: Fitting): Loss {
  const { spec, options, problem, paired } = fitting;
  const { k, draws, estimator, closed } = spec;
  const baseline = options.baseline ?? (draws * k > 1 ? "leave-one-out" : "running-mean");
  const rowsAt = minibatches(fold(problem.key, "rows"));
  return (params, context) => {
    const { bound, signal } = surrogate(paired, {
      key: context.key,
      params: allParams(fitting, params),
      // Called when rows are chosen, which a traced step does anew in every run.
      subsample: (...plate) => rowsAt(context.step)(...plate),
      particles: undefined,
      k,
      draws,
      estimator,
      closed,
      baseline,
      expected: () => expectedSignal(context.carry),
    });
    const loss = tf.div(bound, -dataRows(paired));
    return baseline === "running-mean" ? { loss, carry: () => updateBaseline(context.carry, signal()) } : loss;
  };
}

/** The loss on held-out arguments, under the same noise every time. */
async function validationOf(fitting: Fitting) {
  const { spec, options, problem, heldOut, total, stepsPerEpoch } = fitting;
  if (heldOut === undefined) return undefined;
  const estimate = { k: spec.k, closed: spec.closed, draws: options.validation?.draws ?? 1 };
  const key = fold(trainingIn(problem).key, "validate");
  const { weights, dispose } = await compileBound(
    heldOut,
    problem,
    boundParts(heldOut, { ...estimate, key }),
    total / stepsPerEpoch,
  );
  const validate = (params: TensorTree, { key }: StepContext): number =>
    -estimateBound(heldOut, { ...estimate, key, params: () => allParams(fitting, params), weights }).value /
    dataRows(heldOut);
  return { validate, dispose };
}

/** The bound on all data at the parameters found. */
async function finalBound(
  { spec, options, problem, paired }: Fitting,
  params: Tree<NdArray>,
  step: number,
): Promise<Bound> {
  const estimated = {
    key: fold(problem.key, "bound"),
    k: spec.k,
    closed: spec.closed,
    ...(options.boundDraws !== undefined && { draws: options.boundDraws }),
  };
  const { weights, dispose } = await compileBound(paired, problem, boundParts(paired, estimated), 1);
  try {
    const estimate = estimating(paired, { ...estimated, params: () => toTensors(params), weights });
    let part = estimate.next();
    while (!part.done) {
      await problem.tick({ step, total: step, metrics: {} });
      part = estimate.next();
    }
    return part.value;
  } finally {
    dispose();
  }
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
      `${name}: plate "${inside.name}" is subsampled but does not enclose every site, so the minibatch would be inside the logarithm and the result no bound; use elbo, or all rows`,
      { site: inside.name },
    );
  }
}

/** Steps in one pass over the outermost subsampled plate. */
function passOver({ rows, plates }: ModelAndGuide): number {
  const order = [...rows.map(({ name }) => plates.get(name)), ...plates.values()];
  const first = order.find((plate) => plate?.subsample !== undefined && !plate.fixed);
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
const updateBaseline = ({ baseline }: StepContext["carry"], signal: number): StepContext["carry"] => {
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
