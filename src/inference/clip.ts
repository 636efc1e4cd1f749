/** Gradient clipping, on a flat buffer, with the check that nothing in it is NaN or infinite. */
import { fail } from "../core/errors.ts";
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
    // Squares of float32 numbers cannot overflow a double, so this sum is finite exactly when every entry is.
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
    const factor = norm / length;
    for (let i = 0; i < grads.length; i++) grads[i] = (grads[i] as number) * factor;
  }
  return length;
}

/** Σ x², in four partial sums: one would wait for itself at every addition. */
function sumOfSquares(x: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = x.length - (x.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += (x[i] as number) ** 2;
    b += (x[i + 1] as number) ** 2;
    c += (x[i + 2] as number) ** 2;
    d += (x[i + 3] as number) ** 2;
  }
  for (let i = whole; i < x.length; i++) a += (x[i] as number) ** 2;
  return a + b + (c + d);
}
