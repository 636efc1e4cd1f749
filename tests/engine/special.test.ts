/**
 * Special functions in single precision: values at random arguments against double precision, values and derivatives at stored
 * arguments, the ends of every domain among them, against arbitrary precision.
 */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { scope } from "../../src/core/scope.ts";
import { useEngine } from "../../src/engine/engine.ts";
import * as special from "../../src/engine/special.ts";
import { specialValues } from "../support/fixtures.ts";
import {
  digamma,
  erf,
  erfc,
  erfcx,
  erfinv,
  lgamma,
  log1pmx,
  logErfc,
  normalCdf,
  normalQuantile,
} from "../support/special.ts";

beforeAll(() => useEngine("wasm"));

const EPS = 2 ** -23;
const TINY = 2 ** -126;

type Scalar = (x: number) => number;

/** A function, its float64 reference, and the error allowed: `ulp` units of the result. */
interface Case {
  readonly f: (x: tf.Tensor) => tf.Tensor;
  readonly reference: Scalar;
  readonly domain: readonly [number, number];
  readonly ulp: number;
  /** Absolute error of the second derivative, where its formula cancels. */
  readonly loss?: number;
}

const logNormal: Scalar = (x) =>
  x < 0 ? Math.log(0.5 * erfcx(-x * Math.SQRT1_2)) - 0.5 * x * x : Math.log1p(-normalCdf(-x));
const mills: Scalar = (x) =>
  x < 0
    ? Math.sqrt(2 / Math.PI) / erfcx(-x * Math.SQRT1_2)
    : Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI) / normalCdf(x);
/** ψ′ in float64: sixteen terms and the asymptotic tail. */
const trigammaReference: Scalar = (x) => {
  let sum = 0;
  for (let k = 15; k >= 0; k--) sum += 1 / (x + k) ** 2;
  const y = x + 16;
  return sum + 1 / y + 1 / (2 * y * y) + 1 / (6 * y ** 3) - 1 / (30 * y ** 5) + 1 / (42 * y ** 7);
};
/** Bernoulli's B₂ₖ/(2k(2k − 1)). Beyond 8 the next term is below a float64's rounding, where log Γ less its main part loses digits. */
const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156] as const;
const stirlingReference: Scalar = (x) =>
  x > 8
    ? STIRLING.reduceRight((sum, term) => sum / (x * x) + term, 0) / x
    : lgamma(x) - ((x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI));

const cases: Record<string, Case> = {
  lgamma: { f: special.lgamma, reference: lgamma, domain: [1e-37, 1e36], ulp: 4 },
  "lgamma near its zeros": { f: special.lgamma, reference: lgamma, domain: [0.9, 2.5], ulp: 4 },
  digamma: { f: special.digamma, reference: digamma, domain: [1e-37, 1e37], ulp: 4 },
  "digamma near its root": { f: special.digamma, reference: digamma, domain: [1.2, 1.8], ulp: 4 },
  trigamma: { f: special.trigamma, reference: trigammaReference, domain: [1e-18, 1e37], ulp: 6 },
  stirlingCorrection: { f: special.stirlingCorrection, reference: stirlingReference, domain: [1e-30, 1e30], ulp: 4 },
  erf: { f: special.erf, reference: erf, domain: [-6, 6], ulp: 4 },
  erfc: { f: special.erfc, reference: erfc, domain: [-6, 9.1], ulp: 5 },
  logErfc: { f: special.logErfc, reference: logErfc, domain: [-5, 1e18], ulp: 5 },
  erfinv: { f: special.erfinv, reference: erfinv, domain: [-1 + EPS, 1 - EPS], ulp: 4 },
  ndtr: { f: special.ndtr, reference: normalCdf, domain: [-12.9, 8], ulp: 6 },
  logNdtr: { f: special.logNdtr, reference: logNormal, domain: [-1e18, 12], ulp: 6 },
  inverseMills: { f: special.inverseMills, reference: mills, domain: [-1e15, 12], ulp: 8, loss: 3e-4 },
  ndtri: { f: special.ndtri, reference: normalQuantile, domain: [TINY, 1 - EPS], ulp: 4 },
  log1p: { f: special.log1p, reference: Math.log1p, domain: [-1 + EPS, 1e38], ulp: 4 },
  expm1: { f: special.expm1, reference: Math.expm1, domain: [-80, 80], ulp: 2 },
  log1mexp: {
    f: special.log1mexp,
    reference: (x) => (x < -1 ? Math.log1p(-Math.exp(x)) : Math.log(-Math.expm1(x))),
    domain: [-80, -1e-30],
    ulp: 6,
  },
};

