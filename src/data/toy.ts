/** Densities of the plane with known formulas: samples by a key, exact log densities, for teaching and as ceilings. */
import { fail } from "../core/errors.ts";
import { fold, type Key } from "../core/key.ts";
import { HALF_LOG_2PI } from "../core/numeric/elementary.ts";
import { logSumExp } from "../core/numeric/log-sum-exp.ts";
import { normal, uniform } from "../core/random/draws.ts";

/** Points of the plane with the component each came from. */
export interface PlaneSample {
  /** `[count, 2]` values row by row. */
  readonly points: Float32Array;
  readonly labels: Int32Array;
  readonly count: number;
}

/** A density of the plane. */
export interface PlaneDensity {
  readonly name: string;
  /** Components, for labels. */
  readonly components: number;
  /** `n` draws; the first m are the m draws of the same key. */
  sample(key: Key, n: number): PlaneSample;
  /** Log density in nats at each of `[n, 2]` points; −∞ outside the support. */
  logDensity(points: ArrayLike<number>): Float64Array;
}

const LOG_2PI = 2 * HALF_LOG_2PI;

/** Draws the components, then places each point by its own uniforms and normals. */
function sampler(
  weights: readonly number[],
  place: (
    component: number,
    u: readonly [number, number],
    normals: readonly [number, number],
  ) => readonly [number, number],
): PlaneDensity["sample"] {
  return (key, n) => {
    const choice = uniform(fold(key, "component"), n);
    const u = uniform(fold(key, "uniform"), 2 * n);
    const e = normal(fold(key, "normal"), 2 * n);
    const points = new Float32Array(2 * n);
    const labels = new Int32Array(n);
    for (let i = 0; i < n; i++) {
      let rest = choice[i] as number;
      let k = 0;
      while (k < weights.length - 1 && rest >= (weights[k] as number)) rest -= weights[k++] as number;
      labels[i] = k;
      const [a, b] = [2 * i, 2 * i + 1];
      points.set(place(k, [u[a] as number, u[b] as number], [e[a] as number, e[b] as number]), a);
    }
    return { points, labels, count: n };
  };
}

const mapPoints = (points: ArrayLike<number>, f: (x: number, y: number) => number): Float64Array => {
  if (points.length % 2 !== 0)
    fail("shape", `logDensity: expected [n, 2] values row by row, got ${points.length} values`);
  return Float64Array.from({ length: points.length / 2 }, (_, i) =>
    f(points[2 * i] as number, points[2 * i + 1] as number),
  );
};

/**
 * A mixture Σ wₖ N(μₖ, σ² I) of round Gaussians.
 *
 * @throws `argument` when the weights are no distribution over the means or the scale is not positive.
 */
export function gaussianMixture(
  name: string,
  means: readonly (readonly [number, number])[],
  weights: readonly number[],
  scale: number,
): PlaneDensity {
  const sum = weights.reduce((a, b) => a + b, 0);
  if (weights.length !== means.length || !weights.every((w) => w >= 0) || Math.abs(sum - 1) > 1e-6)
    fail(
      "argument",
      `gaussianMixture "${name}": weights [${weights.join(", ")}] are no distribution over ${means.length} means`,
    );
  if (!(scale > 0)) fail("argument", `gaussianMixture "${name}": scale must be positive, got ${scale}`);
  return {
    name,
    components: means.length,
    sample: sampler(weights, (k, _, [e0, e1]) => {
      const [mx, my] = means[k] as readonly [number, number];
      return [mx + scale * e0, my + scale * e1];
    }),
    logDensity: (points) =>
      mapPoints(points, (x, y) =>
        logSumExp(
          means.map(([mx, my], k) => {
            const square = ((x - mx) ** 2 + (y - my) ** 2) / scale ** 2;
            return Math.log(weights[k] as number) - LOG_2PI - 2 * Math.log(scale) - square / 2;
          }),
        ),
      ),
  };
}

