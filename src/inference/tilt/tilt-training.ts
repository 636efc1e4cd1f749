/** Parts of the maximum-likelihood fit of a tilt: what is trained, the base's own gradient, looks, and what a finished fit is worth. */
import * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { showShape } from "../../core/shape.ts";
import { currentTracer } from "../../core/tracing.ts";
import { type TensorTree, type Tree, toTensors } from "../../core/tree.ts";
import { logJoint } from "../../effects/density.ts";
import type { Effect, Model, ParamEffect } from "../../effects/effects.ts";
import { type Energy, replay } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { unscored, withPlates } from "../../effects/run-handlers.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel } from "../problem/inspect-model.ts";
import { logZ, logZWithDraws } from "../weights/log-z.ts";
import { paretoK, UNRELIABLE_K } from "../weights/pareto.ts";
import { diagnose, sumWeights } from "../weights/weights.ts";
import { type EnergyProgram, energyProgram, evaluate } from "./energy-program.ts";
import { classEntropy, type NegativeSource } from "./negatives.ts";
import { divergence, type EnergyLook, type Ring, type RingEntry, type StopRule } from "./stability.ts";
import { type BaseLogDensity, exactLogDensity, tiltedBounds } from "./tilt-density.ts";
import type { TiltLikelihoodFit, TiltLook, Trainable } from "./tilt-likelihood-types.ts";

/** The base, the energy and their first parameters. @throws `missing-site`, `shape`, `argument`. */
export function prepare(
  problem: Problem,
  site: string,
  energy: Energy<ParamEffect>,
  data: NdArray,
  joint: Trainable | true | undefined,
) {
  const structure = inspectModel(problem);
  const info = structure.latents.find(({ name }) => name === site);
  if (info === undefined) {
    const names = structure.latents.map(({ name }) => `"${name}"`).join(", ");
    return fail("missing-site", `tiltLikelihood: the base draws no site "${site}"; it draws ${names}`, { site });
  }
  const event = data.shape.slice(1);
  if (`${event}` !== `${info.shape}`)
    fail(
      "shape",
      `tiltLikelihood: data of "${site}" have shape ${showShape(data.shape)}, expected [m, ${info.shape}]`,
      { site },
    );
  if (joint === true && structure.latents.length > 1)
    fail(
      "argument",
      `tiltLikelihood: joint: true needs a base whose only latent site is "${site}"; give { model, guide }, whose ELBO stands for log p`,
    );
  const network = energyProgram(energy);
  const own = (run: () => ReturnType<typeof interpret>): Tree<NdArray> =>
    scope(() => Object.fromEntries([...run().params].map(([name, p]) => [name, fromTensor(p.unconstrained)])));
  const given = () => ({ key: fold(problem.key, "init"), params: toTensors(problem.params) });
  const one = ndarray(
    data.data.slice(
      0,
      event.reduce((a, b) => a * b, 1),
    ) as Float32Array,
    [1, ...event],
  );
  const learned = own(() => interpret(network(one.tensor()), given()));
  if (Object.keys(learned).length === 0) fail("argument", "tiltLikelihood: the energy has no parameters to fit");
  const pair =
    joint === undefined || joint === true
      ? {}
      : {
          ...own(() => interpret(unscored(joint.guide)(one), given())),
        };
  const baseParams = { ...structure.params, ...pair };
  const trained = joint === undefined ? learned : { ...baseParams, ...learned };
  const fixed = Object.fromEntries(
    Object.entries({ ...baseParams, ...problem.params }).filter(([name]) => trained[name] === undefined),
  );
  return { base: problem.model, info, initial: { trained, fixed }, network, depth: structure.depth };
}

/** Reads a number off a loss, recorded or not. */
export function reportScalar(x: tf.Tensor, read: (value: number) => void): void {
  const trace = currentTracer();
  if (trace?.isSymbolic(x)) trace.hostCallback(stopped(x), (values) => read(values[0] as number));
  else read(x.dataSync()[0] as number);
}
const stopped = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [1]);