const floats = ([min, max]: readonly [number, number], maxLength = 400) =>
  fc.array(fc.float({ min: Math.fround(min), max: Math.fround(max), noNaN: true, noDefaultInfinity: true }), {
    minLength: 1,
    maxLength,
    size: "max",
  });

const evaluate = (f: (x: tf.Tensor) => tf.Tensor, xs: readonly number[]): ArrayLike<number> =>
  scope(() => f(tf.tensor1d([...xs], "float32")).dataSync());

/** Worst error in the allowed unit, and where. */
function worst(xs: readonly number[], ys: ArrayLike<number>, reference: Scalar) {
  let error = 0;
  let at = Number.NaN;
  xs.forEach((x, i) => {
    const exact = reference(x);
    const unit = EPS * Math.max(Math.abs(exact), TINY / EPS);
    const found = ys[i] as number;
    if (Object.is(found, exact) || Math.abs(exact) > 3.4e38) return;
    const e = Math.abs(found - exact) / unit;
    if (!(e <= error)) [error, at] = [e, x];
  });
  return { error, at };
}

/** Relative error of derivatives, whose formulas take the function's own rounding a few times over. */
const SLOPE = 3e-5;

describe.each(Object.entries(cases))("%s", (name, { f, reference, domain, ulp, loss = 0 }) => {
  const values = specialValues(name);

  it(`agrees with a float64 reference within ${ulp} units in the last place`, () => {
    fc.assert(
      fc.property(floats(domain), (xs) => {
        const { error, at } = worst(xs, evaluate(f, xs), reference);
        expect(error, `at ${at}`).toBeLessThanOrEqual(ulp);
      }),
      { numRuns: 40 },
    );
  });

  it("agrees with arbitrary precision from end to end of its domain", () => {
    const xs = values.map(([x]) => x);
    const exact = new Map(values.map(([x, value]) => [x, value]));
    const { error, at } = worst(xs, evaluate(f, xs), (x) => exact.get(x) as number);
    expect(error, `at ${at}`).toBeLessThanOrEqual(ulp);
  });

  it("has the first and second derivative of arbitrary precision", () => {
    const smooth = values.filter((row) => row.length > 2);
    const xs = smooth.map(([x]) => x);
    const first = evaluate((x) => tf.grad(f)(x), xs);
    const second = evaluate((x) => tf.grad((y: tf.Tensor) => tf.sum(tf.grad(f)(y)))(x), xs);
    smooth.forEach(([x, , d1 = Number.NaN, d2 = Number.NaN], i) => {
      expect(Math.abs((first[i] as number) - d1), `f'(${x})`).toBeLessThanOrEqual(SLOPE * Math.abs(d1));
      expect(Math.abs((second[i] as number) - d2), `f''(${x})`).toBeLessThanOrEqual(
        loss + SLOPE * (Math.abs(d1) + Math.abs(d2)),
      );
    });
  });
});

/** log Γ(x + n) − log Γ(x) for an integer n, as a sum of logarithms. */
const risingReference = (x: number, n: number): number => {
  let sum = 0;
  for (let k = 0; k < n; k++) sum += Math.log(x + k);
  return sum;
};

