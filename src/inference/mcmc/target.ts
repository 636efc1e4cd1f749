/** What Langevin chains sample: which sites of a model move, and its density in their unconstrained coordinates. */
import type * as tf from "@tensorflow/tfjs-core";
import { add, sum } from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { type Shape, showShape } from "../../core/shape.ts";
import { type TensorTree, type Tree, toTensors } from "../../core/tree.ts";
import { identity } from "../../dist/bijections.ts";
import { logJoint } from "../../effects/density.ts";
import { replay, uncondition } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { scoreOnly, startImproper, unscored, withPlates } from "../../effects/run-handlers.ts";
import { exportSite } from "../../effects/site-value.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel, type SiteInfo, type Structure } from "../problem/inspect-model.ts";
import { temperedStart } from "./initialize.ts";

/** A site that moves: its shape for all chains, and the way to unconstrained coordinates. */
export interface SampledSite {
  readonly name: string;
  /** `[chains, ...plates, ...event]`. */
  readonly shape: Shape;
  /** The same in unconstrained coordinates. */
  readonly unconstrained: Shape;
  /** Bijections may hold tensors of the run that made them, so they are taken afresh in every run. */
  readonly info: SiteInfo;
}

/** The model as it is to be sampled, and its structure: chosen observed sites forget their data, and nothing else may be latent. */
export function freed(problem: Problem, chosen: readonly string[] | undefined) {
  const before = inspectModel(problem);
  const known = new Map(before.sites.map((site) => [site.name, site]));
  const wanted = new Set(chosen ?? before.latents.map((site) => site.name));
  for (const name of wanted) {
    const kind = known.get(name)?.kind;
    if (kind !== "sample" && kind !== "observe") {
      const names = before.sites.map((s) => `"${s.name}"`).join(", ");
      fail("missing-site", `langevin: the model has no site "${name}" that could move; its sites are ${names}`, {
        site: name,
      });
    }
  }
  for (const { name } of before.latents) {
    if (!wanted.has(name)) {
      fail(
        "missing-site",
        `langevin: "${name}" is latent but not among the sites that move; add it, or fix it with condition({ ${name}: ... })`,
        { site: name },
      );
    }
  }
  const observed = [...wanted].filter((name) => known.get(name)?.kind === "observe");
  const model = observed.length === 0 ? problem.model : uncondition(...observed)(problem.model);
  const structure = inspectModel(problem, model);
  return { structure, model };
}

/** @throws `not-differentiable` for a discrete site; `missing-site` when there is none at all. */
export function sampledSites(structure: Structure, chains: number): SampledSite[] {
  const moving = structure.latents.map((info): SampledSite => {
    if (info.discrete || info.support === undefined) {
      fail(
        "not-differentiable",
        `langevin: "${info.name}" is discrete; sum it out, condition on it, move it in its noise with inNoise("${info.name}"), or use snis`,
        {
          site: info.name,
        },
      );
    }
    const shape = [chains, ...info.shape];
    return { name: info.name, shape, unconstrained: info.support.bijection().unconstrainedShape(shape), info };
  });
  if (moving.length === 0) fail("missing-site", "langevin: the model has no latent site to move");
  return moving;
}

