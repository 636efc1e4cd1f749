/** A model's density in the unconstrained coordinates of the sites that chains sample, and the maps to those coordinates and back. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import type { Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { type TensorTree, toTensors } from "../../core/tree.ts";
import { identity } from "../../dist/bijections.ts";
import type { Bijection } from "../../dist/constraint.ts";
import { logJoint } from "../../effects/density.ts";
import { replay } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { scoreOnly, startImproper, unscored, withPlates } from "../../effects/run-handlers.ts";
import { exportSite } from "../../effects/site-value.ts";
import type { Problem } from "../method/infer.ts";
import { type Target, targetOf } from "./kernel.ts";
import {
  dimensionOf,
  joinPositions,
  type SampledModel,
  type SampledSite,
  sampledSites,
  splitPositions,
} from "./sites.ts";

/** A model's density, and the coordinates in which chains sample it. */
export interface Density {
  readonly sites: readonly SampledSite[];
  /** Whether values and positions are the same: one site that is unconstrained. */
  readonly isUnconstrained: boolean;
  /** log p and its gradient. */
  readonly target: Target;
  /** Values of every site `[n, ...]` at positions `[n, d]`; the same array where these are {@link isUnconstrained}. */
  constrain(x: Float32Array): readonly Float32Array[];
  /** Positions `[chains, d]` of a run in which some sites have given values `[chains, ...]` and the others are drawn from the prior. */
  draw(key: Key, chains: number, given?: TensorTree): Float32Array;
}

/**
 * Value of f at x for each chain, and its gradient there.
 *
 * @param f - log-density of each chain, `[chains]`: one chain's does not depend on another's position, so that the gradient with ones is
 *   every chain's own.
 */
export function perChainGradient(
  f: (parts: readonly tf.Tensor[]) => tf.Tensor,
  parts: readonly tf.Tensor[],
  chains: number,
): { readonly value: tf.Tensor; readonly grads: readonly tf.Tensor[] } {
  return tf.valueAndGrads((...xs: tf.Tensor[]) => f(xs) as tf.Scalar)([...parts], tf.ones([chains]) as tf.Scalar);
}

const bijectionOf = ({ info }: SampledSite): Bijection => {
  if (info.support === undefined) return fail("unsupported", `"${info.name}" has no support`);
  return info.support.bijection();
};

/** Adds log |det| of the map to constrained values, summed over all axes but chains. */
function addLogDets(
  total: tf.Tensor,
  sites: readonly SampledSite[],
  unconstrained: readonly tf.Tensor[],
  at: TensorTree,
) {
  return sites.reduce((sum, site, s) => {
    const logDet = bijectionOf(site).logAbsDet(unconstrained[s] as tf.Tensor, at[site.name] as tf.Tensor);
    const axes = Array.from({ length: logDet.rank - 1 }, (_, i) => i + 1);
    return tf.add(sum, axes.length === 0 ? logDet : tf.sum(logDet, axes));
  }, total);
}

/** The density of a model to be sampled. @throws As {@link sampledSites}. */
export function densityOf(what: string, problem: Problem, { model, structure }: SampledModel): Density {
  const sites = sampledSites(what, structure);
  const placed = withPlates(structure.plates)(model);
  const prior = scoreOnly(({ kind }) => kind === "sample")(placed);
  const initial = startImproper(unscored(placed));
  const run = (program: Problem["model"], latents: TensorTree, particles: number, key?: Key) =>
    interpret(replay({ latents })(program)(...problem.args), {
      particles,
      depth: structure.depth,
      params: toTensors(problem.params),
      ...(key && { key }),
    });
  const constrained = (unconstrained: readonly tf.Tensor[]): TensorTree =>
    Object.fromEntries(sites.map((site, s) => [site.name, bijectionOf(site).forward(unconstrained[s] as tf.Tensor)]));
  const logDensity = (program: Problem["model"], unconstrained: readonly tf.Tensor[], chains: number): tf.Tensor => {
    const latents = constrained(unconstrained);
    return addLogDets(logJoint(run(program, latents, chains)), sites, unconstrained, latents);
  };
  const isUnconstrained = sites.length === 1 && bijectionOf(sites[0] as SampledSite).forward === identity.forward;
  return {
    sites,
    target: targetOf(
      (x) => {
        const chains = x.shape[0] as number;
        const parts = splitPositions(x, sites);
        const { value, grads } = perChainGradient((values) => logDensity(placed, values, chains), parts, chains);
        return { logp: value, grad: joinPositions(grads, sites) };
      },
      {
        logp: (x) => logDensity(placed, splitPositions(x, sites), x.shape[0] as number),
        logPrior: (x) => logDensity(prior, splitPositions(x, sites), x.shape[0] as number),
      },
    ),
    isUnconstrained,
    constrain(x) {
      if (isUnconstrained) return [x];
      return scope(() => {
        const d = dimensionOf(sites);
        const values = constrained(splitPositions(tf.tensor2d(x, [x.length / d, d]), sites));
        return sites.map(({ name }) => (values[name] as tf.Tensor).dataSync().slice() as Float32Array);
      });
    },
    draw: (key, chains, given = {}) =>
      scope(() => {
        const drawn = run(initial, given, chains, key);
        const unconstrained = sites.map((site) => {
          const record = drawn.sites.get(site.name);
          if (record === undefined)
            return fail("missing-site", `${what}: "${site.name}" vanished between runs`, { site: site.name });
          return bijectionOf(site).inverse(exportSite(drawn, record).tensor());
        });
        return joinPositions(unconstrained, sites).dataSync().slice() as Float32Array;
      }),
  };
}
