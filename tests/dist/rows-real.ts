/** The table of continuous families of location and scale, and of bounded ones: what each is tested against. */
import type * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import {
  cauchy,
  exponential,
  halfCauchy,
  halfNormal,
  laplace,
  logistic,
  logNormal,
  normal,
  truncatedNormal,
  uniform,
} from "tilted/dist";
import { normalCdf } from "../support/special.ts";
import type { Row } from "./rows-other.ts";

/** The largest z that float32 can hold: beyond it a log-density in z is −∞. */
export const LARGEST = 3e38;

/** A row whose log-density is a function of z = (x − loc)/scale: what float32 loses is known from z. */
export interface RealRow extends Row {
  /** Sum of the sizes of what any float32 formula adds up: its rounding is a few units of 2⁻²⁴ of this. */
  size(x: number, params: readonly number[]): number;
  /** Changes of value and of each parameter that change the log-density by about as much as its size. */
  unit(x: number, params: readonly number[]): { readonly x: number; readonly params: readonly number[] };
  /** Texts of errors for parameters that are refused. */
  readonly refused: readonly { readonly params: readonly number[]; readonly text: RegExp }[];
  /** Values outside the support of the first of `sampled`. */
  readonly outside: readonly number[];
  /** Distribution function. */
  readonly cdf: (x: number, params: readonly number[]) => number;
}

const f32 = Math.fround;
const log = (low: number, high: number) =>
  fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map((x) => f32(Math.exp(x)));
const within = (low: number, high: number) => fc.double({ min: low, max: high, noNaN: true }).map(f32);
const signed = (x: fc.Arbitrary<number>) => fc.tuple(x, fc.boolean()).map(([v, minus]) => (minus ? -v : v));
/** Numbers of all sizes of float32, and the usual ones. */
const anyReal = fc.oneof(within(-5, 5), signed(log(1e-38, 1e38)), fc.constant(0));
const anyScale = fc.oneof(log(0.01, 100), log(1e-37, 1e38));
const positiveScale = fc.oneof(log(0.01, 100), log(1e-30, 1e30));
const point = <A extends readonly number[]>(
  params: fc.Arbitrary<A>,
  value: (params: A) => fc.Arbitrary<number>,
): Row["point"] => params.chain((p) => value(p).map((x) => ({ params: [...p], x })));

const at = (params: readonly number[], i: number): number => params[i] as number;
const scoreOf = (x: number, p: readonly number[]): number => (x - at(p, 0)) / at(p, 1);
const zOf = (x: number, p: readonly number[]): number => Math.abs(scoreOf(x, p));
const LOG_ROOT_TAU = Math.log(2 * Math.PI) / 2;
const logNormalDensity = (z: number): number => -0.5 * z * z - LOG_ROOT_TAU;
const laplaceCdf = (z: number): number => (z < 0 ? Math.exp(z) / 2 : 1 - Math.exp(-z) / 2);
const logOf = (x: number): number => Math.abs(Math.log(x));

const locScale = point(fc.tuple(anyReal, anyScale), ([loc, scale]) =>
  fc.oneof(
    within(-8, 8).map((z) => f32(loc + z * scale)),
    anyReal,
  ),
);
const halfScale = point(fc.tuple(anyScale), ([scale]) =>
  fc.oneof(
    within(0, 8).map((z) => f32(z * scale)),
    log(1e-38, 1e38),
    fc.constant(0),
  ),
);
const sampled = [
  [0, 1],
  [-3, 0.5],
  [100, 20],
];
const refusedScale = (family: string) => [
  { params: [0, 0], text: new RegExp(`^${family}: scale must be positive, got 0`) },
  { params: [0, -1.5], text: new RegExp(`^${family}: scale must be positive, got -1.5`) },
  { params: [0, Number.NaN], text: new RegExp(`^${family}: scale must be positive, got NaN`) },
];
const refusedHalf = (family: string) =>
  refusedScale(family).map(({ params, text }) => ({ params: params.slice(1), text }));

