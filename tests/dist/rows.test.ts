/** The table of formulas, by which random points are tested, against arbitrary precision. */
import { describe, expect, it } from "vitest";
import { distributionValues } from "../support/fixtures.ts";
import { rows } from "./rows-other.ts";
import { realRows } from "./rows-real.ts";

/** Of log p, relative to 1 + |log p|, and of F: log-gammas of a million lose so much, and the truncated normal's Simpson rule. */
const [DENSITY, CDF] = [1e-7, 1e-8];

describe.each([...realRows, ...rows])("$name", (row) => {
  const { points, moments } = distributionValues(row.name);

  it("has the density and distribution function of arbitrary precision", () => {
    for (const [params, x, logProb, cdf] of points) {
      const where = `at ${JSON.stringify({ params, x })}`;
      const off = Math.abs(row.logProb(x, params) - logProb);
      expect(off, where).toBeLessThan(DENSITY * (1 + Math.abs(logProb)));
      // Grey values have a density too, but only 0 and 1 are drawn.
      if (row.pmf !== undefined && Number.isInteger(x))
        expect(row.pmf(x, params), where).toBeCloseTo(Math.exp(logProb), 8);
      if (cdf !== null) expect(Math.abs((row.cdf?.(x, params) as number) - cdf), where).toBeLessThan(CDF);
    }
  });

  it("has stored moments of the parameters that are sampled", () => {
    expect(moments.map(([params]) => params)).toEqual(row.sampled.map((params) => params.map(Math.fround)));
  });
});