/** The density in unconstrained coordinates, and the maps to and from them. */
export function densityOf(
  problem: Problem,
  model: Problem["model"],
  structure: Structure,
  moving: readonly SampledSite[],
  chains: number,
) {
  const common = () => ({
    particles: chains,
    depth: structure.depth,
    params: toTensors(problem.params),
  });
  const placed = withPlates(structure.plates)(model);
  const prior = scoreOnly(({ kind }) => kind === "sample")(placed);
  const initial = startImproper(unscored(placed));
  const bijection = ({ info }: SampledSite) => {
    if (info.support === undefined) return fail("unsupported", `"${info.name}" has no support`);
    return info.support.bijection();
  };
  const constrained = (positions: readonly tf.Tensor[]): TensorTree =>
    Object.fromEntries(moving.map((m, s) => [m.name, bijection(m).forward(positions[s] as tf.Tensor)]));
  return {
    logDensity(positions: readonly tf.Tensor[]): tf.Tensor {
      const latents = constrained(positions);
      const run = interpret(replay({ latents })(placed)(...problem.args), common());
      return withLogDets(logJoint(run), positions, latents);
    },
    /** Values of the sites at positions: the same array where a site moves in its own coordinates. */
    constrain: (positions: readonly Float32Array[]): Float32Array[] =>
      scope(() =>
        moving.map((m, s) => {
          const { forward } = bijection(m);
          const x = positions[s] as Float32Array;
          return forward === identity.forward
            ? x
            : (fromTensor(forward(ndarray(x, m.unconstrained).tensor())).data as Float32Array);
        }),
      ),
    /** log of the density of the moving sites under their own distributions, in unconstrained coordinates. */
    logPrior: (positions: readonly Float32Array[]): Float32Array =>
      scope(() => {
        const free = positions.map((x, s) => ndarray(x, (moving[s] as SampledSite).unconstrained).tensor());
        const latents = constrained(free);
        const run = interpret(replay({ latents })(prior)(...problem.args), common());
        return withLogDets(logJoint(run), free, latents).dataSync().slice() as Float32Array;
      }),
    /** Fresh draws of the prior, one for each chain. */
    draw: (key: Key): Float32Array[] => scope(() => positionsOf({}, key)),
    /** Where chains start, and whether the posterior may be far from there. Places that were given are where the caller wants them. */
    async start(init: Tree<NdArray | undefined>): Promise<{ positions: Float32Array[]; far: boolean }> {
      const given: Tree<NdArray> = Object.fromEntries(
        Object.entries(init).flatMap(([name, value]) =>
          value === undefined ? [] : [[name, checkInit(name, value, moving)]],
        ),
      );
      const complete = moving.every(({ name }) => given[name] !== undefined);
      const drawn = complete ? undefined : await temperedStart({ ...problem, model }, chains);
      const values = { ...drawn?.draws, ...given };
      // In a small box around nothing in particular even weights say little.
      const boxed = moving.some(({ info }) => info.improper);
      return {
        positions: scope(() => positionsOf(toTensors(values), fold(problem.key, "start"))),
        far: drawn !== undefined && Object.keys(given).length === 0 && (boxed || drawn.tempered),
      };
    },
  };

  /** Unconstrained positions of a run in which some sites have given values and the others are drawn. */
  function positionsOf(latents: TensorTree, key: Key): Float32Array[] {
    const run = interpret(replay({ latents })(initial)(...problem.args), { ...common(), key });
    return moving.map((m) => {
      const site = run.sites.get(m.name);
      if (site === undefined)
        return fail("missing-site", `langevin: "${m.name}" vanished between runs`, { site: m.name });
      return bijection(m).inverse(exportSite(run, site).tensor()).dataSync().slice() as Float32Array;
    });
  }

  function withLogDets(total: tf.Tensor, positions: readonly tf.Tensor[], latents: TensorTree): tf.Tensor {
    return moving.reduce((sumSoFar, m, s) => {
      const logDet = bijection(m).logAbsDet(positions[s] as tf.Tensor, latents[m.name] as tf.Tensor);
      const axes = Array.from({ length: logDet.rank - 1 }, (_, i) => i + 1);
      return add(sumSoFar, axes.length === 0 ? logDet : sum(logDet, axes));
    }, total);
  }
}

function checkInit(name: string, value: NdArray, moving: readonly SampledSite[]): NdArray {
  const site = moving.find((m) => m.name === name);
  if (site === undefined)
    return fail("extra-site", `langevin: init names "${name}", which does not move`, { site: name });
  if (`${value.shape}` !== `${site.shape}`) {
    fail(
      "shape",
      `langevin: init of "${name}" has shape ${showShape(value.shape)}, expected ${showShape(site.shape)}`,
      { site: name },
    );
  }
  return value;
}
