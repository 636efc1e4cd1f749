/**
 * Statistical assertions. A test of an estimator states its false-alarm rate and the error it is sure to notice, instead of a
 * tolerance that happened to work for one seed.
 */
import { expect } from "vitest";

/**
 * False-alarm rate of one assertion. The suite makes some 1200 of them (z-tests, distances, χ², one-sided bounds; counted by running it
 * with TILTED_STATISTICS set); two thousand stay within 1e-6 together.
 */
export const ALPHA = 5e-10;
/** Chance to miss an error of the stated size. */
export const MISS = 1e-3;

/** P(|Z| > z), Z standard normal (Numerical Recipes' erfc, relative error below 1.2e-7). */
export function twoSided(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + x / 2);
  const c = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
  ];
  return t * Math.exp(-x * x + c.reduceRight((sum, a) => a + t * sum, 0));
}

/** z with P(|Z| > z) = p. */
export function criticalZ(p: number): number {
  let [low, high] = [0, 40];
  for (let i = 0; i < 100; i++) {
    const mid = (low + high) / 2;
    if (twoSided(mid) > p) low = mid;
    else high = mid;
  }
  return high;
}

/** t with P(|T| > t) = p for Student's T, from the normal quantile (Wallace 1959; good to a percent for 20 degrees or more). */
export function criticalT(p: number, degrees: number): number {
  if (degrees === Number.POSITIVE_INFINITY) return criticalZ(p);
  const z = (criticalZ(p) * (8 * degrees + 3)) / (8 * degrees + 1);
  return Math.sqrt(degrees * Math.expm1(z ** 2 / degrees));
}

/** An estimate with its standard error. */
export interface Estimate {
  readonly value: number;
  readonly standardError: number;
  /** Degrees of freedom of the standard error, when it is itself estimated from few samples. */
  readonly degrees?: number;
}

/** What is tested, and how sharply. */
export interface Sharpness {
  readonly what?: string;
  /** The smallest error that the test must notice (but for a chance of 1e-3): it fails when it is too weak to do so. */
  readonly detects: number;
  readonly alpha?: number;
}

/** The smallest deviation that a test of this standard error notices. */
export const detectable = (standardError: number, alpha = ALPHA, degrees = Number.POSITIVE_INFINITY): number =>
  (criticalT(alpha, degrees) + criticalZ(2 * MISS)) * standardError;

/** z-test of an estimate against the truth. */
export function expectEstimate(estimate: Estimate, truth: number, sharpness: Sharpness): void {
  const { value, standardError, degrees = Number.POSITIVE_INFINITY } = estimate;
  const { what = "estimate", detects, alpha = ALPHA } = sharpness;
  const power = detectable(standardError, alpha, degrees);
  const z = (value - truth) / standardError;
  const report = `${what}: ${value} ± ${standardError}, truth ${truth}, z = ${z.toFixed(2)}, detects ${power.toPrecision(2)}`;
  if (process.env.TILTED_STATISTICS !== undefined) console.info(report);
  expect(power, `${report}: too weak, asked for ${detects}`).toBeLessThanOrEqual(detects);
  expect(Math.abs(value - truth), report).toBeLessThanOrEqual(criticalT(alpha, degrees) * standardError);
}

/** Mean of independent samples, with its standard error. */
export function meanOf(samples: ArrayLike<number>): Estimate {
  const n = samples.length;
  let value = 0;
  for (let i = 0; i < n; i++) value += (samples[i] as number) / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += ((samples[i] as number) - value) ** 2;
  return { value, standardError: Math.sqrt(squares / (n - 1) / n), degrees: n - 1 };
}

/** t-test of the mean of independent samples. */
export const expectMean = (samples: ArrayLike<number>, truth: number, sharpness: Sharpness): void =>
  expectEstimate(meanOf(samples), truth, sharpness);

/** Asserts that an estimate is *not* the given value, beyond doubt: for tests that a known error would be seen. */
export function expectDiffers({ value, standardError }: Estimate, wrong: number, alpha = ALPHA): void {
  const report = `${value} ± ${standardError} is too close to ${wrong}`;
  expect(Math.abs(value - wrong), report).toBeGreaterThan(criticalZ(alpha) * standardError);
}
