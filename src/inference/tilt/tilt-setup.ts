/** What a maximum-likelihood fit of a tilt starts from: the base and its site, the energy, and the parameters to train or keep fixed. */
import { fromTensor, type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { showShape, sizeOf } from "../../core/shape.ts";
import { type Tree, toTensors } from "../../core/tree.ts";
import type { ParamEffect } from "../../effects/effects.ts";
import type { Energy } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { unscored } from "../../effects/run-handlers.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel, type ModelInfo, type SiteInfo } from "../problem/inspect-model.ts";
import { type EnergyProgram, energyProgram } from "./energy-program.ts";
import type { Trainable } from "./tilt-likelihood-types.ts";

/** A fit before its first step. */
export interface TiltSetup {
  readonly base: Problem["model"];
  /** Greatest nesting of plates in the base. */
  readonly depth: number;
  readonly site: SiteInfo;
  readonly network: EnergyProgram;
  /** Unconstrained first values of trained parameters, and values of fixed ones. */
  readonly trained: Tree<NdArray>;
  readonly fixed: Tree<NdArray>;
}

/** @throws `missing-site`, `shape`, `argument`: the base, the data and the energy do not fit. */
export function setUp(
  problem: Problem,
  site: string,
  energy: Energy<ParamEffect>,
  data: NdArray,
  joint: Trainable | true | undefined,
): TiltSetup {
  const structure = inspectModel(problem);
  const info = checkedSite(structure, site, data);
  if (joint === true && structure.latents.length > 1)
    fail(
      "argument",
      `tiltLikelihood: joint: true needs a base whose only latent site is "${site}"; give { model, guide }, whose ELBO stands for log p`,
    );
  const network = energyProgram(energy);
  const event = data.shape.slice(1);
  const row = ndarray(data.data.slice(0, sizeOf(event)) as Float32Array, [1, ...event]);
  const given = () => ({ key: fold(problem.key, "init"), params: toTensors(problem.params) });
  const learned = paramsOf(() => interpret(network(row.tensor()), given()));
  if (Object.keys(learned).length === 0) fail("argument", "tiltLikelihood: the energy has no parameters to fit");
  const ofGuide = typeof joint === "object" ? paramsOf(() => interpret(unscored(joint.guide)(row), given())) : {};
  const ofBase = { ...structure.params, ...ofGuide };
  const trained = joint === undefined ? learned : { ...ofBase, ...learned };
  const fixed = Object.fromEntries(
    Object.entries({ ...ofBase, ...problem.params }).filter(([name]) => trained[name] === undefined),
  );
  return { base: problem.model, depth: structure.depth, site: info, network, trained, fixed };
}

/** The site to be tilted. */
function checkedSite({ latents }: ModelInfo, site: string, data: NdArray): SiteInfo {
  const info = latents.find(({ name }) => name === site);
  if (info === undefined) {
    const names = latents.map(({ name }) => `"${name}"`).join(", ");
    return fail("missing-site", `tiltLikelihood: the base draws no site "${site}"; it draws ${names}`, { site });
  }
  if (`${data.shape.slice(1)}` !== `${info.shape}`)
    fail(
      "shape",
      `tiltLikelihood: data of "${site}" have shape ${showShape(data.shape)}, expected [m, ${info.shape}]`,
      { site },
    );
  return info;
}

/** Unconstrained parameters that a run meets. */
const paramsOf = (run: () => ReturnType<typeof interpret>): Tree<NdArray> =>
  scope(() => Object.fromEntries([...run().params].map(([name, p]) => [name, fromTensor(p.unconstrained)])));
