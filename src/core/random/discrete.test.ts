/** Classes and orders: places and refusals. Their frequencies: tests/core/random. */
import { describe, expect, it } from "vitest";
import { fold, rootKey } from "../key.ts";
import { categorical, permutation } from "./discrete.ts";

const key = rootKey("discrete");

/** One row of logits, again and again. */
const repeated = (row: readonly number[], rows: number) =>
  Float32Array.from({ length: rows * row.length }, (_, i) => row[i % row.length] as number);

describe("categorical", () => {
  it("ignores a constant added to a row", () => {
    const plain = categorical(key, repeated([0, 1, 2], 1000), 1000, 3);
    expect(categorical(key, repeated([64, 65, 66], 1000), 1000, 3)).toEqual(plain);
  });

  it("draws row i by (key, offset + i)", () => {
    const logits = repeated([0.1, 0.2, 0.3], 400);
    const whole = categorical(key, logits, 400, 3);
    expect(categorical(key, logits.subarray(0, 150), 50, 3, 101)).toEqual(whole.slice(101, 151));
  });

  it("refuses rows that leave no choice", () => {
    expect(() => categorical(key, [Number.NEGATIVE_INFINITY], 1, 1)).toThrow(/every logit of row 0/);
    expect(() => categorical(key, [0, Number.NaN], 1, 2)).toThrow(/logit 1 of row 0 is NaN/);
    expect(() => categorical(key, [0, 1], 1, 3)).toThrow(/expected 1·3 logits/);
  });
});

describe("permutation", () => {
  it("is an order, another one for another key", () => {
    const order = permutation(key, 1000);
    expect([...order].sort((a, b) => a - b)).toEqual([...Array(1000).keys()]);
    expect(permutation(key, 1000)).toEqual(order);
    expect(permutation(fold(key, 1), 1000)).not.toEqual(order);
    expect([...permutation(key, 0)]).toEqual([]);
  });
});