type Two = (a: tf.Tensor, b: tf.Tensor) => ReturnType<typeof normal>;
const two =
  (f: Two): Row["build"] =>
  ([a, b]) =>
    f(a as tf.Tensor, b as tf.Tensor);

const locationScale: readonly RealRow[] = [
  {
    name: "normal",
    build: two(normal),
    point: locScale,
    logProb: (x, p) => logNormalDensity(zOf(x, p)) - Math.log(at(p, 1)),
    size: (x, p) => zOf(x, p) ** 2 + logOf(at(p, 1)) + 1,
    cdf: (x, p) => normalCdf(scoreOf(x, p)),
    sampled,
    smooth: [0, 1],
    unit: (_, [, s]) => ({ x: s as number, params: [s as number, s as number] }),
    refused: refusedScale("normal"),
    outside: [Number.NaN],
  },
  {
    name: "cauchy",
    build: two(cauchy),
    point: locScale,
    logProb: (x, [m, s]) => -Math.log(Math.PI * (s as number)) - Math.log1p(zOf(x, [m as number, s as number]) ** 2),
    size: (x, p) => (zOf(x, p) > LARGEST ? Infinity : 2 * Math.log1p(zOf(x, p)) + logOf(at(p, 1)) + 2),
    cdf: (x, p) => 0.5 + Math.atan(scoreOf(x, p)) / Math.PI,
    sampled,
    smooth: [0, 1],
    unit: (_, [, s]) => ({ x: s as number, params: [s as number, s as number] }),
    refused: refusedScale("cauchy"),
    outside: [Number.NaN],
  },
  {
    name: "laplace",
    build: two(laplace),
    point: locScale,
    logProb: (x, p) => -zOf(x, p) - Math.log(2 * at(p, 1)),
    size: (x, p) => zOf(x, p) + logOf(at(p, 1)) + 1,
    cdf: (x, p) => laplaceCdf(scoreOf(x, p)),
    sampled,
    smooth: [0, 1],
    unit: (_, [, s]) => ({ x: s as number, params: [s as number, s as number] }),
    refused: refusedScale("laplace"),
    outside: [Number.NaN],
  },
  {
    name: "logistic",
    build: two(logistic),
    point: locScale,
    logProb: (x, p) => -zOf(x, p) - 2 * Math.log1p(Math.exp(-zOf(x, p))) - Math.log(at(p, 1)),
    size: (x, p) => 3 * zOf(x, p) + logOf(at(p, 1)) + 1,
    cdf: (x, p) => 1 / (1 + Math.exp(-scoreOf(x, p))),
    sampled,
    smooth: [0, 1],
    unit: (_, [, s]) => ({ x: s as number, params: [s as number, s as number] }),
    refused: refusedScale("logistic"),
    outside: [Number.NaN],
  },
  {
    name: "logNormal",
    build: two(logNormal),
    point: point(fc.tuple(within(-40, 40), log(0.05, 20)), ([m, s]) =>
      fc.oneof(
        within(-5, 5)
          .map((z) => f32(Math.exp(m + z * s)))
          .filter((x) => x > 1.2e-38 && x < 3e38),
        log(1.2e-38, 3e38),
      ),
    ),
    logProb: (x, p) => logNormalDensity(scoreOf(Math.log(x), p)) - Math.log(at(p, 1)) - Math.log(x),
    // z = (log x − loc)/scale holds the rounding of log x and of the difference.
    size: (x, [m, s]) => {
      const z = (Math.log(x) - (m as number)) / (s as number);
      return z ** 2 + Math.abs((z * Math.log(x)) / (s as number)) + logOf(s as number) + logOf(x) + 1;
    },
    cdf: (x, p) => normalCdf(scoreOf(Math.log(x), p)),
    sampled: [
      [0, 0.25],
      [-3, 0.5],
    ],
    smooth: [0, 1],
    unit: (x, [, s]) => ({ x: x * Math.min(1, s as number), params: [s as number, s as number] }),
    refused: refusedScale("logNormal"),
    outside: [0, -1, Number.NaN],
  },
];