describe("differences that do not cancel", () => {
  const positive = fc.float({ min: Math.fround(0.01), max: 1e7, noNaN: true });
  const count = fc.integer({ min: 1, max: 60 });
  const pairs = fc.array(fc.tuple(positive, count), { minLength: 1, maxLength: 100 });
  const both = (f: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, rows: readonly (readonly [number, number])[]) =>
    scope(() => f(tf.tensor1d(rows.map((r) => r[0])), tf.tensor1d(rows.map((r) => r[1]))).dataSync());
  /** Relative to the terms that any formula of this kind must add: n·log(x + n), and log Γ(n). */
  const size = (x: number, n: number) => 1 + n * (1 + Math.abs(Math.log(x + n))) + Math.abs(Math.log(x));

  it("logRising is the sum of logarithms", () => {
    fc.assert(
      fc.property(pairs, (rows) => {
        const found = both(special.logRising, rows);
        rows.forEach(([x, n], i) => {
          const exact = risingReference(x, n);
          expect(Math.abs((found[i] as number) - exact), `x=${x} n=${n}`).toBeLessThan(2 * EPS * size(x, n));
        });
      }),
    );
  });

  it("lbeta and logChoose agree with it, also where log-gammas lose every digit", () => {
    fc.assert(
      fc.property(pairs, (rows) => {
        const found = both(special.lbeta, rows);
        const swapped = both((a, b) => special.lbeta(b, a), rows);
        rows.forEach(([x, n], i) => {
          const exact = lgamma(n) - risingReference(x, n);
          for (const value of [found[i], swapped[i]] as number[]) {
            expect(Math.abs(value - exact), `x=${x} n=${n}`).toBeLessThan(3 * EPS * (size(x, n) + lgamma(n)));
          }
        });
        const trials = rows.map(([x, n]) => [Math.ceil(x) + n, n] as const);
        const chosen = both(special.logChoose, trials);
        trials.forEach(([total, k], i) => {
          const exact = risingReference(total - k + 1, k) - lgamma(k + 1);
          expect(Math.abs((chosen[i] as number) - exact)).toBeLessThan(4 * EPS * (size(total, k) + lgamma(k + 1)));
        });
      }),
    );
  });

  it("logRatioGap keeps its digits where y is near m", () => {
    const ratio = fc.oneof(fc.float({ min: Math.fround(0.999), max: Math.fround(1.001), noNaN: true }), positive);
    fc.assert(
      fc.property(fc.array(fc.tuple(positive, ratio), { minLength: 1, maxLength: 100 }), (raw) => {
        const rows = raw.map(([m, r]) => [Math.fround(m * r), m] as const);
        const found = both(special.logRatioGap, rows);
        rows.forEach(([y, m], i) => {
          const v = (y - m) / m;
          const exact = Math.abs(v) < 0.5 ? log1pmx(v) : Math.log(y / m) - v;
          expect(Math.abs((found[i] as number) - exact), `y=${y} m=${m}`).toBeLessThanOrEqual(
            6 * EPS * Math.abs(exact),
          );
        });
      }),
    );
  });

  it("broadcasts, and sums gradients over what was broadcast", () => {
    const values = scope(() => {
      const a = tf.tensor2d([[1], [2], [3]]);
      const b = tf.tensor1d([0.5, 4]);
      const [da, db] = tf.grads((x: tf.Tensor, y: tf.Tensor) => tf.sum(special.lbeta(x, y)))([a, b]);
      return { shape: special.lbeta(a, b).shape, da: [...(da as tf.Tensor).dataSync()], db: (db as tf.Tensor).shape };
    });
    expect(values.shape).toEqual([3, 2]);
    expect(values.db).toEqual([2]);
    const exact = (x: number) => [0.5, 4].reduce((s, y) => s + digamma(x) - digamma(x + y), 0);
    values.da.forEach((d, i) => {
      expect(d).toBeCloseTo(exact(i + 1), 5);
    });
  });
});

describe("at the ends", () => {
  it.each<[string, (x: tf.Tensor) => tf.Tensor, number, number]>([
    ["lgamma", special.lgamma, 0, Number.POSITIVE_INFINITY],
    ["lgamma", special.lgamma, 1, 0],
    ["lgamma", special.lgamma, 2, 0],
    ["lgamma", special.lgamma, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    ["erf", special.erf, Number.NEGATIVE_INFINITY, -1],
    ["erf", special.erf, 0, 0],
    ["erfc", special.erfc, Number.POSITIVE_INFINITY, 0],
    ["ndtr", special.ndtr, Number.POSITIVE_INFINITY, 1],
    ["logNdtr", special.logNdtr, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ["ndtri", special.ndtri, 0, Number.NEGATIVE_INFINITY],
    ["ndtri", special.ndtri, 1, Number.POSITIVE_INFINITY],
    ["ndtri", special.ndtri, 0.5, 0],
    ["erfinv", special.erfinv, 1, Number.POSITIVE_INFINITY],
    ["log1p", special.log1p, -1, Number.NEGATIVE_INFINITY],
    ["log1p", special.log1p, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    ["log1p", special.log1p, 1e-30, Math.fround(1e-30)],
  ])("%s", (_, f, x, expected) => {
    // Adding zero makes −0 plain 0.
    expect((evaluate(f, [x])[0] as number) + 0).toBe(expected);
  });

  it("NaN stays NaN, and nothing is left behind", () => {
    const before = tf.memory().numTensors;
    for (const { f } of Object.values(cases)) {
      expect(evaluate(f, [Number.NaN])[0]).toBeNaN();
      evaluate((x) => tf.grad((y: tf.Tensor) => tf.sum(tf.grad(f)(y)))(x), [0.3]);
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});
