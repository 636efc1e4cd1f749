import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ndarray } from "../core/array.ts";
import type { TiltedError } from "../core/errors.ts";
import { rootKey } from "../core/key.ts";
import { normal } from "../core/random/draws.ts";
import {
  aboveMean,
  block,
  box,
  byIntensity,
  byRow,
  byThreshold,
  firstHalf,
  hide,
  mar,
  mcar,
  selfMaskLogistic,
  selfMaskProbit,
  standardize,
} from "./missing.ts";

const key = rootKey("missing");
const N = 20_000;
const x = ndarray(normal(rootKey("x"), 2 * N), [N, 2]);
/** Six standard errors of a share over so many entries. */
const WIDE = 6 * Math.sqrt(0.25 / N);

/** Share of missing entries among those for which `of` holds. */
function rate(mask: { data: ArrayLike<number> }, of: (i: number, j: number) => boolean): number {
  let [all, missing] = [0, 0];
  for (let at = 0; at < mask.data.length; at++) {
    if (!of(at >> 1, at & 1)) continue;
    all++;
    if (mask.data[at] === 0) missing++;
  }
  return missing / all;
}
const value = (i: number, j: number) => x.data[2 * i + j] as number;
const mean = (p: (v: number) => number, pick: (i: number) => number) => {
  let sum = 0;
  for (let i = 0; i < N; i++) sum += p(pick(i));
  return sum / N;
};
const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));

describe("chances", () => {
  it("are those of the formula, entry by entry", () => {
    expect(Math.abs(rate(mcar(x, 0.3, key), () => true) - 0.3)).toBeLessThan(WIDE);
    const m = mar(x, { by: 0, slope: 2 }, key);
    expect(rate(m, (_, j) => j === 0)).toBe(0);
    expect(
      Math.abs(
        rate(m, (_, j) => j === 1) -
          mean(
            (v) => sigmoid(2 * v),
            (i) => value(i, 0),
          ),
      ),
    ).toBeLessThan(WIDE);
    const l = selfMaskLogistic(x, { slope: 3, centre: 0.5, columns: [1] }, key);
    expect(rate(l, (_, j) => j === 0)).toBe(0);
    for (const [low, high] of [
      [-1, 0],
      [0.4, 0.6],
      [1, 2],
    ] as const) {
      const inside = (i: number, j: number) => j === 1 && value(i, 1) > low && value(i, 1) < high;
      let [sum, count] = [0, 0];
      for (let i = 0; i < N; i++) {
        if (!inside(i, 1)) continue;
        sum += sigmoid(3 * (value(i, 1) - 0.5));
        count++;
      }
      expect(Math.abs(rate(l, inside) - sum / count)).toBeLessThan(6 * Math.sqrt(0.25 / count));
    }
    // ∫ Φ(x) φ(x) dx = ½, and for centre c: Φ(−c/√2).
    expect(Math.abs(rate(selfMaskProbit(x, {}, key), () => true) - 0.5)).toBeLessThan(WIDE);
    expect(Math.abs(rate(selfMaskProbit(x, { centre: 1 }, key), () => true) - 0.2397501)).toBeLessThan(WIDE);
    const grey = ndarray(Float32Array.from(x.data, sigmoid), x.shape);
    const expected = mean(
      (v) => 0.8 * sigmoid(v),
      (i) => value(i, 0),
    );
    expect(Math.abs(rate(byIntensity(grey, 0.8, key), (_, j) => j === 0) - expected)).toBeLessThan(WIDE);
    const rows = mean(sigmoid, (i) => (value(i, 0) + value(i, 1)) / 2);
    expect(Math.abs(rate(byRow(x, {}, key), () => true) - rows)).toBeLessThan(WIDE);
  });
});

