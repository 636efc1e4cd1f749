/**
 * Pseudo-marginal chains over one site of a model, its other latents integrated out: the drift is an estimate of ∇ log p(x), drawn afresh in
 * every step, and p(x) itself is never computed.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import type { Shape } from "../../core/shape.ts";
import { type TensorTree, toTensors } from "../../core/tree.ts";
import { logJoint } from "../../effects/density.ts";
import { replay } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { scoreOnly, withPlates } from "../../effects/run-handlers.ts";
import { LEAST_ESS } from "../diagnostics/thresholds.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel } from "../problem/inspect-model.ts";
import { type Target, targetOf } from "./kernel.ts";
import { joinPositions, type SampledModel, type SampledSite, splitPositions } from "./sites.ts";
import { perChainGradient } from "./target.ts";

/** Kinds of drift: `gradient`, of the model's own density; `fisher`; or `elbo-approximation`, which is biased. */
export type DriftName = "gradient" | "fisher" | "elbo-approximation";

/** Estimates at positions x `[chains, ...event]`. */
export interface DriftEstimate {
  /** Of ∇ log p(x), `[chains, ...event]`. */
  readonly gradient: tf.Tensor;
  /** log p̂(x), `[chains]`, of an unbiased p̂: then Metropolis is exact (Andrieu & Roberts 2009). */
  readonly logDensity: tf.Tensor;
  /** ESS/K of the draws behind each estimate, `[chains]`. */
  readonly essRatio: tf.Tensor;
}

/** An estimate of ∇ log p(x) that chains may follow, for instance `fisherDrift(net)`. */
export interface Drift<S extends string = string> {
  readonly name: Exclude<DriftName, "gradient">;
  /** The site that chains sample. */
  readonly site: S;
  /** Draws for one estimate. */
  readonly particles: number;
  at(x: tf.Tensor, key: Key, params: TensorTree): DriftEstimate;
}

/** The drift of a run, and how good its estimates were. */
export interface DriftReport {
  readonly name: DriftName;
  /** Draws for each estimate, and their mean ESS/K; absent for `gradient`. */
  readonly particles?: number;
  readonly essRatio?: number;
  /** The stationary distribution, in words. */
  readonly target: string;
}

/**
 * The model with the drift's site as the only one to sample.
 *
 * @throws `missing-site`; `argument` where data are observed.
 */
export function integrateOthers(
  problem: Problem,
  { site }: Drift,
  chosen: readonly string[] | undefined,
): SampledModel {
  if (chosen !== undefined && `${chosen}` !== site)
    fail("argument", `langevin: a drift over "${site}" samples that site alone; give sites: ["${site}"] or none`, {
      site,
    });
  const whole = inspectModel(problem);
  const latents = whole.latents.filter(({ name }) => name === site);
  if (latents.length === 0)
    fail("missing-site", `langevin: the drift is over "${site}", which the model does not draw`, { site });
  if (whole.observed.length > 0)
    fail(
      "argument",
      `langevin: a drift over "${site}" is of a model without data, but "${whole.observed[0]?.name}" is observed`,
    );
  return { model: problem.model, structure: { ...whole, latents } };
}

/** A target that is estimated anew at every evaluation: the randomness of one comes from its key. */
export interface EstimatedTarget {
  at(key: Key): Target;
  /** How good the estimates so far were. */
  report(): DriftReport;
}

/**
 * −∇E from the model's factors, ∇ log p from the drift. Metropolis steps on it are pseudo-marginal: exact, since the state keeps the
 * estimate with which it was accepted.
 *
 * @throws `argument` when a factor depends on what is integrated out, or at a temperature at which the acceptance is not exact.
 */
