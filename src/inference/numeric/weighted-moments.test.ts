import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { normalizeWeights } from "../weights/weights.ts";
import { momentStream, weightStream } from "./weighted-moments.ts";

/** Weighted moments of one row's entry, in two passes. */
function twoPass(logWeights: readonly number[], values: readonly number[]) {
  const w = normalizeWeights(logWeights);
  const terms = values.map((h, i) => ({ h, w: w[i] as number })).filter((t) => t.w > 0);
  const mean = terms.reduce((s, t) => s + t.w * t.h, 0);
  return {
    mean,
    variance: terms.reduce((s, t) => s + t.w * (t.h - mean) ** 2, 0),
    standardError: Math.sqrt(terms.reduce((s, t) => s + (t.w * (t.h - mean)) ** 2, 0)),
  };
}

describe("weighted moments in one pass", () => {
  it("are those of two passes, however the stream is cut, also far from zero and with weights that grow", () => {
    const draw = fc.record({
      l: fc.double({ min: -800, max: 800, noNaN: true }),
      h: fc.double({ min: -1, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(draw, draw), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 7 }),
        fc.constantFrom(0, 1e6),
        (draws, at, shift) => {
          // Two rows, two stacks of one entry: entry [outer, row].
          const stream = weightStream(2);
          const moments = momentStream({ outer: 2, rows: 2, size: 1 });
          let last = stream([]);
          for (let i = 0; i < draws.length; i += at) {
            const part = draws.slice(i, i + at);
            last = stream(part.flatMap((pair) => pair.map(({ l }) => l)));
            moments.add(
              part.flatMap(([a, b]) => [a.h + shift, b.h + shift, -a.h, -b.h]),
              last,
            );
          }
          const found = moments.moments(last);
          for (const [entry, row, of] of [
            [0, 0, (h: number) => h + shift],
            [1, 1, (h: number) => h + shift],
            [2, 0, (h: number) => -h],
            [3, 1, (h: number) => -h],
          ] as const) {
            const truth = twoPass(
              draws.map((pair) => pair[row].l),
              draws.map((pair) => of(pair[row].h)),
            );
            expect(Math.abs((found.mean[entry] as number) - truth.mean)).toBeLessThan(1e-9 * (1 + shift));
            expect(Math.abs((found.variance[entry] as number) - truth.variance)).toBeLessThan(1e-7);
            expect(Math.abs((found.standardError[entry] as number) - truth.standardError)).toBeLessThan(1e-4);
          }
        },
      ),
    );
  });

  it("draws without weight may be infinite, and a row without weight has no moments", () => {
    const stream = weightStream(2);
    const moments = momentStream({ outer: 1, rows: 2, size: 1 });
    const part = stream([0, -Infinity, -Infinity, -Infinity, 0, -Infinity]);
    moments.add([1, 5, Infinity, NaN, 3, 5], part);
    const { mean, variance } = moments.moments(part);
    expect([mean[0], variance[0]]).toEqual([2, 1]);
    expect(mean[1]).toBeNaN();
  });
});
