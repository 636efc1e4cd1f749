/** The tests' own special functions, against the stored values of arbitrary precision. */
import { expect, it } from "vitest";
import { specialValues } from "./fixtures.ts";
import * as oracle from "./special.ts";

/** Largest relative error. About a zero a double keeps fewer digits: they are still more than float32 has. */
it.each<[string, (x: number) => number, number]>([
  ["lgamma", oracle.lgamma, 1e-14],
  ["lgamma near its zeros", oracle.lgamma, 2e-9],
  ["digamma", oracle.digamma, 1e-14],
  ["digamma near its root", oracle.digamma, 2e-8],
  ["erf", oracle.erf, 1e-15],
  ["erfc", oracle.erfc, 2e-15],
  ["logErfc", oracle.logErfc, 2e-15],
  ["erfinv", oracle.erfinv, 1e-15],
  ["ndtr", oracle.normalCdf, 2e-15],
  ["ndtri", oracle.normalQuantile, 1e-15],
  ["erfcx", oracle.erfcx, 2e-15],
  ["erfcinv", oracle.erfcinv, 2e-15],
  ["log1pmx", oracle.log1pmx, 5e-15],
])("%s", (name, f, bound) => {
  for (const [x, value] of specialValues(name)) {
    expect(Math.abs(f(x) - value), `at ${x}`).toBeLessThanOrEqual(bound * Math.abs(value));
  }
});
