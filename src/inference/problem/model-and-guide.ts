/** A model and the guide, or proposal, that draws its latents: what one inspection of each tells about their runs. */
import type * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../../core/array.ts";
import type { Tree } from "../../core/tree.ts";
import type { Constraint } from "../../dist/constraint.ts";
import type { Distribution } from "../../dist/distribution.ts";
import { commonPlates } from "../../effects/density.ts";
import type { PlateFrame } from "../../effects/effects.ts";
import type { Problem } from "../method/infer.ts";
import type { ModelInfo, PlateInfo } from "./inspect-model.ts";

/** KL(q ‖ p) for each entry of the batch, where it has a closed form. */
export type ClosedKl = (q: Distribution, p: Distribution) => tf.Tensor;

/** A model and its guide, inspected. */
export interface ModelAndGuide {
  /** The model and its arguments, which are the guide's too. */
  readonly problem: Problem;
  /** Draws latents of the model; absent when all are drawn from the prior. */
  readonly guide: Problem["model"] | undefined;
  readonly modelInfo: ModelInfo;
  readonly guideInfo: ModelInfo | undefined;
  /** Whether the guide must draw every latent site. Otherwise those that it lacks come from the prior. */
  readonly complete: boolean;
  /** Greatest nesting of plates in either. */
  readonly depth: number;
  /** Plates around every scored site of both, outermost first: their rows can have log-weights of their own. */
  readonly rows: readonly PlateFrame[];
  readonly plates: ReadonlyMap<string, PlateInfo>;
  /** Unconstrained values of all parameters of both after initialisation. */
  readonly params: Tree<NdArray>;
  /** Constraints of parameters; unconstrained ones are absent. */
  readonly constraints: ReadonlyMap<string, Constraint>;
  /** Latent sites whose draws carry no gradient: they need the score function. */
  readonly scores: ReadonlySet<string>;
  /** KL(guide ‖ model) of latent sites where a closed form may replace its sampled value. */
  readonly closed: ReadonlyMap<string, ClosedKl>;
}

/** Joins two inspections. A parameter of both is the guide's, a plate of both the model's. */
export function modelAndGuide(
  problem: Problem,
  guide: Problem["model"] | undefined,
  modelInfo: ModelInfo,
  guideInfo: ModelInfo | undefined,
): ModelAndGuide {
  const infos = guideInfo === undefined ? [modelInfo] : [modelInfo, guideInfo];
  return {
    problem,
    guide,
    modelInfo,
    guideInfo,
    complete: false,
    depth: Math.max(...infos.map(({ depth }) => depth)),
    rows: commonPlates(infos.flatMap(({ sites }) => sites.filter((site) => site.scored))),
    plates: new Map([...(guideInfo?.plates ?? []), ...modelInfo.plates]),
    params: { ...modelInfo.params, ...guideInfo?.params },
    constraints: new Map(infos.flatMap(({ constraints }) => [...constraints])),
    scores: new Set(),
    closed: new Map(),
  };
}

/** Rows of data: those of the outermost common plate, or 1 when there is none. */
export const dataRows = ({ rows }: ModelAndGuide): number => rows[0]?.size ?? 1;
