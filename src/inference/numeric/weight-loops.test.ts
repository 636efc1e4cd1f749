import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rootKey } from "../../core/key.ts";
import { normal } from "../../core/random/draws.ts";
import { expectationStream, exponentialSums, largestOf, tailAbove } from "./weight-loops.ts";

/** Lengths about the lanes and the chunks of the loops. */
const SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 2047, 2048, 2049, 6145];
const gaussian = (n: number, scale = 1): Float32Array => normal(rootKey(n), n).map((x) => x * scale);

/** The same in plain doubles. */
function plainSums(l: ArrayLike<number>, max: number) {
  const w = Array.from(l, (x) => Math.exp(x - max));
  return { sum: w.reduce((a, b) => a + b, 0), squares: w.reduce((a, b) => a + b * b, 0), w };
}

function plainMean(h: ArrayLike<number>, l: ArrayLike<number>, max: number) {
  const { w, sum } = plainSums(l, max);
  const used = w.map((v, i) => [v, h[i] as number] as const).filter(([v]) => v !== 0);
  const value = used.reduce((a, [v, x]) => a + v * x, 0) / sum;
  return { value, standardError: Math.sqrt(used.reduce((a, [v, x]) => a + (v * (x - value)) ** 2, 0)) / sum };
}

/** Above every double that the loops take for zero. */
const SUBNORMAL = 1e-307;
const expectNear = (found: number, wanted: number, relative = 1e-12) =>
  expect(Math.abs(found - wanted)).toBeLessThanOrEqual(relative * Math.abs(wanted) + SUBNORMAL);

describe("loops over log-weights", () => {
  it("give the exponential to two roundings over the whole range, and 0 below it", () => {
    const l = Float64Array.from({ length: 20_001 }, (_, i) => -708 + (i * 708) / 20_000);
    exponentialSums(l, 0, (w, from) => {
      w.forEach((v, i) => {
        expectNear(v, Math.exp(l[from + i] as number), 4.5e-16);
      });
    });
    exponentialSums([-708.01, -745, -1e5, -1e300, Number.NEGATIVE_INFINITY], 0, (w) => {
      expect([...w]).toEqual([0, 0, 0, 0, 0]);
    });
    exponentialSums([0, 0], 0, (w) => expect([...w]).toEqual([1, 1]));
  });

  it.each(SIZES)("sum %d single and double log-weights as plain loops do", (n) => {
    for (const scale of [1e-3, 1, 100]) {
      const single = gaussian(n, scale);
      for (const l of [single, Float64Array.from(single), Array.from(single)]) {
        const max = largestOf(l);
        expect(max).toBe(Math.max(...single));
        const seen: number[] = [];
        const { sum, squares } = exponentialSums(l, max, (w, from) => {
          expect(from).toBe(seen.length);
          seen.push(...w);
        });
        const wanted = plainSums(l, max);
        expectNear(sum, wanted.sum);
        expectNear(squares, wanted.squares);
        expect(seen).toHaveLength(n);
        seen.forEach((w, i) => {
          expectNear(w, wanted.w[i] as number, 4.5e-16);
        });
      }
    }
  });

  it.each(SIZES)("take the mean of %d values, of any type, as two plain passes do", (n) => {
    const l = gaussian(n, 3);
    const max = largestOf(l);
    const x = normal(rootKey("h"), n);
    for (const h of [
      x,
      Float64Array.from(x),
      Int32Array.from(x, (v) => v * 1e9),
      Uint8Array.from(x, (v) => +(v > 0)),
    ]) {
      const stream = expectationStream(max);
      const cut = Math.floor(n / 3);
      stream.add(h.subarray(0, cut), l.subarray(0, cut));
      stream.add(h.subarray(cut), l.subarray(cut));
      const { value, standardError } = stream.result();
      const wanted = plainMean(h, l, max);
      expect(Math.abs(value - wanted.value)).toBeLessThanOrEqual(1e-13 * Math.max(1, ...Array.from(h, Math.abs)));
      expect(Math.abs(standardError - wanted.standardError)).toBeLessThanOrEqual(1e-9 * wanted.standardError + 1e-15);
    }
  });

  it("lose no digits far from zero, also when the first draws have next to no weight", () => {
    const n = 10_000;
    const x = Float64Array.from(normal(rootKey(3), n), (v) => 1e9 + v);
    const l = Float32Array.from({ length: n }, (_, i) => (i < 3000 ? -900 : i < 5000 ? -600 : -1));
    const stream = expectationStream(-1);
    stream.add(x, l);
    const wanted = plainMean(x, l, -1);
    const { value, standardError } = stream.result();
    expectNear(value, wanted.value, 1e-15);
    expectNear(standardError, wanted.standardError, 1e-6);
  });

  it("ask nothing of draws without weight", () => {
    const stream = expectationStream(0);
    const never = Number.NEGATIVE_INFINITY;
    stream.add([Number.NaN, 3, Number.POSITIVE_INFINITY, 5, Number.NaN], [never, 0, never, 0, -1000]);
    expect(stream.result().value).toBe(4);
    const none = expectationStream(never);
    none.add([1, 2], [never, never]);
    expect(none.result()).toEqual({ value: Number.NaN, standardError: Number.NaN });
  });

  it("pass on what is no number", () => {
    for (const l of [Float32Array.of(0, Number.NaN, -1), [0, Number.NaN, -1]]) {
      expect(largestOf(l)).toBe(0);
      expect(exponentialSums(l, 0).sum).toBe(Number.NaN);
      const stream = expectationStream(0);
      stream.add([1, 2, 3], l);
      expect(stream.result().value).toBe(Number.NaN);
    }
    expect(exponentialSums([Number.POSITIVE_INFINITY, 0], Number.POSITIVE_INFINITY).sum).toBe(Number.NaN);
    const stream = expectationStream(0);
    stream.add([1, Number.NaN, 3], [0, 0, 0]);
    expect(stream.result().value).toBe(Number.NaN);
  });

  it("find what is not below a cut, in order, NaN too, until `take` returns false", () => {
    for (const n of SIZES) {
      const x = gaussian(n).map((v, i) => (i % 11 === 5 ? Number.NaN : i % 13 === 7 ? Number.NEGATIVE_INFINITY : v));
      for (const cut of [-0.3, 0.1, 2, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NaN]) {
        const wanted = Array.from(x).filter((v) => !(v < cut));
        for (const values of [x, Float64Array.from(x)]) {
          const found: number[] = [];
          tailAbove(values, cut, (v) => found.push(v) > 0);
          expect(found).toEqual(wanted);
          const few: number[] = [];
          tailAbove(values, cut, (v) => few.push(v) < 3);
          expect(few).toEqual(wanted.slice(0, 3));
        }
      }
    }
  });

  it("find the largest of nothing, of −∞ and of anything", () => {
    expect(largestOf([])).toBe(Number.NEGATIVE_INFINITY);
    expect(largestOf(new Float32Array(0))).toBe(Number.NEGATIVE_INFINITY);
    expect(largestOf(new Float32Array(9).fill(Number.NEGATIVE_INFINITY))).toBe(Number.NEGATIVE_INFINITY);
    fc.assert(
      fc.property(fc.float32Array({ minLength: 1, maxLength: 40, noNaN: true }), (x) => {
        expect(largestOf(x)).toBe(x.reduce((a, b) => (b > a ? b : a), Number.NEGATIVE_INFINITY));
      }),
    );
  });
});
