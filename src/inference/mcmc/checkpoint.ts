/** Checkpoints: the state of chains as plain data, from which a later run continues bit for bit. */
import { fail } from "../../core/errors.ts";
import { type Shape, showShape, sizeOf } from "../../core/shape.ts";
import type { SampledSite } from "./sites.ts";
import type { Stored } from "./stepper.ts";

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
 * The state of a checkpoint.
 *
 * @throws `argument` when it is of another number of chains, of other sites or another kernel, or no checkpoint at all.
 */
export function restore(
  { kernel, sites, state, step, stepSize }: Checkpoint,
  {
    what,
    kernel: wanted,
    density,
  }: {
    readonly what: string;
    readonly kernel: { readonly name: string };
    readonly density: { readonly sites: readonly SampledSite[] };
  },
  chains: number,
): Stored {
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
  const entries = Object.entries(state ?? {});
  const whole =
    state?.x?.data?.length === here.reduce((n, { shape }) => n + sizeOf(shape), 0) &&
    entries.every(([, { data, shape }]) => data?.length === sizeOf(shape ?? [Number.NaN]));
  if (!whole || !Number.isInteger(step) || step < 0 || !(stepSize > 0))
    fail("argument", `${what}: the checkpoint is damaged: arrays, step or step size are missing or of a wrong length`);
  return {
    state: { ...Object.fromEntries(entries.map(([name, { data }]) => [name, data])), eta: Float32Array.of(stepSize) },
    shapes: { ...Object.fromEntries(entries.map(([name, { shape }]) => [name, shape])), eta: [] },
  };
}
