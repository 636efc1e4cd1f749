/** The fused update against the plain loop, bit for bit. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rootKey } from "../../core/key.ts";
import { normal } from "../../core/random/draws.ts";
import { type AdamNumbers, adamUpdate, sumOfSquares } from "./adam.ts";
import { arena } from "./arena.ts";

interface Buffers {
  readonly p: Float32Array;
  readonly g: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

function plain({ p, g, m, v }: Buffers, from: number, to: number, numbers: AdamNumbers): void {
  const f = Math.fround;
  const { beta1, beta2, rate, correction, epsilon, decay } = numbers;
  for (let i = from; i < to; i++) {
    const gi = g[i] as number;
    m[i] = f(f(beta1) * (m[i] as number)) + f(f(1 - beta1) * gi);
    v[i] = f(f(beta2) * (v[i] as number)) + f(f(f(1 - beta2) * gi) * gi);
    const root = f(Math.sqrt(f((v[i] as number) * f(correction)))) + f(epsilon);
    const step = f(f(f(rate) * (m[i] as number)) / f(root));
    p[i] = (p[i] as number) - f(f(f(decay) * (p[i] as number)) + step);
  }
}

const buffers = (n: number, seed: number): Buffers => {
  const draw = (name: string) => normal(rootKey(`${name} ${seed}`), n);
  return { p: draw("p"), g: draw("g"), m: draw("m"), v: draw("v").map(Math.abs) };
};
const copy = ({ p, g, m, v }: Buffers): Buffers => ({ p: p.slice(), g: g.slice(), m: m.slice(), v: v.slice() });

describe("adamUpdate", () => {
  it("is the plain loop, bit for bit, and leaves its neighbours alone", () => {
    const unit = fc.double({ min: 0, max: 0.9999, noNaN: true });
    const positive = fc.double({ min: 1e-10, max: 10, noNaN: true });
    fc.assert(
      fc.property(
        fc.record({ beta1: unit, beta2: unit, rate: positive, correction: positive, epsilon: positive, decay: unit }),
        fc.nat(40),
        fc.oneof(fc.nat(40), fc.nat(5000)),
        fc.nat(9),
        (numbers, from, count, seed) => {
          const n = from + count + 3;
          const found = buffers(n, seed);
          const expected = copy(found);
          const most = adamUpdate(found.p, found.g, found.m, found.v, from, from + count, numbers);
          plain(expected, from, from + count, numbers);
          expect(found).toEqual(expected);
          expect(most).toBe(Math.max(0, ...expected.v.subarray(from, from + count)));
          // In place, where the buffers lie in one memory.
          const start = Object.values(buffers(n, seed)) as Float32Array[];
          const [p, g, m, v] = arena([n, n, n, n]) as [Float32Array, Float32Array, Float32Array, Float32Array];
          [p, g, m, v].forEach((buffer, i) => {
            buffer.set(start[i] as Float32Array);
          });
          expect(adamUpdate(p, g, m, v, from, from + count, numbers)).toBe(most);
          expect({ p: p.slice(), g: g.slice(), m: m.slice(), v: v.slice() }).toEqual(expected);
        },
      ),
      { numRuns: 100, seed: 1 },
    );
  });
});

describe("sumOfSquares", () => {
  it("is the same, bit for bit, wherever the numbers lie", () => {
    fc.assert(
      fc.property(fc.nat(3000), fc.nat(5), fc.nat(9), (n, from, seed) => {
        const x = normal(rootKey(`x ${seed}`), n + from);
        const [before, inPlace] = arena([7, n + from]) as [Float32Array, Float32Array];
        inPlace.set(x);
        before.fill(9);
        const found = sumOfSquares(inPlace.subarray(from));
        expect(found).toBe(sumOfSquares(x.subarray(from)));
        const exact = x.subarray(from).reduce((sum, v) => sum + v * v, 0);
        expect(Math.abs(found - exact)).toBeLessThanOrEqual(1e-14 * n * Math.max(1, exact));
        expect([...before, ...inPlace]).toEqual([...new Float32Array(7).fill(9), ...x]);
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1e38])("shows an entry of %s", (value) => {
    for (const at of [0, 3, 8]) {
      const [x] = arena([9]) as [Float32Array];
      x[at] = value;
      expect(Number.isFinite(sumOfSquares(x))).toBe(Number.isFinite(value));
    }
  });
});
