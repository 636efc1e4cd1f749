/**
 * Shapes in a run: particles on the left, then 1s up to the deepest nesting of plates, then plates, the innermost first, then the event. Pure
 * functions that bring distributions, values and log-probabilities to that shape, or say what does not fit.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";
import { type Shape, sameShape, showShape, tryBroadcast } from "../core/shape.ts";
import type { Distribution } from "../dist/distribution.ts";
import type { Context, PlateFrame } from "./effects.ts";

/** The axes of a run that a model does not declare. */
export interface RunAxes {
  /** Copies that run at once; `undefined` is one, without an axis. */
  readonly particles: number | undefined;
  /** Greatest nesting of plates. */
  readonly depth: number;
}

/** A site and the plates around it. */
export interface PlacedSite extends Pick<Context, "plates"> {
  readonly name: string;
}

/** Batch shape of a site in this run: `[particles, ...1s, inner plate, ..., outer plate]`; without particles, the plates. */
export function batchShapeIn({ particles, depth }: RunAxes, plates: readonly PlateFrame[]): number[] {
  const lengths = plates.map((frame) => frame.length).reverse();
  if (particles === undefined) return lengths;
  if (plates.length > depth)
    fail(
      "plate",
      `plates ${plates.map((p) => `"${p.name}"`).join(", ")} nest deeper than on the first run; structure must not change between runs`,
    );
  return [particles, ...Array<number>(depth - plates.length).fill(1), ...lengths];
}

const fits = (shape: Shape, target: Shape): boolean => {
  const common = tryBroadcast(shape, target);
  return common !== undefined && sameShape(common, target);
};

/** @throws `shape` unless the batch shape broadcasts to particles and plates. */
export function checkBatch(axes: RunAxes, { name, plates = [] }: PlacedSite, batchShape: Shape): void {
  const target = batchShapeIn(axes, plates);
  if (fits(batchShape, target)) return;
  const inside =
    plates.length === 0 ? "in no plate" : `in plates ${plates.map((p) => `"${p.name}" (${p.length})`).join(" > ")}`;
  fail(
    "shape",
    `site "${name}" has batch shape ${showShape(batchShape)} but lies ${inside}, where ${showShape(target)} is expected; declare axes of one value with .event(n), or put independent rows into a plate`,
    { site: name },
  );
}

/** The distribution with a batch axis for every particle and plate. @throws As {@link checkBatch}. */
export function expandIn(axes: RunAxes, site: PlacedSite, dist: Distribution): Distribution {
  checkBatch(axes, site, dist.batchShape);
  const target = batchShapeIn(axes, site.plates ?? []);
  return sameShape(dist.batchShape, target) ? dist : dist.expand(target);
}

/**
 * Aligns a given value: `[particles, ...plates, ...event]` gains the 1s that keep the particle axis left of all plates, and one
 * value for a whole plate is repeated over its rows. A value without a particle axis gets none.
 *
 * @throws `shape` when the value does not fit.
 */
export function alignValue(
  axes: RunAxes,
  { name, plates = [] }: PlacedSite,
  value: tf.Tensor,
  eventRank: number,
): tf.Tensor {
  const { particles } = axes;
  const target = batchShapeIn(axes, plates);
  const batch = value.shape.slice(0, Math.max(0, value.rank - eventRank));
  const event = value.shape.slice(batch.length);
  const missing = target.length - 1 - plates.length;
  if (particles !== undefined && missing > 0 && batch.length === plates.length + 1 && batch[0] === particles) {
    return tf.reshape(value, [particles, ...Array<number>(missing).fill(1), ...batch.slice(1), ...event]);
  }
  if (value.rank < eventRank || !fits(batch, target)) {
    fail(
      "shape",
      `site "${name}": the value has shape ${showShape(value.shape)}, expected plates ${showShape(target)} and ${eventRank} event ${eventRank === 1 ? "axis" : "axes"}`,
      { site: name },
    );
  }
  const full = batch.length === target.length ? target : target.slice(target.length - plates.length);
  if (particles !== undefined && batch.length === target.length) full[0] = batch[0] as number;
  return sameShape(batch, full) || batch.length > full.length ? value : tf.broadcastTo(value, [...full, ...event]);
}

/**
 * Gives a log-probability its full shape: plates count every row, but what is the same for all particles keeps 1 on their axis.
 *
 * @throws `shape` when it does not fit.
 */
export function alignLogProb(axes: RunAxes, { name, plates = [] }: PlacedSite, logProb: tf.Tensor): tf.Tensor {
  const target = batchShapeIn(axes, plates);
  if (!fits(logProb.shape, target)) {
    fail(
      "shape",
      `site "${name}": its log-probability has shape ${showShape(logProb.shape)}, but its plates are ${showShape(target)}`,
      { site: name },
    );
  }
  const full = target.slice();
  if (axes.particles !== undefined && (logProb.rank < target.length || logProb.shape[0] === 1)) full[0] = 1;
  return sameShape(logProb.shape, full) ? logProb : tf.broadcastTo(logProb, full);
}

/** @throws `shape` unless a value's event is that of its distribution. */
export function checkEvent({ name }: PlacedSite, value: tf.Tensor, { eventShape }: Distribution): void {
  const event = value.shape.slice(value.rank - eventShape.length);
  if (sameShape(event, eventShape)) return;
  fail(
    "shape",
    `site "${name}": the value has event shape ${showShape(event)}, the distribution ${showShape(eventShape)}`,
    { site: name },
  );
}

/** @throws `shape` unless a mask of entries broadcasts to the values of its site. */
export function checkEntryMask(
  axes: RunAxes,
  { name, plates = [] }: PlacedSite,
  mask: Shape,
  { eventShape }: Distribution,
): void {
  const rows = batchShapeIn(axes, plates).slice(axes.particles === undefined ? 0 : 1);
  const values = [...rows, ...eventShape];
  if (tryBroadcast(mask, values) !== undefined) return;
  fail("shape", `observe("${name}"): mask ${showShape(mask)} does not fit values ${showShape(values)}`, { site: name });
}
