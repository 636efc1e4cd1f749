/**
 * Maximum likelihood of a tilted model, p_E = e^{−E} p/Z: ∇L = −E_q[∇E] + E_{p_E}[∇E], and for a base that trains too
 * ∇_φ L = E_q[∇ log p] − E_{p_E}[∇ log p]. What differs between methods is only where the draws of p_E come from.
 */
import * as tf from "@tensorflow/tfjs-core";
import { type NdArray, ndarray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fail, TiltedError } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { permutation } from "../../core/random/discrete.ts";
import { scope } from "../../core/scope.ts";
import { sizeOf } from "../../core/shape.ts";
import { hostTensor } from "../../core/tracing.ts";
import { type TensorTree, type Tree, toTensors } from "../../core/tree.ts";
import { logJoint } from "../../effects/density.ts";
import type { ParamEffect } from "../../effects/effects.ts";
import { type Energy, replay, tilt } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { logSumExp, stopGradient } from "../../engine/ops.ts";
import { readInto } from "../../engine/read.ts";
import type { Method, Problem, ResultKind } from "../method/infer.ts";
import { type Clip, checkClip, clipGradients } from "../optim/clip.ts";
import { fill, layoutOf, lengthOf, unflatten } from "../optim/flat.ts";
import { adam } from "../optim/optimizers.ts";
import { compileFor, type Evaluated } from "../train/compiled-loss.ts";
import { valueAndGradient } from "../train/gradient.ts";
import type { StepContext } from "../train/loss.ts";
import { negativesFor } from "./default-negatives.ts";
import { classEntropy, type NegativeDraws, type NegativeSource } from "./negatives.ts";
import { checkStopRule, divergence, ring } from "./stability.ts";
import { testRows } from "./tilt-density.ts";
import type { TiltLikelihoodFit, TiltLikelihoodOptions, TiltLook } from "./tilt-likelihood-types.ts";
import {
  elboOf,
  evaluateFit,
  lastGoodCheckpoint,
  lookAt,
  meanLogProb,
  prepare,
  reportScalar,
  type Sums,
} from "./tilt-training.ts";

export interface TiltLikelihoodKind extends ResultKind {
  readonly result: TiltLikelihoodFit;
}

const EVALUATION_DRAWS = 8192;
const RING = 8;
const CLIP: Clip = { norm: 10 };
/** Rows of a buffer that are classified. */
const CLASSIFIED = 1024;

/** Energies of one step, as the loss saw them. */
interface Seen {
  target: number;
  negatives: number;
  essRatio: number;
}

/**
 * Fits the energy of `tilt(site, energy)` to data by maximum likelihood, with negatives from the tilted model itself.
 *
 * @param site - A site of the base, which takes no arguments and has no data.
 * @param data - Draws of the target, `[m, ...event]`.
 * @remarks With `joint` the gradient of log p needs the latents of the negatives: they are drawn with them, so no encoder enters. A run
 * that diverges ends with the last good state instead of an error.
 * @example
 * const negatives = chainDraws({ chains: 64, steps: 10, coordinates: inNoise("x") });
 * const fit = await infer(net.base, tiltLikelihood("x", energy(784), x, { negatives, steps: 500 }), { params: vae.params, seed: 1 });
 * @throws `missing-site`, `shape`, `argument`; `non-finite` when the first step is already.
 */
export function tiltLikelihood<E2 extends ParamEffect = never>(
  site: string,
  energy: Energy<E2>,
  data: NdArray,
  options: TiltLikelihoodOptions = {},
): Method<TiltLikelihoodKind, undefined> {
  const what = "tiltLikelihood";
  const { steps = 2000, every = 25, penalty = 0, stop = {} } = options;
  const whole = { steps, every, batch: options.batch ?? 128, ring: options.ring ?? RING };
  for (const [name, value] of Object.entries(whole)) checkWhole(what, name, value);
  if (!(penalty >= 0)) fail("argument", `${what}: penalty must not be negative, got ${penalty}`);
  checkClip(options.clip ?? CLIP);
  if (stop !== false) checkStopRule(what, stop);
  return { name: what, run: (problem) => run(problem, site, energy as Energy<ParamEffect>, data, options) };
}

