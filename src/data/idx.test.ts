/** Reading IDX as untrusted input: what is written is read back, and each kind of damage has its own error. */

import fc from "fast-check";
import * as E from "fp-ts/lib/Either.js";
import { describe, expect, it } from "vitest";
import { type IdxArray, readIdx, writeIdx } from "./idx.ts";

const arrays: fc.Arbitrary<IdxArray> = fc
  .array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 4 })
  .chain((shape) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return fc.uint8Array({ minLength: size, maxLength: size }).map((data) => ({ shape, data }));
  });

const messageOf = (bytes: Uint8Array, rank?: number): string => {
  const result = readIdx(bytes, "file", rank);
  if (E.isRight(result)) throw new Error(`read as ${result.right.shape.join(" × ")}`);
  expect(result.left.code).toBe("data");
  expect(result.left.message).not.toContain("\n");
  return result.left.message;
};

describe("readIdx", () => {
  it("reads back what writeIdx wrote, also from the middle of a larger buffer", () => {
    fc.assert(
      fc.property(arrays, fc.nat(9), (array, offset) => {
        const bytes = writeIdx(array);
        const buffer = new Uint8Array(bytes.length + offset + 3);
        buffer.set(bytes, offset);
        expect(readIdx(buffer.subarray(offset, offset + bytes.length))).toEqual(E.right(array));
      }),
    );
  });

  it("calls any shorter file truncated", () => {
    fc.assert(
      fc.property(arrays, fc.double({ min: 0, max: 0.999999, noNaN: true }), (array, part) => {
        const bytes = writeIdx(array);
        expect(messageOf(bytes.subarray(0, Math.floor(part * bytes.length)))).toMatch(/^file: truncated/);
      }),
    );
  });

  it("calls any longer file oversized", () => {
    fc.assert(
      fc.property(arrays, fc.uint8Array({ minLength: 1, maxLength: 20 }), (array, extra) => {
        expect(messageOf(Uint8Array.from([...writeIdx(array), ...extra]))).toMatch(/^file: oversized/);
      }),
    );
  });

  it("refuses another magic, another element type and no dimensions", () => {
    fc.assert(
      fc.property(arrays, fc.constantFrom(0, 1, 2), fc.integer({ min: 1, max: 255 }), (array, at, change) => {
        const bytes = writeIdx(array);
        bytes[at] = (bytes[at] as number) ^ change;
        expect(messageOf(bytes)).toMatch(/^file: wrong magic/);
      }),
    );
    expect(messageOf(Uint8Array.of(0, 0, 8, 0))).toMatch(/wrong magic 00 00 08 00/);
  });

  it("refuses another number of dimensions than expected, and names gzip", () => {
    const labels = writeIdx({ shape: [2], data: Uint8Array.of(1, 2) });
    expect(messageOf(labels, 3)).toBe(
      "file: wrong magic 00 00 08 01: 1 dimensions, expected 3 (are images and labels exchanged?)",
    );
    expect(messageOf(Uint8Array.of(0x1f, 0x8b, 8, 0))).toContain("this is gzip");
  });

  it("does not allocate what a lying header promises", () => {
    const bytes = Uint8Array.of(0, 0, 8, 3, ...new Array<number>(12).fill(0xff));
    expect(messageOf(bytes)).toMatch(/truncated: 0 bytes of data, 4294967295 × 4294967295 × 4294967295 needs 7\.92/);
  });
});