/** Mean over rows of log p(x) under a base whose only latent is the site. */
export function meanLogProb(
  base: Problem["model"],
  site: string,
  x: tf.Tensor,
  rows: number,
  depth: number,
  params: TensorTree,
): tf.Tensor {
  const run = interpret(replay({ latents: { [site]: x } })(base)(), { particles: rows, depth, params });
  return tf.mean(logJoint(run));
}

/** Mean over rows of a one-draw ELBO: a lower bound that stands for log p(x) in the base's gradient. */
export function elboOf(
  { model, guide }: Trainable,
  x: tf.Tensor,
  rows: number,
  params: TensorTree,
  key: Key,
): tf.Tensor {
  // The models take arrays; this one hands out the tensor of the step.
  const data: NdArray = { data: new Float32Array(0), shape: x.shape, dtype: "float32", tensor: () => x };
  const q = interpret(guide(data), { key: fold(key, "guide"), params });
  const latents = Object.fromEntries(
    [...q.sites.values()].flatMap((s) => (s.kind === "sample" ? [[s.name, s.value as tf.Tensor]] : [])),
  );
  const placed = withPlates(q.plates)(model as Model<[NdArray], Effect, unknown>);
  const p = interpret(replay({ latents })(placed)(data), { key: fold(key, "model"), params });
  return tf.div(tf.sub(logJoint(p), logJoint(q)), rows);
}

/** Sums over the steps since the last look. */
export interface Sums {
  readonly target: number;
  readonly negatives: number;
  readonly essRatio: number;
  readonly n: number;
}

/** What a look shows. */
export function lookAt(
  step: number,
  { target, negatives, essRatio, n }: Sums,
  source: NegativeSource,
  weighted: boolean,
  labels: (() => ArrayLike<number> | undefined) | undefined,
): TiltLook {
  const found = labels?.();
  // Only differences of energies mean anything: the constant is taken out.
  const centre = negatives / n;
  return {
    step,
    target: target / n - centre,
    negatives: 0,
    gap: Math.abs(target / n - centre),
    ...source.info(),
    ...(weighted && { essRatio: essRatio / n }),
    ...(found !== undefined && { classEntropy: classEntropy(found) }),
  };
}

/** The last state before the gap began to rise. */
export function lastGoodCheckpoint(good: Ring, history: readonly EnergyLook[], rule: StopRule): RingEntry {
  let last = history.length;
  // A run that blew up between looks goes back to its newest state; one that drifted, to the look before the rise.
  if (divergence(history, rule) !== undefined) {
    last = history.length - 1;
    while (last > 0 && (history[last]?.gap as number) > (history[last - 1]?.gap as number)) last--;
  }
  const step = history[last]?.step ?? Number.POSITIVE_INFINITY;
  return good.before(step) ?? fail("argument", "the ring is empty");
}

/** Numbers that one batch of draws may hold. */
const AT_ONCE = 1 << 19;

/** Energies of fresh base draws. */
export function baseEnergies(problem: Problem, site: string, network: EnergyProgram, count: number): Float32Array {
  const { depth, latents } = inspectModel(problem);
  const base = unscored(problem.model);
  const largest = Math.max(1, ...latents.map(({ shape }) => shape.reduce((a, b) => a * b, 1)));
  const part = Math.max(1, Math.min(count, Math.floor(AT_ONCE / largest)));
  const out = new Float32Array(count);
  for (let first = 0; first < count; first += part) {
    const particles = Math.min(part, count - first);
    scope(() => {
      const params = toTensors(problem.params);
      const run = interpret(base(...problem.args), {
        key: fold(problem.key, "evaluate"),
        particles,
        first,
        depth,
        params,
      });
      out.set(evaluate(network, run.sites.get(site)?.value as tf.Tensor, params).dataSync() as Float32Array, first);
    });
  }
  return out;
}

