/** Bulk draws: places, bits, refusals. Their statistics and the accuracy of their inverse functions: tests/core/random. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Key, rootKey, threefry2x32 } from "../key.ts";
import { bits, exponential, gumbel, normal, uniform } from "./draws.ts";

const ALL = { bits, uniform, normal, exponential, gumbel };
const key = rootKey("draws");

describe("places", () => {
  it("gives the words of threefry2x32, in order", () => {
    fc.assert(
      fc.property(
        fc.record({ hi: fc.nat(2 ** 32 - 1), lo: fc.nat(2 ** 32 - 1) }),
        fc.oneof(fc.nat(20_000), fc.nat(2 ** 40), fc.constantFrom(2 ** 33 - 5, 2 ** 33 - 4, 2 ** 34 + 7, 2 ** 51)),
        fc.nat(70),
        (k, offset, n) => {
          const expected = Array.from({ length: n }, (_, i) => {
            const block = Math.floor((offset + i) / 2);
            return threefry2x32(k, Math.floor(block / 2 ** 32), block >>> 0)[(offset + i) % 2];
          });
          expect([...bits(k, n, offset)]).toEqual(expected);
        },
      ),
      { numRuns: 60, seed: 1 },
    );
  });

  it.each(Object.entries(ALL))("%s: element i depends on offset + i only", (_, draw) => {
    const whole = draw(key, 10_000);
    for (const [offset, n] of [
      [0, 17],
      [1, 9000],
      [4095, 3],
      [4096, 5000],
      [9999, 1],
    ] as const) {
      expect(draw(key, n, offset)).toEqual(whole.slice(offset, offset + n));
    }
    expect(draw(key, 0)).toHaveLength(0);
  });

  it("is the same on every machine", () => {
    const k: Key = { hi: 1, lo: 2 };
    const fingerprint = Object.values(ALL).map((draw) => {
      const bytes = new Uint32Array(draw(k, 10_000).buffer);
      return bytes.reduce((hash, word) => (Math.imul(hash, 31) + word) | 0, 0);
    });
    expect(fingerprint).toEqual([-1467444764, 2131526750, 1649481510, 968950530, -1837295501]);
  });

  it("refuses counts that are none", () => {
    for (const [n, offset] of [
      [-1, 0],
      [1.5, 0],
      [1, -1],
      [1, 2 ** 53],
      [Number.NaN, 0],
    ] as const) {
      expect(() => uniform(key, n, offset)).toThrow(/must be a whole number/);
    }
  });
});
