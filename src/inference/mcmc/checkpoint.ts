/** Checkpoints: the state of chains as plain data, from which a later run continues bit for bit. */
import { fail } from "../../core/errors.ts";
import { type Shape, showShape, sizeOf } from "../../core/shape.ts";
import type { Stored } from "./runner.ts";
import type { SampledSite } from "./sites.ts";

/** Everything a run needs to continue. Plain data. */
export interface Checkpoint {
  /** The kernel whose state it is. */
  readonly kernel: string;
  /** The sampled sites, and the shape of their unconstrained positions, `[chains, ...]`. */
  readonly sites: readonly { readonly name: string; readonly shape: Shape }[];
  /** The kernel's state by name: `x` holds the positions `[chains, d]`, site by site. */
  readonly state: { readonly [name: string]: { readonly data: Float32Array; readonly shape: Shape } };
  /** Steps done so far, warm-up included. */
  readonly step: number;
  readonly stepSize: number;
}

const sitesOf = (sites: readonly SampledSite[], chains: number): Checkpoint["sites"] =>
  sites.map(({ name, unconstrained }) => ({ name, shape: [chains, ...unconstrained] }));

/** The checkpoint of chains. */
export function checkpointOf(
  kernel: string,
  sites: readonly SampledSite[],
  chains: number,
  { state, shapes }: Stored,
  step: number,
): Checkpoint {
  const { eta, ...own } = state;
  const entries = Object.entries(own).map(([name, data]) => [name, { data, shape: shapes[name] as Shape }] as const);
  return {
    kernel,
    sites: sitesOf(sites, chains),
    state: Object.fromEntries(entries),
    step,
    stepSize: eta?.[0] as number,
  };
}

/**
 * The positions `[chains, d]` of a checkpoint.
 *
 * @throws `argument` when it is of another number of chains, of other sites or another kernel, or no checkpoint at all.
 */
export function positionsOf(
  { kernel, sites, state, step, stepSize }: Checkpoint,
  { what, kernel: wanted, density }: CheckpointUse,
  chains: number,
): Float32Array {
  const show = (places: Checkpoint["sites"]) =>
    places.map(({ name, shape }) => `"${name}" ${showShape(shape)}`).join(", ");
  const here = sitesOf(density.sites, chains);
  const theirs = sites?.[0]?.shape[0];
  if (theirs !== undefined && theirs !== chains)
    fail("argument", `${what}: the checkpoint has ${theirs} chains, this run ${chains}; give chains: ${theirs}`);
  if (sites === undefined || show(sites) !== show(here)) {
    fail(
      "argument",
      `${what}: the checkpoint is of another model: it holds ${sites ? show(sites) : "no sites"}, this run samples ${show(here)} (chains first, unconstrained)`,
    );
  }
  if (kernel !== wanted.name)
    fail("argument", `${what}: the checkpoint is of the kernel ${kernel}, this run of ${wanted.name}`);
  const size = here.reduce((n, { shape }) => n + sizeOf(shape), 0);
  const x = state?.x?.data;
  if (x?.length !== size || !Number.isInteger(step) || step < 0 || !(stepSize > 0)) return damaged(what);
  return x;
}

/** Who goes on from a checkpoint. */
export interface CheckpointUse {
  /** The method, for messages. */
  readonly what: string;
  readonly kernel: { readonly name: string };
  readonly density: { readonly sites: readonly SampledSite[] };
}

/**
 * The state of a checkpoint whose positions have been checked.
 *
 * @param shapes - Of the kernel's state.
 * @throws `argument` when its entries are not those of the kernel's state.
 */
export function restore(what: string, { state, stepSize }: Checkpoint, shapes: Stored["shapes"]): Stored {
  const entries = Object.entries(shapes).map(([name, shape]): [string, Float32Array] => {
    if (name === "eta") return [name, Float32Array.of(stepSize)];
    const stored = state[name];
    const fits = stored !== undefined && `${stored.shape}` === `${shape}` && stored.data?.length === sizeOf(shape);
    return [name, fits ? stored.data : damaged(what)];
  });
  return { state: Object.fromEntries(entries), shapes };
}

const damaged = (what: string): never =>
  fail("argument", `${what}: the checkpoint is damaged: arrays, step or step size are missing or of a wrong length`);
