import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rootKey } from "../../core/key.ts";
import { batchesPerEpoch, minibatches } from "./minibatch.ts";

const sizes = fc.integer({ min: 1, max: 60 }).chain((size) =>
  fc.record({
    size: fc.constant(size),
    rows: fc.integer({ min: 1, max: size }),
    seed: fc.integer(),
    epoch: fc.nat(5),
  }),
);

describe("minibatches", () => {
  it("go through distinct rows in each epoch, all but what cannot fill a batch", () => {
    fc.assert(
      fc.property(sizes, ({ size, rows, seed, epoch }) => {
        const at = minibatches(rootKey(seed));
        const n = batchesPerEpoch(size, rows);
        const seen = Array.from({ length: n }, (_, i) => [...at(epoch * n + i)("data", size, rows)]).flat();
        expect(seen).toHaveLength(n * rows);
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen.every((row) => row >= 0 && row < size)).toBe(true);
      }),
    );
  });

  it("depend on key, plate and step alone", () => {
    fc.assert(
      fc.property(sizes, fc.array(fc.nat(40), { maxLength: 10 }), ({ size, rows, seed }, steps) => {
        const wandering = minibatches(rootKey(seed));
        for (const step of steps) {
          const fresh = minibatches(rootKey(seed))(step)("data", size, rows);
          expect(wandering(step)("data", size, rows)).toEqual(fresh);
        }
      }),
    );
    const at = minibatches(rootKey(1));
    expect(at(0)("a", 50, 10)).not.toEqual(at(0)("b", 50, 10));
    expect(at(0)("a", 50, 10)).not.toEqual(at(5)("a", 50, 10));
    expect(at(0)("a", 50, 10)).not.toEqual(minibatches(rootKey(2))(0)("a", 50, 10));
  });
});