const halves: readonly RealRow[] = [
  {
    name: "halfNormal",
    build: ([s]) => halfNormal(s as tf.Tensor),
    point: halfScale,
    logProb: (x, [s]) => Math.LN2 + logNormalDensity(x / (s as number)) - Math.log(s as number),
    size: (x, [s]) => (x / (s as number)) ** 2 + logOf(s as number) + 1,
    cdf: (x, [s]) => 2 * normalCdf(x / (s as number)) - 1,
    sampled: [[1], [30]],
    smooth: [0],
    unit: (_, [s]) => ({ x: s as number, params: [s as number] }),
    refused: refusedHalf("halfNormal"),
    outside: [-1e-3, -5, Number.NaN],
  },
  {
    name: "halfCauchy",
    build: ([s]) => halfCauchy(s as tf.Tensor),
    point: halfScale,
    logProb: (x, [s]) => -Math.log((Math.PI / 2) * (s as number)) - Math.log1p((x / (s as number)) ** 2),
    size: (x, [s]) =>
      x / (s as number) > LARGEST ? Infinity : 2 * Math.log1p(x / (s as number)) + logOf(s as number) + 1,
    cdf: (x, [s]) => (2 / Math.PI) * Math.atan(x / (s as number)),
    sampled: [[1], [30]],
    smooth: [0],
    unit: (_, [s]) => ({ x: s as number, params: [s as number] }),
    refused: refusedHalf("halfCauchy"),
    outside: [-1e-3, -5, Number.NaN],
  },
  {
    name: "exponential",
    build: ([r]) => exponential(r as tf.Tensor),
    point: point(fc.tuple(positiveScale), ([r]) =>
      fc.oneof(
        within(0, 20).map((z) => f32(z / r)),
        log(1e-38, 1e38),
        fc.constant(0),
      ),
    ),
    logProb: (x, [r]) => Math.log(r as number) - (r as number) * x,
    size: (x, [r]) => x * (r as number) + logOf(r as number) + 1,
    cdf: (x, [r]) => -Math.expm1(-(r as number) * x),
    sampled: [[1], [0.01]],
    smooth: [0],
    unit: (_, [r]) => ({ x: 1 / (r as number), params: [r as number] }),
    refused: [
      { params: [0], text: /^exponential: rate must be positive, got 0/ },
      { params: [-2], text: /^exponential: rate must be positive, got -2/ },
    ],
    outside: [-1e-3, -5, Number.NaN],
  },
];

