/** The plate whose rows are independent given the data: if it encloses every site, each row has weights of its own. */
import * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { type Shape, sameShape, showShape, sizeOf, tryBroadcast } from "../../core/shape.ts";
import type { PlateFrame } from "../../effects/effects.ts";
import type { Execution } from "../../effects/interpret.ts";
import type { ModelInfo, SiteInfo } from "./inspect-model.ts";
import { allRows, type Subsample } from "./minibatch.ts";
import type { ModelAndGuide } from "./model-and-guide.ts";

/**
 * The outermost plate common to all latent, observed, factor and deterministic sites of model and proposal.
 *
 * @throws `argument` when there is no plate at all; `plate` naming a site that lies outside it.
 */
export function rowPlate({ modelInfo, guideInfo }: ModelAndGuide): PlateFrame {
  const frame = modelInfo.sites.find(({ plates }) => plates.length > 0)?.plates[0];
  if (frame === undefined) {
    return fail(
      "argument",
      'snis: rows: "each" weighs every row of a plate by itself, but the model has no plate; put its rows into one, or leave the option out',
    );
  }
  check(modelInfo, frame, "");
  if (guideInfo !== undefined) check(guideInfo, frame, " of the proposal");
  return frame;
}

function check({ sites }: ModelInfo, { name, size }: PlateFrame, whose: string): void {
  const outside = sites.find(({ plates }) => plates[0]?.name !== name);
  if (outside === undefined) return;
  const why =
    outside.kind === "deterministic"
      ? "it belongs to no row, so no row's weights fit it"
      : "the rows are not independent given the data";
  fail(
    "plate",
    `snis: rows: "each" needs one plate around every site, but ${outside.kind} site "${outside.name}"${whose} lies outside plate "${name}" (${size}): ${why}; move it inside, condition on it, or leave the option out`,
    { site: outside.name },
  );
}

/** Rows of the plate in one run. */
export interface RowBlock {
  /** Index of the first of them among all rows of the result. */
  readonly from: number;
  readonly rows: number;
  readonly key: Key;
  readonly subsample: Subsample;
}

/** All rows of the plate, in blocks of the model's minibatch size. Rows that the program fixes by `indices` stay as they are. */
export function rowBlocks({ name, size, length, indices }: PlateFrame, fixed: boolean, key: Key): RowBlock[] {
  if (indices === undefined || fixed || length === size) return [{ from: 0, rows: length, key, subsample: allRows }];
  return Array.from({ length: Math.ceil(size / length) }, (_, i): RowBlock => {
    const from = i * length;
    const rows = Math.min(length, size - from);
    const chosen = Int32Array.from({ length: rows }, (__, j) => from + j);
    // Each block has its own key: rows of two blocks must not share noise.
    return {
      from,
      rows,
      key: i === 0 ? key : fold(fold(key, "rows"), i),
      subsample: (plate, all, wanted) => (plate === name ? chosen : allRows(plate, all, wanted)),
    };
  });
}

/** Layout of a site's draws: `[draws, ...inner plates, rows, ...event]`. */
export interface RowSite {
  readonly name: string;
  readonly inner: Shape;
  readonly event: Shape;
}

/** @throws `shape` when a deterministic site's value has no axes for its plates. */
export function rowSite({ name, plates, shape, kind }: SiteInfo): RowSite {
  const lengths = plates.map((frame) => frame.length).reverse();
  const inner = lengths.slice(0, -1);
  // A value that all rows share is repeated.
  if (shape.length < lengths.length) return { name, inner, event: [] };
  if (!sameShape(tryBroadcast(shape.slice(0, lengths.length), lengths) ?? [], lengths)) {
    fail(
      "shape",
      `snis: ${kind} site "${name}" has shape ${showShape(shape)}, which does not begin with its plates, ${showShape(lengths)}`,
      { site: name },
    );
  }
  return { name, inner, event: shape.slice(lengths.length) };
}

/** Draws of one run `[particles, ...inner, rows, ...event]`; values shared by particles or rows are repeated. */
export function rowDraws(run: Execution, { name, inner, event }: RowSite, particles: number, rows: number): NdArray {
  const value = run.sites.get(name)?.value;
  if (value === undefined)
    return fail("missing-site", `snis: "${name}" vanished between runs; structure must not change`, { site: name });
  const wanted = [particles, ...inner, rows, ...event];
  const padded = [particles, ...Array<number>(run.depth - inner.length - 1).fill(1), ...wanted.slice(1)];
  if (value.size === sizeOf(wanted)) return ndarray(fromTensor(value).data, wanted);
  if (!sameShape(tryBroadcast(value.shape, padded) ?? [], padded)) {
    return fail("shape", `snis: site "${name}" has shape ${showShape(value.shape)}, expected ${showShape(padded)}`, {
      site: name,
    });
  }
  return ndarray(fromTensor(tf.broadcastTo(value, padded)).data, wanted);
}

/** A row of a draw in an array with the layout of a {@link RowSite}. */
export interface RowPlace<Data extends ArrayLike<number>> {
  readonly data: Data;
  /** Rows in the array. */
  readonly rows: number;
  readonly draw: number;
  readonly at: number;
}

/** Copies `count` rows of one draw. */
export function copyRows(
  { inner, event }: RowSite,
  from: RowPlace<ArrayLike<number>>,
  to: RowPlace<Float32Array | Int32Array>,
  count: number,
): void {
  const stacks = sizeOf(inner);
  const size = sizeOf(event);
  for (let s = 0; s < stacks; s++) {
    const start = ((from.draw * stacks + s) * from.rows + from.at) * size;
    const target = ((to.draw * stacks + s) * to.rows + to.at) * size;
    for (let e = 0; e < count * size; e++) to.data[target + e] = from.data[start + e] as number;
  }
}
