/** Points of the plane: what the figures of a latent space share. */
import { fail } from "../core/errors.ts";

/** `[n, 2]` values row by row: x₀, y₀, x₁, y₁, … A flat typed array. */
export type PlanePoints = Float32Array | Float64Array;

/** A closed interval. */
export type Interval = readonly [low: number, high: number];

/** The part of the plane that a figure shows. */
export interface Bounds {
  readonly x: Interval;
  readonly y: Interval;
}

/** One point as a record that Observable Plot reads. */
export interface PlanePoint {
  readonly x: number;
  readonly y: number;
}

/**
 * Number of points in a flat array.
 *
 * @throws `shape` when its length is odd.
 */
export function countPoints(points: PlanePoints, what: string): number {
  if (points.length % 2 !== 0) fail("shape", `${what}: expected [n, 2] values row by row, got ${points.length} values`);
  return points.length / 2;
}

/** Indices of at most `limit` of `n` things, evenly spread, so that a picture stays small. */
export function thin(n: number, limit: number): number[] {
  if (n <= limit) return Array.from({ length: n }, (_, i) => i);
  return Array.from({ length: limit }, (_, i) => Math.floor((i * n) / limit));
}

/** The finite ones of the chosen points (all unless told), as records. */
export function toRecords(points: PlanePoints, chosen?: readonly number[]): PlanePoint[] {
  const rows = chosen ?? Array.from({ length: points.length / 2 }, (_, i) => i);
  return rows
    .map((i) => ({ x: points[2 * i] as number, y: points[2 * i + 1] as number }))
    .filter((p) => Number.isFinite(p.x) && Number.isFinite(p.y));
}

/** Share of points that {@link boundsOf} may leave outside, at each end of each axis: one far point must not shrink the picture. */
const TRIM = 0.001;
const PADDING = 0.06;

/** A rectangle that holds (nearly) all the finite points with some air around. */
export function boundsOf(clouds: readonly PlanePoints[]): Bounds {
  const axis = (offset: 0 | 1): Interval => {
    const values = clouds
      .flatMap((c) => Array.from({ length: c.length / 2 }, (_, i) => c[2 * i + offset] as number))
      .filter(Number.isFinite)
      .sort((a, b) => a - b);
    if (values.length === 0) return [-1, 1];
    const skip = Math.floor(TRIM * values.length);
    const [low, high] = [values[skip] as number, values[values.length - 1 - skip] as number];
    const air = (high - low) * PADDING || 1;
    return [low - air, high + air];
  };
  return { x: axis(0), y: axis(1) };
}
