/** Weights that a pool makes and keeps: sums and means have the bits of those that are taken part by part. */
import { describe, expect, it } from "vitest";
import { fold, rootKey } from "../../core/key.ts";
import { normal } from "../../core/random/draws.ts";
import { threadPool } from "../../core/simd/thread-pool.ts";
import { paretoK } from "../weights/pareto.ts";
import { normalizeWeights, sumWeights } from "../weights/weights.ts";
import { BLOCK_DRAWS, cacheWeights } from "./weight-cache.ts";
import { CHUNK } from "./weight-kernels.ts";
import { beginExponentialSums, expectationStream, exponentialSums, largestOf, tailAbove } from "./weight-loops.ts";

const key = rootKey("kept");
const SIZES = [1 << 15, 100_000, 5 * CHUNK * 32, 1_000_003, 1 << 20];

const draws = (n: number, name: string): Float32Array => normal(fold(key, name), n);
const logs = (n: number): Float32Array => {
  const l = draws(n, "logs");
  l[n >> 1] = Number.NEGATIVE_INFINITY;
  return l.map((x) => 3 * x);
};

/** Sums as they come out of short arrays, which no pool sees. */
function plainSums(l: Float32Array, max: number) {
  let [sum, squares] = [0, 0];
  for (let from = 0; from < l.length; from += CHUNK) {
    const part = exponentialSums(l.subarray(from, from + CHUNK), max);
    sum += part.sum;
    squares += part.squares;
  }
  return { sum, squares };
}

/** The mean as it comes out of values of doubles, which no pool sees. */
function plainMean(values: Float32Array, l: Float32Array, max: number) {
  const stream = expectationStream(max);
  stream.add(Float64Array.from(values), l);
  return stream.result();
}

async function helped(): Promise<void> {
  const patience = Date.now() + 3000;
  // Work until helpers are there, where there can be any.
  while (!threadPool()?.hasWorkers() && Date.now() < patience) {
    normal(key, 1 << 20);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe.each(["alone", "with helpers"])("%s", (who) => {
  it.each(SIZES)("%i log-weights are summed as in parts", async (n) => {
    if (who === "with helpers") await helped();
    const l = logs(n);
    const max = largestOf(l);
    const expected = plainSums(l, max);
    expect(exponentialSums(l, max)).toEqual(expected);
    const sums = beginExponentialSums(l);
    expect(sums.max).toBe(max);
    expect(sums.finish()).toEqual(expected);
    expect(sumWeights(l)).toEqual({ count: n, max, ...expected });
  });

  it.each(SIZES)("means under %i weights are those of parts", (n) => {
    const [l, values] = [logs(n), draws(n, "values")];
    const max = largestOf(l);
    const expected = plainMean(values, l, max);
    const whole = expectationStream(max, l);
    whole.add(values, l);
    expect(whole.result()).toEqual(expected);
    const pieces = expectationStream(max, l);
    for (let from = 0; from < n; from += BLOCK_DRAWS) {
      pieces.add(values.subarray(from, from + BLOCK_DRAWS), l.subarray(from, from + BLOCK_DRAWS));
    }
    expect(pieces.result()).toEqual(expected);
  });
});

describe("kept weights", () => {
  const n = 100_000;
  const values = draws(n, "values");

  it("are not taken for those of log-weights that have changed", () => {
    const l = logs(n);
    const max = largestOf(l);
    sumWeights(l);
    l[70_000] = max;
    const stream = expectationStream(max, l);
    stream.add(values, l);
    expect(stream.result()).toEqual(plainMean(values, l, max));
  });

  it("may give way to others in the middle", () => {
    const l = logs(n);
    const max = largestOf(l);
    const sums = beginExponentialSums(l);
    const stream = expectationStream(max, l);
    stream.add(values.subarray(0, BLOCK_DRAWS), l.subarray(0, BLOCK_DRAWS));
    sumWeights(logs(200_000));
    stream.add(values.subarray(BLOCK_DRAWS), l.subarray(BLOCK_DRAWS));
    expect(stream.result()).toEqual(plainMean(values, l, max));
    expect(sums.finish()).toEqual(plainSums(l, max));
  });

  it("stay in place where memory moves", () => {
    const l = logs(n);
    const kept = cacheWeights(l);
    threadPool()?.allocate(1 << 22);
    expect(kept?.range(0, n)?.weights).toEqual(weightsOf(l));
  });

  it("find what is not below a number, in order, as a search of the log-weights does", () => {
    const l = logs(n);
    l[n - 1] = Number.POSITIVE_INFINITY;
    l[77] = Number.NaN;
    for (const cut of [-1, 0, 6, 11.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]) {
      const [found, expected]: [number[], number[]] = [[], []];
      beginExponentialSums(l).tailAbove(l, cut, (x) => found.push(x) < 5000);
      tailAbove(l, cut, (x) => expected.push(x) < 5000);
      expect(found).toEqual(expected);
    }
    expect(paretoK(l.subarray(100, 90_000), beginExponentialSums(l).tailAbove)).toBe(paretoK(l.subarray(100, 90_000)));
  });

  it("of nothing but zeros are none", () => {
    const none = new Float32Array(n).fill(Number.NEGATIVE_INFINITY);
    expect(sumWeights(none)).toEqual({ count: n, max: Number.NEGATIVE_INFINITY, sum: 0, squares: 0 });
    const stream = expectationStream(Number.NEGATIVE_INFINITY, none);
    stream.add(values, none);
    expect(stream.result().value).toBe(Number.NaN);
  });

  it("are normalised as they were", () => {
    const l = logs(n);
    const { sum } = plainSums(l, largestOf(l));
    expect(normalizeWeights(l)).toEqual(weightsOf(l).map((w) => w * (1 / sum)));
  });
});

/** Weights in parts that no pool sees. */
function weightsOf(l: Float32Array): Float64Array {
  const out = new Float64Array(l.length);
  const max = largestOf(l);
  for (let from = 0; from < l.length; from += CHUNK) {
    exponentialSums(l.subarray(from, from + CHUNK), max, (part) => out.set(part, from));
  }
  return out;
}
