import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { argsort } from "./argsort.ts";

/** By comparisons: numbers ascending, NaN last, equal ones in their order. */
const reference = (x: Float64Array): number[] =>
  Array.from(x, (_, i) => i).sort((a, b) => {
    const [u, v] = [x[a] as number, x[b] as number];
    if (Number.isNaN(u) || Number.isNaN(v)) return Number(Number.isNaN(u)) - Number(Number.isNaN(v)) || a - b;
    return u === v ? a - b : u < v ? -1 : 1;
  });

describe("argsort", () => {
  const special = fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, -1, 1);
  const value = fc.oneof(fc.double(), special, fc.float());

  it.each([20, 700])("is the order by comparisons, up to %i and more values", (length) => {
    fc.assert(
      fc.property(fc.array(value, { minLength: length, maxLength: length + 30 }), (values) => {
        const x = Float64Array.from(values);
        expect([...argsort(x)]).toEqual(reference(x));
      }),
      { numRuns: 40 },
    );
  });

  it("of many draws in single precision", () => {
    const x = Float64Array.from({ length: 20_000 }, (_, i) => Math.fround(Math.sin(i * i)));
    expect([...argsort(x)]).toEqual(reference(x));
  });
});
