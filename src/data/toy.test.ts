/** Toy densities against their own formulas, and measures of balance against closed forms. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rootKey } from "../core/key.ts";
import { fairnessDiscrepancy, shares, totalVariation } from "./metrics.ts";
import {
  checkerboard,
  gaussianMixture,
  nineGaussians,
  type PlaneDensity,
  TRIANGLE,
  triangle,
  twoMoons,
  twoRings,
} from "./toy.ts";

const N = 40_000;
/** Two-sided normal quantile for a false-alarm rate of 1e-8 per assertion: far below 1e-6 for the whole file. */
const Z = 5.73;

interface Case {
  readonly density: PlaneDensity;
  /** −∫ p log p in nats, by formula or published. */
  readonly entropy: number;
  /** E|x|² = 2 (−E_p log N(x; 0, I) − log 2π). */
  readonly square: number;
}

const cases: Case[] = [
  { density: nineGaussians(), entropy: 0.43, square: 4 / 3 + 0.02 },
  { density: twoRings(), entropy: 1.514, square: (0.36 + 1.69) / 2 + 0.01 },
  { density: checkerboard(), entropy: Math.log(8), square: 8 / 3 },
];

/** Rounding of the published entropies. */
const ROUNDING = 0.001;

const mean = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
const errorOf = (values: ArrayLike<number>, m = mean(values)) =>
  Math.sqrt(Array.from(values).reduce((s, v) => s + (v - m) ** 2, 0) / (values.length - 1) / values.length);

describe.each(cases)("$density.name", ({ density, entropy, square }) => {
  const { points, labels } = density.sample(rootKey(7), N);

  it("has the known entropy and second moment", () => {
    const minusLog = density.logDensity(points).map((v) => -v);
    const squares = Float64Array.from(
      { length: N },
      (_, i) => (points[2 * i] as number) ** 2 + (points[2 * i + 1] as number) ** 2,
    );
    expect(Math.abs(mean(minusLog) - entropy)).toBeLessThan(Z * errorOf(minusLog) + ROUNDING);
    expect(Math.abs(mean(squares) - square)).toBeLessThan(Z * errorOf(squares));
  });

  it("integrates to one on a fine grid", () => {
    const cells = 600;
    const half = 3;
    const step = (2 * half) / cells;
    const grid = Float64Array.from({ length: 2 * cells * cells }, (_, i) => {
      const cell = i >> 1;
      return -half + step * ((i % 2 === 0 ? cell % cells : Math.floor(cell / cells)) + 0.5);
    });
    const mass = density.logDensity(grid).reduce((s, v) => s + Math.exp(v), 0) * step ** 2;
    expect(Math.abs(mass - 1)).toBeLessThan(1e-3);
  });

  it("gives every component its share, and the same points first when asked for more", () => {
    for (let k = 0; k < density.components; k++) {
      const p = 1 / density.components;
      const share = mean(labels.map((l) => (l === k ? 1 : 0)));
      expect(Math.abs(share - p)).toBeLessThan(Z * Math.sqrt((p * (1 - p)) / N));
    }
    const few = density.sample(rootKey(7), 100);
    expect(few.points).toEqual(points.slice(0, 200));
    expect(few.labels).toEqual(labels.slice(0, 100));
  });
});

describe("triangle", () => {
  it("has the exact tilt between biased and true: ESS/n .383 and energy gaps 2.367 and 2.079", () => {
    const truth = triangle("truth");
    const biased = triangle("biased");
    const corners = TRIANGLE.means.flat();
    const energy = biased.logDensity(corners).map((v, i) => v - (truth.logDensity(corners)[i] as number));
    expect((energy[0] as number) - (energy[1] as number)).toBeCloseTo(2.367, 3);
    expect((energy[0] as number) - (energy[2] as number)).toBeCloseTo(2.079, 3);
    const { points } = biased.sample(rootKey(3), N);
    const q = truth.logDensity(points);
    const w = biased.logDensity(points).map((v, i) => Math.exp((q[i] as number) - v));
    // Delta method: the relative error of (Σw)²/Σw² is that of two means.
    const ess = mean(w) ** 2 / mean(w.map((v) => v * v));
    const relative = 2 * (errorOf(w) / mean(w)) + errorOf(w.map((v) => v * v)) / mean(w.map((v) => v * v));
    expect(Math.abs(ess - 0.383)).toBeLessThan(Z * relative * ess + ROUNDING);
  });

  it("refuses weights that are no distribution", () => {
    expect(() => gaussianMixture("bad", [[0, 0]], [0.5], 1)).toThrow(/no distribution/);
    expect(() => gaussianMixture("bad", [[0, 0]], [1], 0)).toThrow(/scale must be positive/);
  });
});

describe("twoMoons", () => {
  it("is centred and of both classes", () => {
    const { points, labels } = twoMoons().sample(rootKey(5), N);
    const xs = Float64Array.from({ length: N }, (_, i) => points[2 * i] as number);
    expect(Math.abs(mean(xs))).toBeLessThan(Z * errorOf(xs));
    expect(Math.abs(mean(labels) - 0.5)).toBeLessThan(Z * errorOf(labels));
  });
});

describe("measures of balance", () => {
  const distributions = fc
    .array(fc.integer({ min: 0, max: 1000 }), { minLength: 5, maxLength: 5 })
    .filter((c) => c.some((v) => v > 0))
    .map(shares);

  it("total variation is a distance in [0, 1]", () => {
    fc.assert(
      fc.property(distributions, distributions, distributions, (p, q, r) => {
        const d = totalVariation(p, q);
        expect(d).toBeGreaterThanOrEqual(0);
        expect(d).toBeLessThanOrEqual(1 + 1e-12);
        expect(d).toBeCloseTo(totalVariation(q, p), 12);
        expect(d).toBeLessThanOrEqual(totalVariation(p, r) + totalVariation(r, q) + 1e-12);
        expect(totalVariation(p, p)).toBe(0);
      }),
    );
  });

  it("gives the numbers of the walkthrough", () => {
    const biased = [0.12, 0.33, 0.28, 0.2, 0.07];
    expect(totalVariation(biased, new Array(5).fill(0.2))).toBeCloseTo(0.21, 12);
    expect(fairnessDiscrepancy(biased)).toBeCloseTo(0.2159, 4);
    expect(fairnessDiscrepancy([0.2, 0.2, 0.2, 0.2, 0.2])).toBe(0);
    expect(fairnessDiscrepancy([1, 0])).toBeCloseTo(Math.SQRT1_2, 12);
  });

  it("refuses what is no set of counts", () => {
    expect(() => shares([0, 0])).toThrow(/positive sum/);
    expect(() => shares([1, -1, 3])).toThrow(/zero or more/);
    expect(() => totalVariation([1], [0.5, 0.5])).toThrow(/1 classes against 2/);
  });
});
