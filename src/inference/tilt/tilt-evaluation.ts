/** Evaluation of a tilt fitted by maximum likelihood: log Z, likelihood and weights, over fresh base draws. */
import * as tf from "@tensorflow/tfjs-core";
import { type NdArray, ndarray } from "../../core/array.ts";
import { fold } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { sizeOf } from "../../core/shape.ts";
import { type Tree, toTensors } from "../../core/tree.ts";
import { interpret } from "../../effects/interpret.ts";
import { unscored } from "../../effects/run-handlers.ts";
import { LEAST_ESS } from "../diagnostics/thresholds.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel } from "../problem/inspect-model.ts";
import { logZ, logZWithDraws } from "../weights/log-z.ts";
import { paretoK, UNRELIABLE_K } from "../weights/pareto.ts";
import { diagnose, sumWeights } from "../weights/weights.ts";
import { type EnergyProgram, evaluate } from "./energy-program.ts";
import { type BaseLogDensity, exactLogDensity, tiltedBounds } from "./tilt-density.ts";
import type { TiltLikelihoodFit } from "./tilt-likelihood-types.ts";

/** Fields of a fit that its evaluation adds. */
type EvaluationFields =
  | "energy"
  | "centre"
  | "logZ"
  | "logZFrom"
  | "logLikelihood"
  | "essRatio"
  | "largestWeight"
  | "khat"
  | "trusted"
  | "warnings";

/** A finished training. */
export interface TrainedTilt extends Omit<TiltLikelihoodFit, EvaluationFields> {
  /** Whether its negatives were weighted draws of the base. */
  readonly weighted: boolean;
}

/** What to evaluate with. */
export interface EvaluationSpec {
  /** The base; its parameters are those of the fit. */
  readonly problem: Problem;
  readonly site: string;
  readonly network: EnergyProgram;
  /** Base draws. */
  readonly draws: number;
  /** Rows of the buffer, as draws of p_E; `undefined` without a buffer. */
  readonly buffered: NdArray | undefined;
  readonly test: NdArray;
  readonly logDensity: BaseLogDensity | undefined;
}

/** Share of the evaluation's draws that set the constant of the energy. */
const CENTRING_SHARE = 1 / 4;

/** The fit with its evaluation. */
export function evaluateFit(spec: EvaluationSpec, { weighted, ...trained }: TrainedTilt): TiltLikelihoodFit {
  const { site, network, draws, buffered, test } = spec;
  const { params } = trained;
  const problem = { ...spec.problem, params };
  const E = baseEnergies(problem, site, network, draws);
  // The constant that makes Z = 1 as far as base draws can tell, so that e^{−E} is the density ratio itself. Its draws are not used again.
  const centring = Math.ceil(draws * CENTRING_SHARE);
  const centre = -diagnose(sumWeights(E.subarray(0, centring).map((e) => -e))).logMean;
  const logWeights = E.subarray(centring).map((e) => centre - e);
  const { ess, essRatio, largestWeight } = diagnose(sumWeights(logWeights));
  const khat = paretoK(logWeights);
  const warnings = warningsOf(trained, weighted, { draws, ess, khat });
  const chains = buffered === undefined ? undefined : energiesOf(buffered, network, params).map((e) => centre - e);
  const z = chains === undefined ? logZ(logWeights) : logZWithDraws(logWeights, chains);
  const base = spec.logDensity?.(test, params) ?? exactLogDensity(problem, site, test);
  const mean = energiesOf(test, network, params).reduce((sum, e) => sum + e, 0) / (test.shape[0] as number);
  return {
    ...trained,
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

function warningsOf(
  { stopped, message, history }: Omit<TrainedTilt, "weighted">,
  weighted: boolean,
  { draws, ess, khat }: { readonly draws: number; readonly ess: number; readonly khat: number },
): string[] {
  const last = history[history.length - 1];
  return [
    ...(stopped === "diverged" ? [message] : []),
    ...(ess < LEAST_ESS.weights
      ? [
          `${draws} base draws have an effective sample size of ${ess.toPrecision(2)} under the tilt: log Z from them is not to be trusted, nor is SNIS; use chains in (z, ε)`,
        ]
      : []),
    ...(khat > UNRELIABLE_K ? [`Pareto k of base draws is ${khat.toFixed(2)}, above ${UNRELIABLE_K}`] : []),
    ...(weighted && (last?.essRatio ?? 1) * draws < LEAST_ESS.weights
      ? ["the negatives' weights had collapsed at the end: single draws dominated the gradient; use chains"]
      : []),
    ...(last?.warnings ?? []),
    ...((last?.nonFinite ?? 0) > 0 ? ["some proposals of the chains had no finite density"] : []),
  ];
}

/** Elements of the largest site in one run of draws. */
const MAX_ELEMENTS = 1 << 19;

/** Energies of fresh base draws. */
function baseEnergies(problem: Problem, site: string, network: EnergyProgram, count: number): Float32Array {
  const { depth, latents } = inspectModel(problem);
  const base = unscored(problem.model);
  const largest = Math.max(1, ...latents.map(({ shape }) => sizeOf(shape)));
  const part = Math.max(1, Math.min(count, Math.floor(MAX_ELEMENTS / largest)));
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
  const size = sizeOf(event);
  const part = Math.max(1, Math.floor(MAX_ELEMENTS / size));
  const out = new Float32Array(n);
  for (let from = 0; from < n; from += part) {
    const to = Math.min(n, from + part);
    const rows = ndarray(x.data.slice(from * size, to * size) as Float32Array, [to - from, ...event]);
    scope(() => out.set(evaluate(network, rows.tensor(), toTensors(params)).dataSync() as Float32Array, from));
  }
  return out;
}