describe("probit self-masking of a Gaussian", () => {
  it("hides the exact share, of the exact mean", () => {
    // P(s = 0 | x) = Φ(β(x − c)), x ~ N(0, 1), t = −βc/√(1 + β²): P(s = 0) = Φ(t), E[x | s = 0] = β/√(1 + β²)·φ(t)/Φ(t).
    const [beta, centre] = [1.5, 0.4];
    // t = −.33282, φ(t) = .377448, Φ(t) = .369635.
    const [share, expected] = [0.369635, 0.83205 * (0.377448 / 0.369635)];
    const mask = selfMaskProbit(x, { slope: beta, centre }, key);
    const hidden = Array.from(x.data).filter((_, at) => mask.data[at] === 0);
    expect(Math.abs(hidden.length / x.data.length - share)).toBeLessThan(WIDE);
    const average = hidden.reduce((a, b) => a + b, 0) / hidden.length;
    const spread = Math.sqrt(hidden.reduce((a, b) => a + (b - average) ** 2, 0) / hidden.length);
    expect(Math.abs(average - expected)).toBeLessThan((6 * spread) / Math.sqrt(hidden.length));
  });
});

describe("rules without chance", () => {
  it("hide what lies above the mean, or a threshold, in the columns named", () => {
    const masks = [aboveMean(x, { columns: firstHalf(2) }), byThreshold(x, 0.25, { columns: [1] })];
    const mu = mean(
      (v) => v,
      (i) => value(i, 0),
    );
    for (let i = 0; i < N; i++) {
      expect(masks[0]?.data[2 * i]).toBe(value(i, 0) > mu ? 0 : 1);
      expect(masks[0]?.data[2 * i + 1]).toBe(1);
      expect(masks[1]?.data[2 * i + 1]).toBe(value(i, 1) > 0.25 ? 0 : 1);
    }
  });

  it("hide a square, or a half, of every image", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 7 }), (side, wide) => {
        const [height, width] = [5, wide + 4];
        const images = ndarray(new Float32Array(3 * height * width), [3, height * width]);
        const mask = box(images, { height, width }, side, key);
        for (let i = 0; i < 3; i++) {
          const row = mask.data.subarray(i * height * width, (i + 1) * height * width);
          expect(Array.from(row).reduce((a, b) => a + b, 0)).toBe(height * width - side * side);
        }
      }),
    );
    const two = ndarray(new Float32Array(4), [1, 4]);
    const size = { height: 2, width: 2 };
    const halves = (["top", "bottom", "left", "right"] as const).map((side) => [...block(two, size, side).data]);
    expect(halves).toEqual([
      [0, 0, 1, 1],
      [1, 1, 0, 0],
      [0, 1, 0, 1],
      [1, 0, 1, 0],
    ]);
  });
});

describe("standardize and hide", () => {
  it("count observed entries alone", () => {
    const data = ndarray(Float32Array.of(1, 5, 3, 7, 99, 9), [3, 2]);
    const mask = ndarray(Float32Array.of(1, 1, 1, 1, 0, 1), [3, 2]);
    const { x: z, mean: m, sd } = standardize(data, mask);
    expect([...m]).toEqual([2, 7]);
    expect(sd[0]).toBe(1);
    expect([...z.data.slice(0, 3)].map((v) => Number(v.toFixed(3)))).toEqual([-1, -1.225, 1]);
    expect([...hide(data, mask).data]).toEqual([1, 5, 3, 7, Number.NaN, 9]);
    expect([...hide(data, mask, 0).data]).toEqual([1, 5, 3, 7, 0, 9]);
    expect(standardize(ndarray(Float32Array.of(4, 4), [2, 1])).x.data).toEqual(Float32Array.of(0, 0));
  });

  it("refuse what does not fit", () => {
    const code = (f: () => unknown) => {
      try {
        f();
      } catch (error) {
        return (error as TiltedError).code;
      }
      return undefined;
    };
    expect(code(() => mcar(x, 1.5, key))).toBe("argument");
    expect(code(() => mcar(ndarray(new Float32Array(3)), 0.5, key))).toBe("shape");
    expect(code(() => box(x, { height: 1, width: 2 }, 2, key))).toBe("argument");
    expect(code(() => box(x, { height: 2, width: 2 }, 1, key))).toBe("shape");
    expect(code(() => hide(x, ndarray(new Float32Array(2), [1, 2])))).toBe("shape");
  });
});
