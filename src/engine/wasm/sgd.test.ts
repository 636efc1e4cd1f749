/** Gradient descent and the shortening of gradients in one memory: the bits of the plain loops. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { rootKey } from "../../core/key.ts";
import { normal } from "../../core/random/draws.ts";
import { arena } from "./arena.ts";
import { type SgdNumbers, scaleInPlace, sgdUpdate } from "./sgd.ts";

const draw = (name: string, n: number) => normal(rootKey(name), n);

/** The same numbers in one memory, with a neighbour behind each that must stay as it is. */
const together = (arrays: readonly Float32Array[]): Float32Array[] => {
  const placed = arena(arrays.map((x) => x.length + 1));
  return arrays.map((x, i) => {
    const buffer = placed[i] as Float32Array;
    buffer.set(x);
    buffer[x.length] = 7;
    return buffer;
  });
};

function plain(p: Float32Array, g: Float32Array, u: Float32Array | undefined, numbers: SgdNumbers): void {
  const { rate, momentum, nesterov } = numbers;
  for (let i = 0; i < p.length; i++) {
    const gi = g[i] as number;
    let direction = gi;
    if (u !== undefined) {
      const ui = momentum * (u[i] as number) + gi;
      u[i] = ui;
      direction = nesterov ? gi + momentum * ui : ui;
    }
    p[i] = (p[i] as number) - rate * direction;
  }
}

it("an update is the plain loop, bit for bit, and leaves its neighbours alone", () => {
  const numbers = fc.record({
    rate: fc.double({ min: 0, max: 10, noNaN: true }),
    momentum: fc.double({ min: 0, max: 0.9999, noNaN: true }),
    nesterov: fc.boolean(),
  });
  fc.assert(
    fc.property(numbers, fc.boolean(), fc.nat(70), fc.nat(9), (how, velocity, n, seed) => {
      const start = ["p", "g", "u"].map((name) => draw(`${name} ${seed}`, n));
      const [p, g, u] = start.map((x) => x.slice()) as [Float32Array, Float32Array, Float32Array];
      plain(p, g, velocity ? u : undefined, how);
      const [p2, g2, u2] = together(start) as [Float32Array, Float32Array, Float32Array];
      sgdUpdate(p2.subarray(0, n), g2.subarray(0, n), velocity ? u2.subarray(0, n) : undefined, how);
      for (const [found, wanted] of [
        [p2, p],
        [g2, g],
        [u2, u],
      ] as const)
        expect([...found]).toEqual([...wanted, 7]);
      // Apart, where each buffer has a memory of its own.
      const [p3, g3, u3] = start.map((x) => x.slice()) as [Float32Array, Float32Array, Float32Array];
      sgdUpdate(p3, g3, velocity ? u3 : undefined, how);
      expect([p3, u3]).toEqual([p, u]);
    }),
    { numRuns: 200, seed: 1 },
  );
});

it("a scaled gradient is that of the plain loop, bit for bit", () => {
  fc.assert(
    fc.property(fc.nat(70), fc.double({ min: 1e-30, max: 1, noNaN: true }), (n, factor) => {
      const x = draw("x", n);
      const [placed] = together([x]) as [Float32Array];
      scaleInPlace(placed.subarray(0, n), factor);
      expect([...placed]).toEqual([...x.map((v) => v * factor), 7]);
    }),
    { numRuns: 100, seed: 1 },
  );
});