/** Energies of given rows. */
function energiesOf(x: NdArray, network: EnergyProgram, params: Tree<NdArray>): Float32Array {
  const [n, ...event] = x.shape as [number, ...number[]];
  const size = event.reduce((a, b) => a * b, 1);
  const part = Math.max(1, Math.floor(AT_ONCE / size));
  const out = new Float32Array(n);
  for (let from = 0; from < n; from += part) {
    const to = Math.min(n, from + part);
    const rows = ndarray(x.data.slice(from * size, to * size) as Float32Array, [to - from, ...event]);
    scope(() => out.set(evaluate(network, rows.tensor(), toTensors(params)).dataSync() as Float32Array, from));
  }
  return out;
}

/** Share of the evaluation's draws that set the constant. */
const CENTRING = 1 / 4;
/** Fewest effective base draws for which log Z is worth something. */
const FEWEST_EFFECTIVE = 50;

/** What a fit is worth, measured over fresh base draws. */
export function evaluateFit(
  where: { readonly problem: Problem; readonly site: string; readonly network: EnergyProgram },
  draws: number,
  fit: Omit<
    TiltLikelihoodFit,
    | "energy"
    | "centre"
    | "logZ"
    | "logZFrom"
    | "logLikelihood"
    | "essRatio"
    | "largestWeight"
    | "khat"
    | "trusted"
    | "warnings"
  > & {
    readonly weighted: boolean;
    readonly held: NdArray | undefined;
    readonly test: NdArray;
    readonly logDensity: BaseLogDensity | undefined;
  },
): TiltLikelihoodFit {
  const { weighted, held, test, logDensity, ...rest } = fit;
  const E = baseEnergies({ ...where.problem, params: fit.params }, where.site, where.network, draws);
  // The constant that makes Z = 1 as nearly as base draws can tell, so that e^{−E} is the density ratio itself. Its draws are not used again.
  const apart = Math.ceil(draws * CENTRING);
  const centre = -diagnose(sumWeights(E.subarray(0, apart).map((e) => -e))).logMean;
  const logWeights = E.subarray(apart).map((e) => centre - e);
  const { ess, essRatio, largestWeight } = diagnose(sumWeights(logWeights));
  const khat = paretoK(logWeights);
  const last = fit.history[fit.history.length - 1];
  const warnings = [
    ...(fit.stopped === "diverged" ? [fit.message] : []),
    ...(ess < FEWEST_EFFECTIVE
      ? [
          `${draws} base draws are worth ${ess.toPrecision(2)} under the tilt: log Z from them is not to be trusted, nor is SNIS; use chains in (z, ε)`,
        ]
      : []),
    ...(khat > UNRELIABLE_K ? [`Pareto k of base draws is ${khat.toFixed(2)}, above ${UNRELIABLE_K}`] : []),
    ...(weighted && (last?.essRatio ?? 1) * draws < FEWEST_EFFECTIVE
      ? ["the negatives' weights had collapsed at the end: the gradient followed single draws; use chains"]
      : []),
    ...(last?.warnings ?? []),
    ...((last?.nonFinite ?? 0) > 0 ? ["some proposals of the chains had no finite density"] : []),
  ];
  const { network } = where;
  const chains = held === undefined ? undefined : energiesOf(held, network, fit.params).map((e) => centre - e);
  const base =
    logDensity?.(test, fit.params) ?? exactLogDensity({ ...where.problem, params: fit.params }, where.site, test);
  const mean = energiesOf(test, network, fit.params).reduce((sum, e) => sum + e, 0) / (test.shape[0] as number);
  const z = chains === undefined ? logZ(logWeights) : logZWithDraws(logWeights, chains);
  return {
    ...rest,
    energy: function* (x) {
      return tf.sub(yield* network(x), centre);
    },
    centre,
    logZ: z,
    logLikelihood: base && tiltedBounds(base, mean - centre, z),
    logZFrom: chains === undefined ? "base draws" : "base draws and the buffer",
    essRatio,
    largestWeight,
    khat,
    trusted: warnings.length === 0,
    warnings,
  };
}
