/** The table of the gamma family, its kin and the counting distributions: what each is tested against. */
import type * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import {
  bernoulli,
  beta,
  binomial,
  type Distribution,
  gamma,
  geometric,
  inverseGamma,
  poisson,
  studentT,
} from "tilted/dist";
import { betaI, binomialPmf, gammaP, gammaQ, lgamma, poissonPmf, studentCdf } from "../support/special.ts";

/** A distribution of numbers, with an independent implementation in double precision of its density. Moments are stored values. */
export interface Row {
  readonly name: string;
  build(params: readonly tf.Tensor[]): Distribution;
  /** Parameters and a value of the support, extremes of float32 among them. */
  readonly point: fc.Arbitrary<{ readonly params: readonly number[]; readonly x: number }>;
  /** log p(x) in float64. */
  logProb(x: number, params: readonly number[]): number;
  /** Size of terms that any float32 formula must add, beyond what the conditioning says. */
  slack?(x: number, params: readonly number[]): number;
  /** Distribution function, or mass function of a discrete family, for goodness of fit. */
  readonly cdf?: (x: number, params: readonly number[]) => number;
  readonly pmf?: (x: number, params: readonly number[]) => number;
  /** Parameters for tests by sampling. */
  readonly sampled: readonly (readonly number[])[];
  /** No closed form of the entropy. */
  readonly refusesEntropy?: true;
  /** Upper end of the support, near which differences must be small. */
  readonly end?: number;
  /** Parameters in which the log-density is differentiable: by index. */
  readonly smooth: readonly number[];
}

const f32 = Math.fround;
const log = (low: number, high: number) =>
  fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map((x) => f32(Math.exp(x)));
const within = (low: number, high: number) => fc.double({ min: low, max: high, noNaN: true }).map(f32);
const sigmoid = (l: number) => 1 / (1 + Math.exp(-l));
const point = <A extends readonly number[]>(
  params: fc.Arbitrary<A>,
  value: (params: A) => fc.Arbitrary<number>,
): Row["point"] => params.chain((p) => value(p).map((x) => ({ params: [...p], x })));

/** Values near the bulk of a distribution with this mean and deviation, at least `floor`. */
const bulk = (mean: number, deviation: number, floor: number) =>
  within(-5, 5).map((z) => f32(Math.max(floor, mean + z * deviation)));
const countsUpTo = (n: number, mean: number, deviation: number) =>
  fc.oneof(
    fc.constantFrom(0, n),
    bulk(mean, deviation, 0).map((x) => Math.min(n, Math.round(x))),
  );

const logOf = (x: number) => Math.abs(Math.log(x));
const at = (params: readonly number[], i: number): number => params[i] as number;

/** Formulas of two parameters, which rows have in a list. */
const two = (f: (x: number, a: number, b: number) => number) => (x: number, p: readonly number[]) =>
  f(x, at(p, 0), at(p, 1));