export function estimatedTarget(
  problem: Problem,
  drift: Drift,
  { structure }: SampledModel,
  sites: readonly SampledSite[],
  {
    chains,
    temperature,
    adjusted,
  }: { readonly chains: number; readonly temperature: number; readonly adjusted: boolean },
): EstimatedTarget {
  if (adjusted && temperature !== 1)
    fail(
      "argument",
      `langevin: with a drift Metropolis is exact at temperature 1 alone, got ${temperature}; give adjusted: false`,
    );
  const factors = scoreOnly(({ kind }) => kind === "factor")(withPlates(structure.plates)(problem.model));
  /** −E(x) = Σ factors. The other latents are drawn, and must not matter. */
  const tiltAt = (x: tf.Tensor, key: Key): tf.Tensor => {
    const run = interpret(replay({ latents: { [drift.site]: x } })(factors)(...problem.args), {
      key,
      particles: x.shape[0] as number,
      depth: structure.depth,
      params: toTensors(problem.params),
    });
    return logJoint(run);
  };
  const totals = { ess: 0, n: 0 };
  checkIndependence(problem, drift, [chains, ...(sites[0] as SampledSite).unconstrained], tiltAt);
  return {
    at: (key) =>
      targetOf((position) => {
        const [x] = splitPositions(position, sites) as [tf.Tensor];
        const known = drift.at(x, fold(key, "drift"), toTensors({ ...structure.params, ...problem.params }));
        const { value, grads } = perChainGradient(([at]) => tiltAt(at as tf.Tensor, fold(key, "others")), [x], chains);
        totals.ess += tf.mean(known.essRatio).dataSync()[0] as number;
        totals.n++;
        const grad = tf.add(known.gradient, grads[0] as tf.Tensor);
        return { logp: tf.add(known.logDensity, value), grad: joinPositions([grad], sites) };
      }),
    report: () => ({
      name: drift.name,
      particles: drift.particles,
      essRatio: totals.n === 0 ? 1 : totals.ess / totals.n,
      target: stationaryOf(drift, adjusted),
    }),
  };
}

/** The density's own target, or the one that is estimated with a key. */
export const targetsOf =
  ({ target }: { readonly target: Target }, estimated: EstimatedTarget | undefined) =>
  (key: Key | undefined): Target =>
    estimated === undefined || key === undefined ? target : estimated.at(key);

const stationaryOf = ({ name, particles }: Drift, adjusted: boolean): string =>
  adjusted
    ? "p(x) exp(−E(x))/Z itself: Metropolis with unbiased estimates of p(x), whatever the drift"
    : name === "fisher"
      ? `p(x) exp(−E(x))/Z up to the step size and a bias of order 1/${particles} of the drift`
      : "not p(x) exp(−E(x))/Z: the drift is the gradient of a bound of log p(x), off by that of KL(q(z|x) ‖ p(z|x))";

/** @throws `argument` when a factor depends on what is integrated out. */
function checkIndependence(
  problem: Problem,
  { site }: Drift,
  shape: Shape,
  tiltAt: (x: tf.Tensor, key: Key) => tf.Tensor,
): void {
  scope(() => {
    const x = tf.zeros([...shape]);
    const [a, b] = ["one", "other"].map((name) => tiltAt(x, fold(fold(problem.key, "alone"), name)).dataSync());
    for (let c = 0; c < (a as Float32Array).length; c++)
      if (a?.[c] !== b?.[c])
        fail(
          "argument",
          `langevin: a drift over "${site}" needs a tilt of "${site}" alone; a factor depends on other sites`,
          {
            site,
          },
        );
  });
}

/** Warnings about chains that followed an estimate. */
export function driftWarnings({ name, particles = 1, essRatio = 1 }: DriftReport, adjusted: boolean): string[] {
  const effective = particles * essRatio;
  return [
    ...(name === "elbo-approximation" && !adjusted
      ? ["the drift is the ELBO's gradient: the stationary distribution is not the tilted model; use fisherDrift"]
      : []),
    ...(name !== "gradient" && effective < LEAST_ESS.drift
      ? [
          `the ${particles} draws of a drift have an effective sample size of ${effective.toPrecision(2)}: the encoder is far from the posterior; take more particles`,
        ]
      : []),
  ];
}
