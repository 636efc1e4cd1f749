/** The digits of the walkthrough: real counts, disjoint sets, one seed one split. */

import fc from "fast-check";
import * as E from "fp-ts/lib/Either.js";
import { beforeAll, describe, expect, it } from "vitest";
import { TiltedError } from "../core/errors.ts";
import { classCounts, type Digits, selectClasses } from "./digits.ts";
import { loadMnistPackage } from "./package.ts";
import { biasedSplit, splitCounts, trainValidationSplit } from "./split.ts";

const recipe = { classes: [0, 1, 2, 3, 4], shares: [0.12, 0.33, 0.28, 0.2, 0.07], keep: 0.6 } as const;

const codeOf = (body: () => unknown): string => {
  try {
    body();
  } catch (error) {
    if (error instanceof TiltedError) return error.code;
    throw error;
  }
  return "nothing thrown";
};

let digits: Digits;
beforeAll(async () => {
  const loaded = await loadMnistPackage()();
  if (E.isLeft(loaded)) throw loaded.left;
  digits = loaded.right;
});

describe("loadMnistPackage", () => {
  it("gives 10,000 digits of bytes divided by 255", () => {
    expect(digits.count).toBe(10_000);
    expect(classCounts(digits.labels, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])).toEqual([
      1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978,
    ]);
    const seen = new Set(digits.images.map((v) => v * 255));
    expect(seen.size).toBe(256);
    for (const v of seen) expect(Math.abs(v - Math.round(v))).toBeLessThan(1e-4);
  });

  it("selects classes in order", () => {
    const two = selectClasses(digits, [7, 2]);
    expect(two.count).toBe(991 + 1070);
    expect(classCounts(two.labels, [2, 7])).toEqual([991, 1070]);
    const first = digits.labels.indexOf(2) * 784;
    expect(two.images.subarray(0, 784)).toEqual(digits.images.subarray(first, first + 784));
  });
});

describe("splitCounts", () => {
  it("gives the published counts of the full training set", () => {
    const { biased, unbiased } = splitCounts([5923, 6742, 5958, 6131, 5842], recipe);
    expect(biased.reduce((a, b) => a + b)).toBe(18_353);
    expect(unbiased.reduce((a, b) => a + b)).toBe(3_425);
  });

  it("refuses shares that are no distribution, and a class too small", () => {
    const counts = [10, 10, 10, 10, 10];
    expect(codeOf(() => splitCounts(counts, { ...recipe, shares: [0.5, 0.5, 0.5, 0, 0] }))).toBe("argument");
    expect(codeOf(() => splitCounts(counts, { ...recipe, shares: [0.5, 0.5] }))).toBe("argument");
    expect(codeOf(() => splitCounts(counts, { ...recipe, keep: 0 }))).toBe("argument");
    expect(() => splitCounts(counts, { ...recipe, shares: [1, 0, 0, 0, 0] })).toThrow(/class 0 has 10 rows.*needs 30/);
  });

  it("does not lose a row to binary fractions", () => {
    expect(splitCounts([100, 100], { classes: [0, 1], shares: [0.29, 0.71], keep: 0.5 }).biased).toEqual([29, 71]);
  });
});

/** A picture as a text, so that a row can be recognised. */
const fingerprint = (set: Digits, row: number) =>
  `${set.labels[row]}:${set.images.subarray(row * 784, (row + 1) * 784).reduce((h, v, i) => (h * 31 + v * (i + 7)) % 1e9, 7)}`;
const fingerprints = (set: Digits) => Array.from({ length: set.count }, (_, row) => fingerprint(set, row));

describe("biasedSplit", () => {
  it("gives 3,075 biased and 560 unbiased digits of the npm package, none in both", () => {
    const split = biasedSplit(digits, { ...recipe, seed: 1 });
    expect(split.biased.count).toBe(3_075);
    expect(split.unbiased.count).toBe(560);
    expect(split.biasedCounts).toEqual([369, 1015, 861, 615, 215]);
    expect(classCounts(split.biased.labels, recipe.classes)).toEqual(split.biasedCounts);
    expect(classCounts(split.unbiased.labels, recipe.classes)).toEqual([112, 112, 112, 112, 112]);
    expect(split.biased.count + split.unbiased.count + split.rest.count).toBe(5131);
    const parts = [split.biased, split.unbiased, split.rest].flatMap(fingerprints);
    expect(parts.sort()).toEqual(fingerprints(selectClasses(digits, recipe.classes)).sort());
  });

  it("mixes the classes, repeats with the seed and moves with it", () => {
    const [a, b, c] = [1, 1, 2].map((seed) => biasedSplit(digits, { ...recipe, seed }));
    const bytes = (set?: Digits) => Buffer.from((set as Digits).images.buffer);
    expect(a?.biased.labels).toEqual(b?.biased.labels);
    for (const part of ["biased", "unbiased", "rest"] as const) {
      expect(bytes(a?.[part]).equals(bytes(b?.[part]))).toBe(true);
      expect(bytes(a?.[part]).equals(bytes(c?.[part]))).toBe(false);
    }
    // In one run of sorted labels the first fifty rows would all be of one class.
    expect(new Set(a?.biased.labels.subarray(0, 50)).size).toBeGreaterThan(2);
  });
});

describe("trainValidationSplit", () => {
  it("parts all rows without overlap", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 300 }),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.integer(),
        (n, f, seed) => {
          const { train, validation } = trainValidationSplit(n, f, seed);
          expect(train.length).toBeGreaterThan(0);
          expect(validation.length).toBe(Math.min(n - 1, Math.max(1, Math.floor(f * n + 1e-9))));
          expect([...train, ...validation].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
        },
      ),
    );
  });

  it("refuses a fraction of nothing or all", () => {
    expect(codeOf(() => trainValidationSplit(10, 0, 1))).toBe("argument");
    expect(codeOf(() => trainValidationSplit(10, 1, 1))).toBe("argument");
    expect(codeOf(() => trainValidationSplit(1, 0.5, 1))).toBe("argument");
  });
});