export const rows: readonly Row[] = [
  {
    name: "gamma",
    build: ([a, b]) => gamma(a as tf.Tensor, b as tf.Tensor),
    point: point(fc.tuple(log(1e-3, 1e6), log(1e-3, 1e3)), ([a, b]) =>
      fc.oneof(bulk(a / b, Math.sqrt(a) / b, 1e-37), log(1e-37, 1e4)),
    ),
    logProb: two((x, a, b) => (a - 1) * Math.log(x) + a * Math.log(b) - b * x - lgamma(a)),
    slack: (x) => logOf(x),
    cdf: two((x, a, b) => gammaP(a, b * x)),
    sampled: [
      [0.3, 2],
      [1, 1],
      [4.5, 0.1],
    ],
    smooth: [0, 1],
  },
  {
    name: "inverseGamma",
    build: ([a, b]) => inverseGamma(a as tf.Tensor, b as tf.Tensor),
    point: point(fc.tuple(log(1e-3, 1e5), log(1e-3, 1e3)), ([a, b]) =>
      fc.oneof(bulk(b / a, b / a / Math.sqrt(a), 1e-30), log(1e-6, 1e30)),
    ),
    logProb: two((x, a, b) => a * Math.log(b) - (a + 1) * Math.log(x) - b / x - lgamma(a)),
    slack: (x) => logOf(x),
    cdf: two((x, a, b) => gammaQ(a, b / x)),
    sampled: [
      [5, 2],
      [8, 0.5],
    ],
    smooth: [0, 1],
  },
  {
    name: "beta",
    end: 1,
    build: ([a, b]) => beta(a as tf.Tensor, b as tf.Tensor),
    point: point(fc.tuple(log(1e-3, 1e4), log(1e-3, 1e4)), () =>
      fc.oneof(
        within(0.001, 0.999),
        log(1e-37, 0.5),
        log(1e-6, 0.5).map((x) => f32(1 - x)),
      ),
    ),
    logProb: two((x, a, b) => (a - 1) * Math.log(x) + (b - 1) * Math.log1p(-x) - lbeta(a, b)),
    slack: (x, [a, b]) => logOf(x) + (a as number) + (b as number),
    cdf: two(betaI),
    sampled: [
      [0.5, 0.7],
      [2, 5],
      [30, 3],
    ],
    smooth: [0, 1],
  },
  {
    name: "studentT",
    build: ([v, m, s]) => studentT(v as tf.Tensor, m, s),
    point: point(fc.tuple(log(1e-2, 1e6), within(-10, 10), log(1e-3, 1e3)), () =>
      fc.oneof(within(-20, 20), log(1, 1e30)),
    ),
    logProb: (x, [v, m, s]) => {
      const z = (x - (m as number)) / (s as number);
      return studentLogDensity(z, v as number) - Math.log(s as number);
    },
    cdf: (x, [v, m, s]) => studentCdf((x - (m as number)) / (s as number), v as number),
    sampled: [
      [5, 1, 2],
      [12, -3, 0.5],
    ],
    smooth: [0, 1, 2],
  },
  {
    name: "poisson",
    build: ([rate]) => poisson(rate as tf.Tensor),
    point: point(fc.tuple(log(1e-6, 1e6)), ([rate]) => countsUpTo(1e7, rate, Math.sqrt(rate))),
    logProb: (k, [rate]) => k * Math.log(rate as number) - (rate as number) - lgamma(k + 1),
    // The oracle itself adds k·log λ, λ and log k!: in float64 it loses less than this for the counts drawn here.
    slack: (k, [rate]) => 1e-7 * (k + (rate as number)) * Math.log(2 + k),
    pmf: (k, [rate]) => poissonPmf(k, rate as number),
    sampled: [[0.4], [7], [60]],
    refusesEntropy: true,
    smooth: [0],
  },
  {
    name: "binomial by logits",
    build: ([n, l]) => binomial(n as tf.Tensor, { logits: l as tf.Tensor }),
    point: point(fc.tuple(log(1, 1e5).map(Math.round), within(-12, 12)), ([n, l]) =>
      countsUpTo(n, n * sigmoid(l), Math.sqrt(n * sigmoid(l) * sigmoid(-l))),
    ),
    logProb: (k, [n, l]) =>
      logChoose(n as number, k) - k * softplus(-(l as number)) - ((n as number) - k) * softplus(l as number),
    pmf: (k, [n, l]) => binomialPmf(k, n as number, sigmoid(l as number)),
    sampled: [
      [10, -0.5],
      [300, 1],
    ],
    refusesEntropy: true,
    smooth: [1],
  },
  {
    name: "binomial by probs",
    build: ([n, p]) => binomial(n as tf.Tensor, { probs: p as tf.Tensor }),
    point: point(fc.tuple(log(1, 1e5).map(Math.round), within(0.001, 0.999)), ([n, p]) =>
      countsUpTo(n, n * p, Math.sqrt(n * p * (1 - p))),
    ),
    logProb: (k, [n, p]) =>
      logChoose(n as number, k) + k * Math.log(p as number) + ((n as number) - k) * Math.log1p(-(p as number)),
    pmf: (k, [n, p]) => binomialPmf(k, n as number, p as number),
    sampled: [
      [10, 0.3],
      [40, 0.9],
    ],
    refusesEntropy: true,
    smooth: [1],
  },
  {
    name: "geometric by probs",
    build: ([p]) => geometric({ probs: p as tf.Tensor }),
    point: point(fc.tuple(log(1e-6, 0.999)), ([p]) => bulk(0, 3 / p, 0).map(Math.round)),
    logProb: (k, [p]) => Math.log(p as number) + k * Math.log1p(-(p as number)),
    pmf: (k, [p]) => (p as number) * (1 - (p as number)) ** k,
    sampled: [[0.2], [0.7]],
    smooth: [0],
  },
  {
    name: "geometric by logits",
    build: ([l]) => geometric({ logits: l as tf.Tensor }),
    point: point(fc.tuple(within(-12, 12)), ([l]) => bulk(0, 3 / sigmoid(l), 0).map(Math.round)),
    logProb: (k, [l]) => -softplus(-(l as number)) - k * softplus(l as number),
    pmf: (k, [l]) => sigmoid(l as number) * sigmoid(-(l as number)) ** k,
    sampled: [[-1]],
    smooth: [0],
  },
  {
    name: "bernoulli by logits",
    build: ([l]) => bernoulli({ logits: l as tf.Tensor }),
    point: point(fc.tuple(within(-80, 80)), () => fc.constantFrom(0, 1)),
    logProb: (x, [l]) => -softplus((1 - 2 * x) * (l as number)),
    pmf: (x, [l]) => (x > 1 ? 0 : sigmoid((2 * x - 1) * (l as number))),
    sampled: [[0.4]],
    smooth: [0],
  },
  {
    name: "bernoulli by probs",
    build: ([p]) => bernoulli({ probs: p as tf.Tensor }),
    point: point(fc.tuple(fc.oneof(within(0.001, 0.999), log(1e-37, 0.5))), () => fc.constantFrom(0, 1)),
    logProb: (x, [p]) => (x === 1 ? Math.log(p as number) : Math.log1p(-(p as number))),
    pmf: (x, [p]) => (x > 1 ? 0 : x === 1 ? (p as number) : 1 - (p as number)),
    sampled: [[0.3]],
    smooth: [0],
  },
  {
    name: "bernoulli of grey values",
    build: ([l]) => bernoulli({ logits: l as tf.Tensor }, { grey: true }),
    point: point(fc.tuple(within(-30, 30)), () => within(0, 1)),
    logProb: (x, [l]) => x * (l as number) - softplus(l as number),
    slack: (_, [l]) => Math.abs(l as number),
    pmf: (x, [l]) => (x > 1 ? 0 : sigmoid((2 * x - 1) * (l as number))),
    sampled: [[-0.4]],
    smooth: [0],
  },
];

const lbeta = (a: number, b: number): number => lgamma(a) + lgamma(b) - lgamma(a + b);

function studentLogDensity(z: number, v: number): number {
  return -0.5 * Math.log(v) - lbeta(v / 2, 0.5) - ((v + 1) / 2) * Math.log1p((z * z) / v);
}

function softplus(l: number): number {
  return l > 0 ? l + Math.log1p(Math.exp(-l)) : Math.log1p(Math.exp(l));
}

/** log n-choose-k in float64 by the sum of the fewer logarithms: differences of log-gammas lose digits for n of many thousands. */
function logChoose(n: number, k: number): number {
  let sum = 0;
  const few = Math.min(k, n - k);
  for (let i = 1; i <= few; i++) sum += Math.log((n - few + i) / i);
  return sum;
}
