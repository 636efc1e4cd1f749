/**
 * Chains over one site of a model whose other latents are integrated out: the drift is an estimate of ∇ log p(x), afresh in every step,
 * and p(x) itself is never computed.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fromTensor } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import type { Shape } from "../../core/shape.ts";
import { type TensorTree, toTensors } from "../../core/tree.ts";
import { logJoint } from "../../effects/density.ts";
import { replay } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { scoreOnly, withPlates } from "../../effects/run-handlers.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel, type Structure } from "../problem/inspect-model.ts";
import type { LangevinKernel } from "./langevin-kernel.ts";

/** What a drift says of itself: `gradient`, of the model's own density; `fisher`; or `elbo-approximation`, which is biased. */
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
  /** The site that moves. */
  readonly site: S;
  /** Draws behind one estimate. */
  readonly particles: number;
  at(x: tf.Tensor, key: Key, params: TensorTree): DriftEstimate;
}

/** What a run's drift was and what it was worth. */
export interface DriftReport {
  readonly name: DriftName;
  /** Draws behind each estimate, and their mean ESS/K; of drifts that are estimates. */
  readonly particles?: number;
  readonly essRatio?: number;
  /** What the chains settle in. */
  readonly target: string;
}

/** Fewest effective draws behind an estimate that chains may follow without a warning. */
const FEWEST_EFFECTIVE = 5;

/** The model and its structure with nothing but the drift's site to move. @throws `missing-site`; `argument` where data are observed. */
export function integrated(
  problem: Problem,
  { site }: Drift,
  chosen: readonly string[] | undefined,
): { readonly model: Problem["model"]; readonly structure: Structure } {
  if (chosen !== undefined && `${chosen}` !== site)
    fail("argument", `langevin: a drift over "${site}" moves that site alone; give sites: ["${site}"] or none`, {
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

/** A kernel whose evaluations are estimates: −∇E from the model's factors, ∇ log p from the drift. */
export function marginalKernel(
  problem: Problem,
  drift: Drift,
  structure: Structure,
  shape: Shape,
  how: Pick<LangevinKernel, "temperature" | "adjusted">,
): { readonly kernel: LangevinKernel; readonly report: () => DriftReport } {
  if (how.adjusted && how.temperature !== 1)
    fail(
      "argument",
      `langevin: with a drift Metropolis is exact at temperature 1 alone, got ${how.temperature}; give adjusted: false`,
    );
  const chains = shape[0] as number;
  const factors = scoreOnly(({ kind }) => kind === "factor")(withPlates(structure.plates)(problem.model));
  /** −E(x) = Σ factors. The other latents are drawn, and must not matter. */
  const tiltAt = (x: tf.Tensor, key: Key): tf.Tensor => {
    const run = interpret(replay({ latents: { [drift.site]: x } })(factors)(...problem.args), {
      key,
      particles: chains,
      depth: structure.depth,
      params: toTensors(problem.params),
    });
    return logJoint(run);
  };
  const seen = { ess: 0, n: 0 };
  const evaluate: NonNullable<LangevinKernel["evaluate"]> = ([position], key) => {
    if (position === undefined || key === undefined)
      return fail("argument", "langevin: a drift needs a position and a key");
    return scope(() => {
      const x = tf.tensor(position, [...shape]);
      const known = drift.at(x, fold(key, "drift"), toTensors({ ...structure.params, ...problem.params }));
      const { value, grad } = tf.valueAndGrad((at: tf.Tensor) => tiltAt(at, fold(key, "others")) as tf.Scalar)(
        x,
        tf.ones([chains]) as tf.Scalar,
      );
      seen.ess += tf.mean(known.essRatio).dataSync()[0] as number;
      seen.n++;
      return {
        positions: [position],
        gradients: [fromTensor(tf.add(known.gradient, grad)).data as Float32Array],
        logDensity: fromTensor(tf.add(known.logDensity, value)).data as Float32Array,
      };
    });
  };
  checkAlone(problem, drift, shape, tiltAt);
  return {
    kernel: {
      ...how,
      shapes: [shape],
      evaluate,
      logDensity: () => fail("unsupported", "langevin: with a drift p(x) is never computed"),
    },
    report: () => ({
      name: drift.name,
      particles: drift.particles,
      essRatio: seen.n === 0 ? 1 : seen.ess / seen.n,
      target: targetOf(drift, how.adjusted),
    }),
  };
}

const targetOf = ({ name, particles }: Drift, adjusted: boolean): string =>
  adjusted
    ? "p(x) exp(−E(x))/Z itself: Metropolis with unbiased estimates of p(x), whatever the drift"
    : name === "fisher"
      ? `p(x) exp(−E(x))/Z up to the step size and a bias of order 1/${particles} of the drift`
      : "not p(x) exp(−E(x))/Z: the drift is the gradient of a bound of log p(x), off by that of KL(q(z|x) ‖ p(z|x))";

/** @throws `argument` when a factor depends on what is integrated out. */
function checkAlone(
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

/** What to know of chains that followed an estimate. */
export function driftWarnings({ name, particles = 1, essRatio = 1 }: DriftReport, adjusted: boolean): string[] {
  const effective = particles * essRatio;
  return [
    ...(name === "elbo-approximation" && !adjusted
      ? ["the drift is the ELBO's gradient: what the chains settle in is not the tilted model; use fisherDrift"]
      : []),
    ...(name !== "gradient" && effective < FEWEST_EFFECTIVE
      ? [
          `the ${particles} draws behind a drift are worth ${effective.toPrecision(2)}: the encoder is far from the posterior; take more particles`,
        ]
      : []),
  ];
}
