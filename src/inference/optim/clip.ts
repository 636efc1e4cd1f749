/** Gradient clipping, on a flat buffer, with the check that nothing in it is NaN or infinite. */
import { fail } from "../../core/errors.ts";
import { sumOfSquares } from "../../engine/wasm/adam.ts";
import { scaleInPlace } from "../../engine/wasm/sgd.ts";
import type { Layout } from "./flat.ts";

/** Limits on gradients. With both, values are clipped first. */
export interface Clip {
  /** Greatest Euclidean norm of all gradients together: longer ones are shortened, keeping their direction. */
  readonly norm?: number;
  /** Greatest absolute value of one entry. */
  readonly value?: number;
}

/** @throws `argument` unless limits are positive. */
export function checkClip(clip: Clip): Clip {
  for (const [name, limit] of Object.entries(clip)) {
    if (!(limit > 0)) fail("argument", `clip.${name} must be positive, got ${limit}`);
  }
  return clip;
}

/**
 * Clips in place and returns the norm before clipping by norm.
 *
 * @throws `non-finite` naming the parameter with a gradient that is NaN or infinite; `hint` ends the message.
 */
export function clipGradients(grads: Float32Array, layout: Layout, { norm, value }: Clip, hint = ""): number {
  let total = 0;
  for (const { name, offset, size } of layout) {
    const part = grads.subarray(offset, offset + size);
    let squares = sumOfSquares(part);
    if (!Number.isFinite(squares)) {
      const entry = part.find((g) => !Number.isFinite(g));
      fail("non-finite", `the gradient of parameter "${name}" holds ${entry}${hint}`, { site: name });
    }
    if (value !== undefined) {
      for (let i = 0; i < size; i++) part[i] = Math.max(-value, Math.min(value, part[i] as number));
      squares = sumOfSquares(part);
    }
    total += squares;
  }
  const length = Math.sqrt(total);
  if (norm !== undefined && length > norm) {
    scaleInPlace(grads, norm / length);
  }
  return length;
}