/** Corners of a triangle, with what a biased and a true sample make of them. */
export const TRIANGLE = {
  means: [
    [-1, -0.33],
    [0, 0.67],
    [1, -0.33],
  ],
  biased: [0.8, 0.1, 0.1],
  truth: [0.3, 0.4, 0.3],
  scale: 0.19,
} as const;

/** Three Gaussians at the corners of a triangle: the biased mixture or the true one. They hardly overlap, so the tilt from one to the other is one energy per corner. */
export const triangle = (which: "biased" | "truth", scale: number = TRIANGLE.scale): PlaneDensity =>
  gaussianMixture(`triangle, ${which}`, TRIANGLE.means, TRIANGLE[which], scale);

/** Nine Gaussians of scale 0.1 on the grid {−1, 0, 1}². Entropy 0.430 nats. */
export const nineGaussians = (): PlaneDensity => {
  const grid = [-1, 0, 1].flatMap((y) => [-1, 0, 1].map((x) => [x, y] as const));
  return gaussianMixture("nine Gaussians", grid, new Array<number>(grid.length).fill(1 / grid.length), 0.1);
};

/** Radii of the rings and the scale of the distance from them. */
const RADII = [0.6, 1.3] as const;
const RING_SCALE = 0.1;

/** Two rings of radii 0.6 and 1.3, equal in weight, the radius normal with scale 0.1. Entropy 1.514 nats. */
export const twoRings = (): PlaneDensity => ({
  name: "two rings",
  components: RADII.length,
  sample: sampler([0.5, 0.5], (k, [u], [e]) => {
    const r = (RADII[k] as number) + RING_SCALE * e;
    return [r * Math.cos(2 * Math.PI * u), r * Math.sin(2 * Math.PI * u)];
  }),
  logDensity: (points) =>
    mapPoints(points, (x, y) => {
      const r = Math.hypot(x, y);
      // A radius below zero (six scales away) falls on the opposite side: the density of |r| has both signs.
      const radial = RADII.flatMap((m) => [r, -r].map((s) => -(((s - m) / RING_SCALE) ** 2) / 2));
      return logSumExp(radial) - Math.log(2 * RING_SCALE) - HALF_LOG_2PI - LOG_2PI - Math.log(r);
    }),
});

/** Half the side of the checkerboard. */
const HALF_SIDE = 2;

/** The eight dark unit squares of a 4 × 4 board on [−2, 2]², uniform. Entropy log 8 = 2.079 nats. */
export const checkerboard = (): PlaneDensity => {
  const squares = Array.from(
    { length: 16 },
    (_, i) => [(i % 4) - HALF_SIDE, Math.floor(i / 4) - HALF_SIDE] as const,
  ).filter(([x, y]) => (x + y) % 2 === 0);
  return {
    name: "checkerboard",
    components: squares.length,
    sample: sampler(new Array<number>(squares.length).fill(1 / squares.length), (k, [u, v]) => {
      const [x, y] = squares[k] as readonly [number, number];
      return [x + u, y + v];
    }),
    logDensity: (points) =>
      mapPoints(points, (x, y) => {
        const inside = x >= -HALF_SIDE && x < HALF_SIDE && y >= -HALF_SIDE && y < HALF_SIDE;
        return inside && (Math.floor(x) + Math.floor(y)) % 2 === 0
          ? -Math.log(squares.length)
          : Number.NEGATIVE_INFINITY;
      }),
  };
};

/** Distance of the second moon, and the scale of the noise. */
const MOON_SCALE = 0.1;

/** Two interleaved half circles with normal noise of scale 0.1, centred: samples only, a classic for classifiers. */
export const twoMoons = (scale: number = MOON_SCALE): Pick<PlaneDensity, "name" | "components" | "sample"> => ({
  name: "two moons",
  components: 2,
  sample: sampler([0.5, 0.5], (k, [u], [e0, e1]) => {
    const [c, s] = [Math.cos(Math.PI * u), Math.sin(Math.PI * u)];
    const [x, y] = k === 0 ? [c - 0.5, s - 0.25] : [0.5 - c, 0.25 - s];
    return [x + scale * e0, y + scale * e1];
  }),
});