const bounded: readonly RealRow[] = [
  {
    name: "uniform",
    build: two(uniform),
    point: point(
      fc.tuple(anyReal, anyReal).filter(([a, b]) => b > a),
      ([a, b]) =>
        fc.oneof(
          within(0, 1).map((u) => Math.min(b, Math.max(a, f32(a + u * (b - a))))),
          fc.constantFrom(a, b),
        ),
    ),
    logProb: (_, [a, b]) => -Math.log((b as number) - (a as number)),
    size: (_, [a, b]) => logOf((b as number) - (a as number)) + 1,
    cdf: (x, [a, b]) => (x - (a as number)) / ((b as number) - (a as number)),
    sampled: [
      [0, 1],
      [-7, -3],
    ],
    smooth: [0, 1],
    unit: (_, [a, b]) => ({ x: (b as number) - (a as number), params: Array(2).fill((b as number) - (a as number)) }),
    refused: [
      { params: [1, 1], text: /^uniform: low must be less than high, got 1 and 1/ },
      { params: [2, -1], text: /^uniform: low must be less than high, got 2 and -1/ },
      { params: [0, Number.POSITIVE_INFINITY], text: /^uniform: high must be finite, got Infinity/ },
      { params: [Number.NEGATIVE_INFINITY, 0], text: /^uniform: low must be finite, got -Infinity/ },
    ],
    outside: [-1e-6, 1.000001, Number.NaN],
  },
  {
    name: "truncatedNormal",
    build: ([m, s, a, b]) => truncatedNormal(m as tf.Tensor, s as tf.Tensor, a as tf.Tensor, b as tf.Tensor),
    point: point(
      fc
        .tuple(within(-5, 5), log(0.05, 20), fc.oneof(within(-8, 8), within(-100, 100)), log(1e-4, 20))
        .map(([m, s, a, w]) => [m, s, f32(m + a * s), f32(m + a * s + w * s)] as const)
        .filter(([, , a, b]) => b > a),
      ([, , a, b]) => within(0, 1).map((u) => Math.min(b, Math.max(a, f32(a + u * (b - a))))),
    ),
    logProb: (x, [m, s, a, b]) => logTruncated(x, m as number, s as number, a as number, b as number),
    size: (x, [m, s, a, b]) => {
      const [z, r] = [x, Math.min(Math.max(m as number, a as number), b as number)].map(
        (v) => (v - (m as number)) / (s as number),
      );
      return (
        Math.abs((z as number) ** 2 - (r as number) ** 2) +
        logOf(s as number) +
        logOf(((b as number) - (a as number)) / (s as number)) +
        2
      );
    },
    cdf: (x, [m, s, a, b]) => truncatedCdf(x, m as number, s as number, a as number, b as number),
    sampled: [
      [0, 1, -1, 2],
      [1, 2, -30, 1.5],
      [0, 1, 2, 3],
      [0, 1, -3, -1],
      [0, 1, 15, 16],
      [3, 0.5, 3, 3.001],
      [-2, 0.1, 1, 40],
    ],
    smooth: [0, 1],
    unit: (_, [, s]) => ({ x: s as number, params: Array(2).fill(s) }),
    refused: [
      { params: [0, 0, 0, 1], text: /^truncatedNormal: scale must be positive, got 0/ },
      { params: [0, 1, 1, 0], text: /^truncatedNormal: low must be less than high, got 1 and 0/ },
    ],
    outside: [-1.001, 2.001, Number.NaN],
  },
];

export const realRows: readonly RealRow[] = [...locationScale, ...halves, ...bounded];

/** ∫ exp(−g(t)) dt over [0, w], g(t) = l·t + t²/2, divided by exp(−min g), in float64 by Simpson's rule. */
function massOf(l: number, w: number): number {
  // Beyond e^{−45} nothing is left of float64.
  const reach = 90 / (Math.abs(l) + Math.sqrt(l * l + 90)) + (l < 0 ? -2 * l : 0);
  const end = Math.min(w, reach);
  const n = 600;
  const h = end / n;
  let mass = 0;
  for (let i = 0; i <= n; i++) {
    const t = i * h;
    const weight = ((i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2) * h) / 3;
    mass += weight * Math.exp(-(l * t + (t * t) / 2) + peak(l, w));
  }
  return mass;
}

/** The least of g on [0, w], so that nothing overflows. */
function peak(l: number, w: number): number {
  const t = Math.min(Math.max(-l, 0), w);
  return l * t + (t * t) / 2;
}

/** The interval seen from its lower end, reflected where the mean lies above it. */
function seen(m: number, s: number, a: number, b: number): { l: number; w: number; reflected: boolean } {
  const reflected = m > b;
  return { l: reflected ? (m - b) / s : (a - m) / s, w: (b - a) / s, reflected };
}

function logTruncated(x: number, m: number, s: number, a: number, b: number): number {
  const { l, w, reflected } = seen(m, s, a, b);
  const t = reflected ? (b - x) / s : (x - a) / s;
  return -(l * t + (t * t) / 2) + peak(l, w) - Math.log(massOf(l, w)) - Math.log(s);
}

function truncatedCdf(x: number, m: number, s: number, a: number, b: number): number {
  const { l, w, reflected } = seen(m, s, a, b);
  const whole = massOf(l, w) * Math.exp(-peak(l, w));
  const t = reflected ? (b - x) / s : (x - a) / s;
  const part = t <= 0 ? 0 : massOf(l, Math.min(t, w)) * Math.exp(-peak(l, Math.min(t, w)));
  return reflected ? 1 - part / whole : part / whole;
}
