/** Checks of numbers that a caller gives: every message names the function, the option, what is allowed and what was found. */
import { type ErrorCode, fail } from "./errors.ts";

/** @throws `argument`, or `code`, unless `value` is a whole number, exact in double precision, of at least `least` and at most `most`. */
export function checkWhole(
  what: string,
  name: string,
  value: number,
  least = 1,
  most?: number,
  code: ErrorCode = "argument",
): number {
  if (!Number.isSafeInteger(value) || value < least || (most !== undefined && value > most)) {
    const range = most === undefined ? `of at least ${least}` : `from ${least} to ${most}`;
    fail(code, `${what}: ${name} must be a whole number ${range}, got ${value}`);
  }
  return value;
}

/** @throws `argument` unless `value` is positive and finite. */
export function checkPositive(what: string, name: string, value: number): number {
  if (!(value > 0 && Number.isFinite(value))) fail("argument", `${what}: ${name} must be positive, got ${value}`);
  return value;
}

/** @throws `argument` unless `value` is a share, 0 to 1. */
export function checkShare(what: string, name: string, value: number): number {
  if (!(value >= 0 && value <= 1)) fail("argument", `${what}: ${name} must lie between 0 and 1, got ${value}`);
  return value;
}
