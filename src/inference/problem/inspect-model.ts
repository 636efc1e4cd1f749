/** What one run without particles tells about a model: sites, plates, parameters. Methods plan by it. */
import { fromTensor, type NdArray } from "../../core/array.ts";
import { fold } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import { type Tree, toTensors } from "../../core/tree.ts";
import type { Constraint } from "../../dist/constraint.ts";
import { commonPlates, plateDepth, scored } from "../../effects/density.ts";
import type { PlateFrame } from "../../effects/effects.ts";
import { interpret, type SiteRecord } from "../../effects/interpret.ts";
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
  /** Of its distribution; of a site without one, undefined. */
  readonly family: string | undefined;
  readonly support: Constraint | undefined;
  readonly discrete: boolean;
  readonly reparameterized: boolean;
  /** Without a proper prior. */
  readonly improper: boolean;
  /** Of a factor: whether it declared itself differentiable. */
  readonly differentiable: boolean | undefined;
}

/** The static structure of a model; it must not change between runs. */
export interface Structure {
  readonly sites: readonly SiteInfo[];
  readonly latents: readonly SiteInfo[];
  readonly observed: readonly SiteInfo[];
  /** Greatest nesting of plates. */
  readonly depth: number;
  /** Plates around every scored site: rows over which log-weights stay apart. */
  readonly rows: readonly PlateFrame[];
  /** No factor was met. */
  readonly normalized: boolean;
  /** Unconstrained values of parameters after initialisation. */
  readonly params: Tree<NdArray>;
  readonly plates: ReadonlyMap<string, PlateFrame>;
  /** Plates of which this run saw some rows and another run may see others. */
  readonly subsampled: ReadonlySet<string>;
  /** Number of scalar unknowns over all latent sites. */
  readonly dimension: number;
}

/** Runs the model once and describes it. `which` runs another program in its place, for instance a guide. */
export function inspectModel(problem: Problem, which: Problem["model"] = problem.model): Structure {
  return scope(() => {
    const key = fold(problem.key, "probe");
    const subsampled = new Set<string>();
    const firstRows = withRows((name, _, rows) => {
      subsampled.add(name);
      return Int32Array.from({ length: rows }, (__, i) => i);
    });
    const prepared = startImproper(firstRows(which));
    const run = interpret(prepared(...problem.args), { key, params: toTensors(problem.params) });
    const sites = [...run.sites.values()].map(
      ({ name, kind, plates, value, eventRank, dist, differentiable }): SiteInfo => ({
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
        differentiable,
      }),
    );
    const latents = sites.filter((site) => site.kind === "sample");
    return {
      sites,
      latents,
      observed: sites.filter((site) => site.kind === "observe"),
      depth: plateDepth(run),
      rows: commonPlates(scored(run)),
      normalized: !sites.some((site) => site.kind === "factor"),
      params: Object.fromEntries([...run.params].map(([name, p]) => [name, fromTensor(p.unconstrained)])),
      plates: run.plates,
      subsampled,
      dimension: latents.reduce((n, site) => n + sizeOf(site.shape), 0),
    };
  });
}
