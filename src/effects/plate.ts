/** Plates: declared independence. A plate is a handler over its body: every site inside gets one more batch axis. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { checkWhole } from "../core/check.ts";
import { fail } from "../core/errors.ts";
import { sizeOf } from "../core/shape.ts";
import { currentArray, hostTensor } from "../core/tracing.ts";
import { gather } from "../engine/ops.ts";
import type { Effect, PlateEffect, PlateFrame, Program } from "./effects.ts";
import { handleEffects } from "./handle.ts";

/** What the body of a plate receives. */
export interface Plate extends PlateFrame {
  /** The rows of `data` that are present in this run, along `axis` (default 0). Gathers on the host when the data are arrays. */
  gather(data: ArrayLike, axis?: number): tf.Tensor;
}

/** Options of {@link plate}. */
export interface PlateOptions {
  /** Rows of a random minibatch: every log-probability inside is scaled by size / rows, which keeps the total unbiased. All rows are present where there are no more than that. */
  readonly subsample?: number;
  /** The rows of a minibatch chosen by the caller; scaled likewise. */
  readonly indices?: Int32Array;
}

/**
 * Declares that the sites of `body` are independent over `size` rows.
 *
 * @remarks A site inside has shape `[...particles, ...inner plates, size, ...event]`: the outermost plate is the last batch
 * axis, an inner plate lies to its left. (So that a model without particles broadcasts as NumPy would; Pyro's rule.)
 * A subsampled plate gets the same rows in model and guide, since rows belong to the plate's name.
 * @throws `plate` when a plate of this name has another size elsewhere, or encloses itself.
 */
export function plate<const N extends string, E extends Effect, A>(
  name: N,
  size: number,
  body: (plate: Plate) => Program<E, A>,
): Program<E | PlateEffect<N>, A>;
export function plate<const N extends string, E extends Effect, A>(
  name: N,
  size: number,
  options: PlateOptions,
  body: (plate: Plate) => Program<E, A>,
): Program<E | PlateEffect<N>, A>;
export function* plate<N extends string, E extends Effect, A>(
  name: N,
  size: number,
  second: PlateOptions | ((plate: Plate) => Program<E, A>),
  third?: (plate: Plate) => Program<E, A>,
): Program<E | PlateEffect<N>, A> {
  const [options, body] = typeof second === "function" ? [{}, second] : [second, third];
  if (body === undefined) fail("argument", `plate("${name}"): the last argument must be a generator function`);
  checkCount(name, "size", size);
  checkRows(name, size, options);
  const frame = (yield { kind: "plate", name, size, ...options }) as PlateFrame;
  const inside: Plate = { ...frame, gather: (data, axis = 0) => gatherRows(frame, data, axis) };
  return yield* handleEffects(body(inside), function* (effect): Program<E, unknown> {
    if (effect.kind === "plate" && effect.name === name) fail("plate", `plate "${name}" encloses itself`);
    return yield { ...effect, plates: [frame, ...(effect.plates ?? [])] };
  });
}

/** @throws `plate` when a plate of this name had another size. */
export function checkPlateSize({ name, size }: PlateEffect, known: PlateFrame): void {
  if (known.size === size) return;
  fail(
    "plate",
    `plate "${name}" has size ${size} here and ${known.size} elsewhere; use another name or the same size`,
    {
      site: name,
    },
  );
}

const checkCount = (plate: string, name: string, count: number): number =>
  checkWhole(`plate("${plate}")`, name, count, 1, undefined, "plate");

function checkRows(name: string, size: number, { subsample, indices }: PlateOptions): void {
  if (subsample !== undefined) checkCount(name, "subsample", subsample);
  if (indices !== undefined && (indices.length === 0 || indices.some((i) => i < 0 || i >= size))) {
    fail("plate", `plate("${name}"): indices must name rows 0 to ${size - 1}, at least one`);
  }
}

function gatherRows(frame: PlateFrame, data: ArrayLike, axis: number): tf.Tensor {
  if (typeof data === "number") fail("plate", `plate("${frame.name}"): gather needs an array, got a number`);
  const rows = data.shape[axis];
  if (rows !== frame.size) {
    fail("plate", `plate("${frame.name}") has size ${frame.size}, but axis ${axis} of the data has ${rows} rows`);
  }
  if (frame.indices === undefined) return toTensor(data);
  if (data instanceof tf.Tensor) return gather(data, frame.indices, axis);
  // Host data: copy only the rows of the minibatch into the engine.
  const { indices } = frame;
  const outer = sizeOf(data.shape.slice(0, axis));
  const inner = sizeOf(data.shape.slice(axis + 1));
  const copied = () => {
    const out = data.data.slice(0, outer * frame.length * inner);
    const chosen = currentArray(indices);
    for (let o = 0; o < outer; o++) {
      chosen.forEach((row, i) => {
        const from = (o * rows + row) * inner;
        out.set(data.data.subarray(from, from + inner), (o * frame.length + i) * inner);
      });
    }
    return out;
  };
  return hostTensor(copied, [...data.shape.slice(0, axis), frame.length, ...data.shape.slice(axis + 1)]);
}
