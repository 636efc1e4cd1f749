/** The sites of a model that chains sample, and how their unconstrained values lie in one matrix of positions, `[chains, d]`. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import { uncondition } from "../../effects/handlers.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel, type ModelInfo, type SiteInfo } from "../problem/inspect-model.ts";

/** A sampled site. */
export interface SampledSite {
  readonly name: string;
  /** Shape of one chain's value, `[...plates, ...event]`. */
  readonly shape: Shape;
  /** Its shape in unconstrained coordinates. */
  readonly unconstrained: Shape;
  /** Its first column in positions, and how many it has. */
  readonly from: number;
  readonly size: number;
  /** Its bijection may hold tensors of one run, so every run makes its own. */
  readonly info: SiteInfo;
}

/** A model to be sampled. */
export interface SampledModel {
  readonly model: Problem["model"];
  readonly structure: ModelInfo;
}

/**
 * The model to sample and its structure: chosen observed sites lose their data and become latent, and no other site may be latent.
 *
 * @throws `missing-site` for a site that the model lacks, or a latent one that is not chosen.
 */
export function chooseSites(what: string, problem: Problem, chosen: readonly string[] | undefined): SampledModel {
  const before = inspectModel(problem);
  const known = new Map(before.sites.map((site) => [site.name, site]));
  const wanted = new Set(chosen ?? before.latents.map((site) => site.name));
  for (const name of wanted) {
    const kind = known.get(name)?.kind;
    if (kind !== "sample" && kind !== "observe") {
      const names = before.sites.map((s) => `"${s.name}"`).join(", ");
      fail("missing-site", `${what}: the model has no site "${name}" to sample; its sites are ${names}`, {
        site: name,
      });
    }
  }
  for (const { name } of before.latents) {
    if (!wanted.has(name)) {
      fail(
        "missing-site",
        `${what}: "${name}" is latent but not among the sites to sample; add it, or fix it with condition({ ${name}: ... })`,
        { site: name },
      );
    }
  }
  const observed = [...wanted].filter((name) => known.get(name)?.kind === "observe");
  const model = observed.length === 0 ? problem.model : uncondition(...observed)(problem.model);
  return { structure: inspectModel(problem, model), model };
}

/** @throws `not-differentiable` for a discrete site; `missing-site` when there is none at all. */
export function sampledSites(what: string, { latents }: ModelInfo): readonly SampledSite[] {
  let from = 0;
  const sites = latents.map((info): SampledSite => {
    if (info.discrete || info.support === undefined) {
      fail(
        "not-differentiable",
        `${what}: "${info.name}" is discrete; sum it out, condition on it, sample its noise with inNoise("${info.name}"), or use snis`,
        { site: info.name },
      );
    }
    const unconstrained = info.support.bijection().unconstrainedShape(info.shape);
    const site = { name: info.name, shape: info.shape, unconstrained, from, size: sizeOf(unconstrained), info };
    from += site.size;
    return site;
  });
  if (sites.length === 0) fail("missing-site", `${what}: the model has no latent site to sample`);
  return sites;
}

/** d: columns of positions. */
export const dimensionOf = (sites: readonly SampledSite[]): number => sites.reduce((d, { size }) => d + size, 0);

/** The unconstrained value of each site, `[chains, ...]`, of positions `[chains, d]`. */
export function splitPositions(x: tf.Tensor, sites: readonly SampledSite[]): tf.Tensor[] {
  const chains = x.shape[0] as number;
  const columns = ({ from, size }: SampledSite) => (sites.length === 1 ? x : tf.slice(x, [0, from], [chains, size]));
  return sites.map((site) => tf.reshape(columns(site), [chains, ...site.unconstrained]));
}

/** Positions `[chains, d]` from the sites' unconstrained values, or from other tensors of their shapes. */
export function joinPositions(parts: readonly tf.Tensor[], sites: readonly SampledSite[]): tf.Tensor {
  const flat = parts.map((part, s) => tf.reshape(part, [part.shape[0] as number, (sites[s] as SampledSite).size]));
  return flat.length === 1 ? (flat[0] as tf.Tensor) : tf.concat(flat, 1);
}
