/**
 * Defensive importance sampling (Hesterberg 1995): some draws come from the prior and the others from a guide, and all are weighed
 * against the mixture of the two, so that no weight exceeds likelihood/share however narrow the guide is.
 */
import * as tf from "@tensorflow/tfjs-core";
import { type Effect, fold, type LatentsOf, type Model, type NdArray, replay, TiltedError, tensorScope } from "tilted";
import {
  type Bound,
  diagnose,
  drawsOf,
  type EffectsIn,
  type EvidenceOf,
  type Execution,
  evidenceLabel,
  interpret,
  logJoint,
  type Method,
  matchGuide,
  normalizeWeights,
  type Problem,
  paretoK,
  type ResultKind,
  scored,
  sumSites,
  sumWeights,
  toTensors,
} from "tilted/inference";
import { logSumExp } from "tilted/math";

/** Draws with weights. */
export interface DefensiveResult<E extends Effect = Effect> {
  /** `[n, ...plates, ...event]`. */
  readonly sites: { readonly [N in LatentsOf<E>]: NdArray };
  /** Normalised, `[n]`. */
  readonly weights: Float64Array;
  readonly largestLogWeight: number;
  readonly ess: number;
  readonly khat: number;
  readonly logEvidence: Bound<EvidenceOf<E>>;
}

export interface DefensiveKind extends ResultKind {
  readonly result: DefensiveResult<EffectsIn<this>>;
}

export interface DefensiveOptions {
  /** Share of the draws that comes from the prior. Default .1. */
  readonly share?: number;
}

/** w = p(z, x)/(α p(z) + (1 − α) q(z)), αn draws from p(z) and (1 − α)n from the guide q. */
export function defensive<Args extends readonly unknown[], G extends Effect>(
  guide: Model<Args, G, unknown>,
  n: number,
  { share = 0.1 }: DefensiveOptions = {},
): Method<DefensiveKind, { readonly effects: G; readonly args: Args }> {
  if (!(share > 0 && share < 1)) throw new TiltedError("argument", `defensive: share must be in (0, 1), got ${share}`);
  return { name: "defensive", run: (problem) => run(problem, guide as Problem["model"], n, share) };
}

const latentsOf = (run: Execution) => [...run.sites.values()].filter((site) => site.kind === "sample");

async function run(problem: Problem, guide: Problem["model"], n: number, share: number): Promise<DefensiveResult> {
  const fit = matchGuide(problem, guide);
  const fromPrior = Math.round(share * n);
  const { sites, logWeights } = tensorScope(() => {
    const params = toTensors(fit.params);
    const draw = (program: Problem["model"], particles: number, name: string) =>
      interpret(program(...problem.args), { key: fold(problem.key, name), particles, depth: fit.depth, params });
    const [prior, guided] = [draw(problem.model, fromPrior, "prior"), draw(guide, n - fromPrior, "guide")];
    const drawnAt = (run: Execution, name: string) => run.sites.get(name)?.value as tf.Tensor;
    const latents = Object.fromEntries(
      fit.modelInfo.latents.map(({ name }) => [name, tf.concat([drawnAt(prior, name), drawnAt(guided, name)])]),
    );
    const score = (program: Problem["model"]) => draw(replay({ latents })(program), n, "score");
    const [p, q] = [score(problem.model), score(guide)];
    const logPrior = sumSites(
      p,
      scored(p, ({ kind }) => kind === "sample"),
    );
    const mixture = tf.stack([tf.add(logPrior, Math.log(share)), tf.add(logJoint(q), Math.log1p(-share))]);
    return {
      logWeights: Float64Array.from(tf.sub(logJoint(p), logSumExp(mixture, 0)).dataSync()),
      sites: Object.fromEntries(latentsOf(p).map((site) => [site.name, drawsOf(p, site, n)])),
    };
  });
  await problem.tick({ step: n, total: n, metrics: {} });
  const { ess, logMean, standardError } = diagnose(sumWeights(logWeights));
  const of = evidenceLabel(fit.modelInfo.normalized, fit.modelInfo.observed.length > 0) as EvidenceOf<Effect>;
  return {
    sites,
    weights: normalizeWeights(logWeights),
    largestLogWeight: logWeights.reduce((a, b) => Math.max(a, b)),
    ess,
    khat: paretoK(logWeights),
    logEvidence: { value: logMean, standardError, side: "lower", of },
  };
}
