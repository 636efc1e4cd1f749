/** Whether chains can go on from a checkpoint. */
import { fail } from "../../core/errors.ts";
import { showShape, sizeOf } from "../../core/shape.ts";
import type { LangevinCheckpoint } from "./result.ts";
import type { SampledSite } from "./target.ts";

/** Where chains of these sites are, by name and unconstrained shape. */
export const placesOf = (moving: readonly SampledSite[]): LangevinCheckpoint["sites"] =>
  moving.map(({ name, unconstrained }) => ({ name, shape: [...unconstrained] }));

/** @throws `argument` when a checkpoint is of another number of chains or of other sites, or no checkpoint at all. */
export function checkCheckpoint(
  { sites, state, step, stepSize }: LangevinCheckpoint,
  moving: readonly SampledSite[],
): void {
  const show = (places: LangevinCheckpoint["sites"]) =>
    places.map(({ name, shape }) => `"${name}" ${showShape(shape)}`).join(", ");
  const here = placesOf(moving);
  const [theirs, chains] = [sites?.[0]?.shape[0], here[0]?.shape[0]];
  if (theirs !== undefined && theirs !== chains)
    fail("argument", `langevin: the checkpoint has ${theirs} chains, this run ${chains}; give chains: ${theirs}`);
  if (sites === undefined || show(sites) !== show(here)) {
    fail(
      "argument",
      `langevin: the checkpoint is of another model: it holds ${sites ? show(sites) : "no sites"}, here move ${show(here)} (chains first, unconstrained)`,
    );
  }
  const sizes = here.map(({ shape }) => sizeOf(shape));
  const whole =
    [state?.positions, state?.gradients].every((arrays) => sizes.every((n, s) => arrays?.[s]?.length === n)) &&
    state.logDensity?.length === chains;
  if (!whole || !Number.isInteger(step) || step < 0 || !(stepSize > 0))
    fail("argument", "langevin: the checkpoint is damaged: arrays, step or step size are missing or of a wrong length");
}
