/** Inspects a program by one run without particles: its sites, plates and parameters, by which methods plan. */
import { fromTensor, type NdArray } from "../../core/array.ts";
import { fold } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import { type TensorTree, type Tree, toTensors } from "../../core/tree.ts";
import type { Constraint } from "../../dist/constraint.ts";
import { commonPlates, plateDepth } from "../../effects/density.ts";
import type { PlateEffect, PlateFrame } from "../../effects/effects.ts";
import { type Handler, handler } from "../../effects/handle.ts";
import { type Execution, interpret, type SiteRecord } from "../../effects/interpret.ts";
import { startImproper, withRows } from "../../effects/run-handlers.ts";
import type { Problem } from "../method/infer.ts";

/** A site, without its tensors. */
export interface SiteInfo {
  readonly name: string;
  readonly kind: SiteRecord["kind"];
  readonly plates: readonly PlateFrame[];
  /** `[...plates, ...event]`. */
  readonly shape: Shape;
  readonly eventRank: number;
  /** Family of its distribution; undefined for a site without one. */
  readonly family: string | undefined;
  readonly support: Constraint | undefined;
  readonly discrete: boolean;
  readonly reparameterized: boolean;
  /** Whether its prior is improper. */
  readonly improper: boolean;
  /** Whether it has a log-probability. */
  readonly scored: boolean;
  /** Whether a handler masks or scales its log-probability. */
  readonly reweighted: boolean;
  /** Of a factor: whether it declared itself differentiable. */
  readonly differentiable: boolean | undefined;
}

/** A plate as it was in this run, and how the program asked for it. */
export interface PlateInfo extends PlateFrame {
  /** Rows of a minibatch, where the program asks for one. */
  readonly subsample: number | undefined;
  /** Whether the program chose the rows itself, by `indices`. */
  readonly fixed: boolean;
}

/** What is the same in every run of a program. */
export interface ModelInfo {
  readonly sites: readonly SiteInfo[];
  readonly latents: readonly SiteInfo[];
  readonly observed: readonly SiteInfo[];
  /** Greatest nesting of plates. */
  readonly depth: number;
  /** Plates around every scored site: their rows can have log-weights of their own. */
  readonly rows: readonly PlateFrame[];
  /** Whether there is no factor. */
  readonly normalized: boolean;
  /** Unconstrained values of parameters after initialisation. */
  readonly params: Tree<NdArray>;
  /** Constraints of parameters; unconstrained ones are absent. */
  readonly constraints: ReadonlyMap<string, Constraint>;
  readonly plates: ReadonlyMap<string, PlateInfo>;
  /** Plates whose rows may differ from run to run. */
  readonly subsampled: ReadonlySet<string>;
  /** Number of scalar unknowns over all latent sites. */
  readonly dimension: number;
}

/** Runs the model once and describes it. `which` runs another program in its place, for instance a guide. */
export function inspectModel(problem: Problem, which: Problem["model"] = problem.model): ModelInfo {
  return scope(() => {
    const params = toTensors(problem.params);
    return inspectRun({ ...problem, params }, which, (program) => startImproper(firstRows(program))).info;
  });
}

const firstRows = withRows((_, __, rows) => Int32Array.from({ length: rows }, (___, i) => i));

/** A run and its description. Tensors belong to the scope of the call. */
export interface Inspection {
  readonly run: Execution;
  readonly info: ModelInfo;
}

/** Runs a program once, under a handler, and describes the program as it is without the handler. Call it inside `scope`. */
export function inspectRun(
  { args, key, params }: Pick<Problem, "args" | "key"> & { readonly params: TensorTree },
  program: Problem["model"],
  under: Handler,
): Inspection {
  const plates = new Map<string, PlateEffect>();
  const reweighted = new Set<string>();
  const watched = handler(
    () =>
      function* (effect) {
        if (effect.kind === "plate") plates.set(effect.name, effect);
        else if (effect.mask !== undefined || effect.scale !== undefined) reweighted.add(effect.name);
        return yield effect;
      },
  );
  const run = interpret(under(watched(program))(...args), { key: fold(key, "probe"), params });
  return { run, info: describe(run, plates, reweighted) };
}

function describe(run: Execution, asked: ReadonlyMap<string, PlateEffect>, reweighted: ReadonlySet<string>): ModelInfo {
  const sites = [...run.sites.values()].map((site) => siteInfo(site, reweighted.has(site.name)));
  const latents = sites.filter((site) => site.kind === "sample");
  const plates = [...run.plates].map(([name, frame]): [string, PlateInfo] => {
    const { subsample, indices } = asked.get(name) ?? {};
    return [name, { ...frame, subsample, fixed: indices !== undefined }];
  });
  const params = [...run.params];
  return {
    sites,
    latents,
    observed: sites.filter((site) => site.kind === "observe"),
    depth: plateDepth(run),
    rows: commonPlates(sites.filter((site) => site.scored)),
    normalized: !sites.some((site) => site.kind === "factor"),
    params: Object.fromEntries(params.map(([name, { unconstrained }]) => [name, fromTensor(unconstrained)])),
    constraints: new Map(params.flatMap(([name, { constraint }]) => (constraint ? [[name, constraint]] : []))),
    plates: new Map(plates),
    subsampled: new Set(
      plates.flatMap(([name, { subsample, fixed, size }]) => (!fixed && subsample && subsample < size ? [name] : [])),
    ),
    dimension: latents.reduce((n, site) => n + sizeOf(site.shape), 0),
  };
}

const siteInfo = (site: SiteRecord, reweighted: boolean): SiteInfo => {
  const { name, kind, plates, value, eventRank, logProb, dist, differentiable } = site;
  return {
    name,
    kind,
    plates,
    shape: value?.shape ?? [],
    eventRank,
    family: dist?.family,
    support: dist?.support,
    discrete: dist?.discrete ?? false,
    reparameterized: dist?.reparameterized ?? false,
    improper: dist?.family === "improper",
    scored: logProb !== undefined,
    reweighted,
    differentiable,
  };
};