async function run(
  problem: Problem,
  site: string,
  energy: Energy<ParamEffect>,
  data: NdArray,
  options: TiltLikelihoodOptions,
): Promise<TiltLikelihoodFit> {
  const { joint, optimizer = adam(1e-3), steps = 2000, every = 25, stop = {} } = options;
  const test = testRows("tiltLikelihood", options.test, data);
  const { base, info: place, initial, network, depth } = prepare(problem, site, energy, data, joint);
  const negatives = negativesFor(place, options.negatives);
  if (joint !== undefined && negatives.alone !== undefined)
    fail(
      "argument",
      `tiltLikelihood: a base that trains too needs the latents of its negatives, and chains that follow a drift move "${negatives.alone}" alone; leave out drift`,
    );
  const layout = layoutOf(initial.trained);
  const size = lengthOf(layout);
  const params = fill(new Float32Array(size), layout, initial.trained);
  const grads = new Float32Array(size);
  // The same trees everywhere: they are read anew in every step, recorded or not.
  const live: Tree<NdArray> = {
    ...initial.fixed,
    ...Object.fromEntries(
      layout.map(({ name, shape, offset, size: n }) => {
        const part = params.subarray(offset, offset + n);
        return [name, { ...ndarray(part, shape), tensor: () => hostTensor(() => part.slice(), shape) }];
      }),
    ),
  };
  const within: Problem = { ...problem, params: live };
  const tilted = tilt(site, network)(base as never) as Problem["model"];
  const source: NegativeSource = await negatives.start({
    problem: within,
    tilted: (negatives.coordinates?.(tilted as never) ?? tilted) as Problem["model"],
    steps,
  });
  const rows = data.shape[0] as number;
  const batch = Math.min(options.batch ?? 128, rows);
  const event = data.shape.slice(1);
  const positives = new Float32Array(batch * sizeOf(event));
  const order = permutation(fold(problem.key, "rows"), rows);
  let drawn: NegativeDraws = {};
  const seen: Seen = { target: 0, negatives: 0, essRatio: 1 };

  const loss = (given: TensorTree, { key }: StepContext): tf.Tensor => {
    const all = { ...toTensors(initial.fixed), ...given };
    const x = hostTensor(() => positives.slice(), [batch, ...event]);
    const fake = Object.fromEntries(
      Object.entries(drawn).map(([name, { shape }]) => [
        name,
        hostTensor(() => (drawn[name] as NdArray).data.slice() as Float32Array, shape),
      ]),
    );
    const at = fake[site] as tf.Tensor;
    const both = tf.reshape(interpret(network(tf.concat([x, at], 0)), { params: all }).result, [-1]);
    const [plus, minus] = tf.split(both, [batch, source.count]) as [tf.Tensor, tf.Tensor];
    const weights =
      negatives.kind === "weighted"
        ? stopGradient(tf.softmax(tf.neg(minus)))
        : tf.fill([source.count], 1 / source.count);
    reportScalar(tf.mean(plus), (v) => {
      seen.target = v;
    });
    reportScalar(tf.sum(tf.mul(weights, minus)), (v) => {
      seen.negatives = v;
    });
    if (negatives.kind === "weighted")
      reportScalar(tf.sum(tf.square(weights)), (v) => {
        seen.essRatio = 1 / v / source.count;
      });
    let total =
      negatives.kind === "weighted"
        ? tf.add(tf.mean(plus), tf.sub(logSumExp(tf.neg(minus)), Math.log(source.count)))
        : tf.sub(tf.mean(plus), tf.mean(minus));
    const alpha = options.penalty ?? 0;
    if (alpha > 0) {
      const centre = stopGradient(tf.mean(minus));
      const about = (e: tf.Tensor) => tf.mean(tf.square(tf.sub(e, centre)));
      total = tf.add(total, tf.mul(alpha, tf.add(about(plus), about(minus))));
    }
    if (joint === undefined) return total;
    // log p(x⁻, z⁻): z⁻ was drawn with x⁻, so this is an unbiased ∇ log p(x⁻) (Fisher's identity with an exact posterior draw).
    const values = interpret(replay({ latents: fake })(base)(), { particles: source.count, depth, params: all });
    const negative = tf.sum(tf.mul(weights, tf.reshape(logJoint(values), [-1])));
    const positive = joint === true ? meanLogProb(base, site, x, batch, depth, all) : elboOf(joint, x, batch, all, key);
    return tf.add(total, tf.sub(negative, positive));
  };

  const key = fold(problem.key, "train");
  const keyOf = (step: number): Key => fold(fold(key, "step"), step);
  const context = (step: number): StepContext => ({ key: keyOf(step), step, epoch: 0, stepInEpoch: step, carry: {} });
  const gather = (step: number) => {
    const n = sizeOf(event);
    for (let i = 0; i < batch; i++) {
      const row = order[(step * batch + i) % rows] as number;
      positives.set(data.data.subarray(row * n, (row + 1) * n), i * n);
    }
  };
  const eagerly = (told: StepContext): Evaluated =>
    scope(() => {
      const at = Object.fromEntries(
        layout.map(({ name, shape, offset, size: n }) => [
          name,
          tf.tensor(params.slice(offset, offset + n), [...shape]),
        ]),
      );
      const { value, grads: derivatives } = valueAndGradient("tiltLikelihood", () => loss(at, told), at);
      for (const { name, offset, size: n } of layout) {
        const grad = derivatives[name];
        if (grad === undefined) grads.fill(0, offset, offset + n);
        else readInto(grad, grads, offset);
      }
      return { loss: value.dataSync()[0] as number, carry: {} };
    });

  const history: TiltLook[] = [];
  const good = ring(options.ring ?? RING);
  good.push({ step: 0, params });
  let state = optimizer.init(initial.trained);
  let message = "";
  let done = 0;
  const held = () => source.held(CLASSIFIED)?.[site];
  const { classify } = options;
  const labelsOf = () => {
    const rowsHeld = classify === undefined ? undefined : held();
    return rowsHeld === undefined ? undefined : classify?.(rowsHeld);
  };
  let sums: Sums = { target: 0, negatives: 0, essRatio: 0, n: 0 };
  gather(0);
  drawn = await source.next(0);
  const { compiled, info } = await compileFor(problem.choice, steps, 0, {
    spec: {
      name: "tiltLikelihood",
      loss,
      layout,
      params,
      grads,
      key,
      carry: {},
      threads: problem.threads,
      background: problem.background,
    },
    check: () => eagerly(context(0)),
    context: () => context(0),
  });
  try {
    while (done < steps) {
      if (done > 0) {
        gather(done);
        drawn = await source.next(done);
      }
      const told = context(done);
      const evaluated = (await compiled?.evaluate(told)) ?? eagerly(told);
      if (!Number.isFinite(evaluated.loss)) fail("non-finite", `the loss is ${evaluated.loss}`);
      clipGradients(grads, layout, options.clip ?? CLIP);
      const { step, slots } = optimizer.update(state, params, grads, layout);
      state = { step, slots };
      done++;
      sums = {
        target: sums.target + seen.target,
        negatives: sums.negatives + seen.negatives,
        essRatio: sums.essRatio + seen.essRatio,
        n: sums.n + 1,
      };
      if (done % every === 0 || done === steps) {
        const look = lookAt(done, sums, source, negatives.kind === "weighted", labelsOf);
        sums = { target: 0, negatives: 0, essRatio: 0, n: 0 };
        history.push(look);
        const reason = stop === false ? undefined : divergence(history, stop);
        if (reason !== undefined) {
          message = reason;
          break;
        }
        good.push({ step: done, params });
      }
      await problem.tick({
        step: done,
        total: steps,
        metrics: { loss: evaluated.loss, gap: seen.target - seen.negatives },
      });
    }
  } catch (error) {
    // A training step that blows up is a way in which energies diverge; anything else is a fault.
    if (!(error instanceof TiltedError) || error.code !== "non-finite" || done === 0) throw error;
    message = error.message;
  } finally {
    compiled?.dispose();
  }
  const diverged = message !== "";
  const kept = diverged ? lastGoodCheckpoint(good, history, stop === false ? {} : stop) : { step: done, params };
  params.set(kept.params);
  const labels = diverged ? undefined : labelsOf();
  // The buffer of a run that went back to an earlier state is not of that state.
  const rowsHeld = diverged ? undefined : held();
  source.dispose();
  const told = diverged
    ? `stopped at step ${done}: ${message}; the parameters are those of step ${kept.step}`
    : `finished ${done} steps`;
  return evaluateFit({ problem: within, site, network }, options.evaluation ?? EVALUATION_DRAWS, {
    weighted: negatives.kind === "weighted",
    held: rowsHeld,
    test,
    logDensity: options.logDensity,
    params: { ...initial.fixed, ...unflatten(params, layout) },
    negatives: negatives.name,
    history,
    stopped: diverged ? "diverged" : "finished",
    message: told,
    steps: kept.step,
    checkpoints: good.entries.map(({ step, params: p }) => ({
      step,
      params: { ...initial.fixed, ...unflatten(p, layout) },
    })),
    classEntropy: labels === undefined ? undefined : classEntropy(labels),
    engine: { ...problem.engine, compiled: info },
  });
}
