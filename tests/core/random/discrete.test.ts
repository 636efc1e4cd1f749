/** Classes and orders: their frequencies. */
import { describe, expect, it } from "vitest";
import { fold, rootKey } from "../../../src/core/key.ts";
import { categorical, permutation } from "../../../src/core/random/discrete.ts";
import { expectCounts, tally } from "../../support/goodness.ts";

const key = rootKey("discrete");
const N = 100_000;

/** One row of logits, again and again. */
const repeated = (row: readonly number[], rows: number) =>
  Float32Array.from({ length: rows * row.length }, (_, i) => row[i % row.length] as number);

describe("frequencies", () => {
  it("draws classes in proportion to exp(logit)", () => {
    const logits = [0, 1, -2, Number.NEGATIVE_INFINITY, 3, -8];
    const weights = logits.map(Math.exp);
    const total = weights.reduce((a, b) => a + b, 0);
    const draws = categorical(key, repeated(logits, N), N, logits.length);
    const counts = tally(draws, logits.length);
    expect(counts[3]).toBe(0);
    const possible = [0, 1, 2, 4, 5];
    expectCounts(
      possible.map((j) => counts[j] as number),
      possible.map((j) => (weights[j] as number) / total),
    );
  });

  it("draws every order of four equally often", () => {
    const orders = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const order = permutation(fold(key, i), 4).join("");
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    expect(orders.size).toBe(24);
    expectCounts([...orders.values()], new Float64Array(24).fill(1 / 24));
  });
});
