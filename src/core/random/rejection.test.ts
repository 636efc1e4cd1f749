/** Gamma, Poisson and binomial draws: places, bits, refusals. Their distributions: tests/core/random. */
import { describe, expect, it } from "vitest";
import { rootKey } from "../key.ts";
import { binomial, gamma, logGammaDraws, poisson } from "./rejection.ts";

const key = rootKey("rejection");

const ALL = {
  gamma: (n: number, offset: number, at: (i: number) => number) =>
    gamma(
      key,
      Array.from({ length: n }, (_, i) => 0.3 + at(i + offset)),
      n,
      offset,
    ),
  logGammaDraws: (n: number, offset: number, at: (i: number) => number) =>
    logGammaDraws(
      key,
      Array.from({ length: n }, (_, i) => 0.3 + at(i + offset)),
      n,
      offset,
    ),
  poisson: (n: number, offset: number, at: (i: number) => number) =>
    poisson(
      key,
      Array.from({ length: n }, (_, i) => 20 * at(i + offset)),
      n,
      offset,
    ),
  binomial: (n: number, offset: number, at: (i: number) => number) =>
    binomial(
      key,
      [37],
      Array.from({ length: n }, (_, i) => at(i + offset)),
      n,
      offset,
    ),
};

describe("places", () => {
  const fraction = (i: number) => (i * 0.618) % 1;

  it.each(Object.entries(ALL))("%s: element i depends on offset + i and its parameters only", (_, draw) => {
    const whole = draw(500, 0, fraction);
    expect(draw(123, 77, fraction)).toEqual(whole.slice(77, 200));
    const others = draw(500, 0, (i) => (i % 2 === 0 ? fraction(i) : 0.9));
    others.forEach((x, i) => {
      if (i % 2 === 0) expect(x).toBe(whole[i]);
    });
  });

  it("is the same on every machine", () => {
    const fingerprint = Object.values(ALL).map((draw) =>
      new Uint32Array(draw(5000, 0, fraction).buffer).reduce((hash, word) => (Math.imul(hash, 31) + word) | 0, 0),
    );
    expect(fingerprint).toEqual([-559524043, 809729969, 1866727424, -1012662272]);
  });
});

describe("refusals", () => {
  it.each([
    [() => gamma(key, [0], 1), /concentration\[0\] is 0/],
    [() => gamma(key, [1, 2], 3), /expected 1 or 3 values/],
    [() => poisson(key, [Number.NaN], 1), /rate\[0\] is NaN/],
    [() => poisson(key, [-1], 1), /rate\[0\] is -1/],
    [() => binomial(key, [1.5], [0.5], 1), /count\[0\] is 1.5/],
    [() => binomial(key, [1], [1.1], 1), /prob\[0\] is 1.1/],
  ])("%o", (draw, says) => {
    expect(draw).toThrow(says);
  });
});
