/** Checks of numbers that a caller gives: every message names the function, the option, what is allowed and what was found. */
import { fail } from "./errors.ts";

/** @throws `argument` unless `value` is a whole number of at least `least`. */
export function checkWhole(what: string, name: string, value: number, least = 1): number {
  if (!Number.isInteger(value) || value < least)
    fail("argument", `${what}: ${name} must be a whole number of at least ${least}, got ${value}`);
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
