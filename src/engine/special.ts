/**
 * The gamma function's family, as elementary ops of tfjs for positive arguments, and the differences of its members that
 * log-densities need, in forms that do not cancel. float32: log Γ, ψ and the correction of Stirling's formula are within four
 * units (2⁻²³ of the value) of the truth, ψ′ within six.
 *
 * The rational approximations were fitted to float64 values (Lawson-weighted least squares); their own error is below 4e-9.
 */
import * as tf from "@tensorflow/tfjs-core";
import { HALF_LOG_2PI } from "../core/numeric/elementary.ts";
import { log1p } from "./erf.ts";
import { broadcastPair, type Elementwise, polynomial, type Rational, rational, smooth, smooth2 } from "./smooth.ts";

export { erf, erfc, erfinv, expm1, inverseMills, log1mexp, log1p, logErfc, logNdtr, ndtr, ndtri } from "./erf.ts";

/** From here on the asymptotic series are used: four or five of their terms give float32. */
const ASYMPTOTIC = 4;

/** log Γ(1 + t)/t on [−½, ½]. */
const LGAMMA_ONE: Rational = {
  p: [-0.5772156652, -0.3710411905, 0.5031239882, 0.3931704358, 0.0519586991],
  q: [1, 2.06769895, 1.380427961, 0.3192387258, 0.01659699996],
};
/** log Γ(2 + t)/t on [−½, 2]. */
const LGAMMA_TWO: Rational = {
  p: [0.4227843338, 0.6550373198, 0.2593386574, 0.02729826274, 0.0002158373593],
  q: [1, 0.7866192225, 0.1727408731, 0.009448914425],
};
/** ψ(x)/(x − r) on [1, 4] in x − 1, r the positive root of ψ; no coefficient is negative, so nothing cancels. */
const DIGAMMA: Rational = {
  p: [1.250380137, 1.357076408, 0.3942173468, 0.02876448294, 0.0001198954364],
  q: [1, 1.76887786, 0.9225975733, 0.1606038413, 0.006992645159],
};
/** xδ(x) on [¼, 4] in (x − 1)/(x + 1) + 3/5 ≥ 0, δ the correction of Stirling's formula. */
const STIRLING: Rational = {
  p: [0.06812760016, 0.2690785753, 0.2514627191, 0.010357215, 0.02258100023, -0.00119158213],
  q: [1, 3.236114498, 2.6516845, 0.4314514309, 0.1694477066],
};
const DIGAMMA_ROOT = 1.4616321449683622;
const DIGAMMA_ROOT_HEAD = Math.fround(DIGAMMA_ROOT);
const DIGAMMA_ROOT_REST = DIGAMMA_ROOT - DIGAMMA_ROOT_HEAD;

const aroundOne: Elementwise = (t) => tf.mul(t, rational(LGAMMA_ONE, t));

/** δ(x) for x ≥ 4: 1/12x − 1/360x³ + … */
const stirlingSeries: Elementwise = (x) => {
  const r = tf.reciprocal(x);
  return tf.mul(r, polynomial([1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188], tf.square(r)));
};

/** log Γ(x) for x > 0; its derivative is {@link digamma}. NaN for negative x. */
export const lgamma = smooth(
  (x) => {
    const tiny = tf.less(x, 0.5);
    const one = tf.sub(aroundOne(tf.where(tiny, x, tf.sub(x, 1))), tf.where(tiny, tf.log(x), tf.zerosLike(x)));
    const t = tf.sub(x, 2);
    const two = tf.mul(t, rational(LGAMMA_TWO, t));
    const high = tf.add(tf.mul(tf.sub(x, 0.5), tf.sub(tf.log(x), 1)), tf.add(stirlingSeries(x), HALF_LOG_2PI - 0.5));
    return tf.where(tf.less(x, 1.5), one, tf.where(tf.less(x, ASYMPTOTIC), two, high));
  },
  (x) => digamma(x),
);

/** ψ(x) = d log Γ(x)/dx for x > 0, relatively accurate also at its root 1.4616…; its derivative is {@link trigamma}. */
export const digamma = smooth(
  (x) => {
    const low = tf.less(x, 1);
    const y = tf.where(low, tf.add(x, 1), x);
    const distance = tf.sub(tf.sub(y, DIGAMMA_ROOT_HEAD), DIGAMMA_ROOT_REST);
    const middle = tf.mul(distance, rational(DIGAMMA, tf.sub(y, 1)));
    const shifted = tf.where(low, tf.sub(middle, tf.reciprocal(x)), middle);
    const r = tf.reciprocal(x);
    const high = tf.sub(tf.log(x), tf.add(tf.mul(r, 0.5), digammaSeries(r)));
    return tf.where(tf.less(x, ASYMPTOTIC), shifted, high);
  },
  (x) => trigamma(x),
);

/** 1/12x² − 1/120x⁴ + …, of r = 1/x. */
const digammaSeries: Elementwise = (r) => {
  const z = tf.square(r);
  return tf.mul(z, polynomial([1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132], z));
};

/** Terms B₂ⱼ/(2j)! of the Euler–Maclaurin tail. */
const BERNOULLI = [1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160];

const power = (r: tf.Tensor, n: number): tf.Tensor => {
  let p = r;
  for (let k = 1; k < n; k++) p = tf.mul(p, r);
  return p;
};

/**
 * The polygamma function ψ⁽ⁿ⁾(x), n ≥ 1, for x > 0: (−1)ⁿ⁺¹ n! Σₖ (x + k)⁻ⁿ⁻¹, the tail by Euler and Maclaurin. All terms
 * have one sign, so nothing cancels. Its derivative is ψ⁽ⁿ⁺¹⁾.
 */
export const polygamma = (n: number, x: tf.Tensor): tf.Tensor =>
  smooth(
    (x) => {
      const s = n + 1;
      const shift = 6 + n;
      const r = tf.reciprocal(tf.add(x, shift));
      // r^(s−1)/(s−1) + r^s/2 + Σⱼ B₂ⱼ/(2j)!·s(s+1)…(s+2j−2)·r^(s+2j−1)
      let rising = s;
      const tail = BERNOULLI.map((b, j) => {
        const c = b * rising;
        rising *= (s + 2 * j + 1) * (s + 2 * j + 2);
        return c;
      });
      const z = tf.square(r);
      const even = tf.add(tf.mul(z, polynomial(tail, z)), 1 / (s - 1));
      let sum = tf.mul(power(r, s - 1), tf.add(even, tf.mul(r, 0.5)));
      for (let k = shift - 1; k >= 0; k--) sum = tf.add(sum, power(tf.reciprocal(tf.add(x, k)), s));
      let factor = n % 2 === 1 ? 1 : -1;
      for (let k = 2; k <= n; k++) factor *= k;
      return tf.mul(sum, factor);
    },
    (x) => polygamma(n + 1, x),
  )(x);

/** ψ′(x) for x > 0. */
export const trigamma = (x: tf.Tensor): tf.Tensor => polygamma(1, x);

/**
 * δ(x) = log Γ(x) − [(x − ½) log x − x + ½ log 2π], the correction of Stirling's formula, x > 0: relatively accurate, which
 * the difference is not. Falls from ∞ to 0 as 1/12x.
 */
export const stirlingCorrection = smooth(
  (x) => {
    const low = tf.minimum(x, 0.5);
    // The constant joins the half logarithm under one sign, so that at 0.16 and below nothing cancels.
    const logs = tf.add(tf.mul(low, tf.log(low)), tf.mul(tf.log(tf.mul(low, 2 * Math.PI)), 0.5));
    const tiny = tf.sub(tf.add(aroundOne(low), low), logs);
    const y = tf.minimum(x, ASYMPTOTIC);
    const middle = tf.div(rational(STIRLING, tf.div(tf.sub(tf.mul(y, 1.6), 0.4), tf.add(y, 1))), y);
    return tf.where(tf.less(x, 0.25), tiny, tf.where(tf.less(x, ASYMPTOTIC), middle, stirlingSeries(x)));
  },
  (x) => digammaCorrection(x),
);

/** δ′(x) − δ′(x + 1) for x ≥ 2: log(1 + 1/x) − ½(1/x + 1/(x + 1)), in powers of s = 1/(2x + 1), where the first terms cancel on paper. */
const correctionStep: Elementwise = (x) => {
  const s = tf.reciprocal(tf.add(tf.mul(x, 2), 1));
  const z = tf.square(s);
  return tf.mul(tf.mul(tf.mul(s, z), -4), polynomial([1 / 3, 2 / 5, 3 / 7, 4 / 9, 5 / 11, 6 / 13], z));
};

/** From here on two steps lead to where the series is good. */
const TWO_BELOW = ASYMPTOTIC - 2;

/** δ′(x) = ψ(x) − log x + 1/2x, x > 0: relatively accurate for x ≥ 2, where it is the small difference of large terms. */
export const digammaCorrection = smooth(
  (x) => {
    const direct = tf.add(tf.sub(digamma(x), tf.log(x)), tf.mul(tf.reciprocal(x), 0.5));
    const y = tf.maximum(x, TWO_BELOW);
    const far = tf.less(y, ASYMPTOTIC);
    const series = tf.neg(digammaSeries(tf.reciprocal(tf.where(far, tf.add(y, 2), y))));
    const steps = tf.where(far, tf.add(correctionStep(y), correctionStep(tf.add(y, 1))), tf.zerosLike(y));
    return tf.where(tf.less(x, TWO_BELOW), direct, tf.add(series, steps));
  },
  (x) => trigammaCorrection(x),
);

/** δ″(x) = ψ′(x) − 1/x − 1/2x². */
const trigammaCorrection = smooth(
  (x) => {
    const r = tf.reciprocal(x);
    const z = tf.square(r);
    const direct = tf.sub(trigamma(x), tf.mul(r, tf.add(tf.mul(r, 0.5), 1)));
    const series = tf.mul(tf.mul(z, r), polynomial([1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66], z));
    return tf.where(tf.less(x, ASYMPTOTIC), direct, series);
  },
  (x) => {
    const r = tf.reciprocal(x);
    return tf.add(polygamma(2, x), tf.mul(tf.square(r), tf.add(r, 1)));
  },
);

/** log Γ(x + n) − log Γ(x), for x, n > 0, without the cancellation of the difference. Broadcasts. */
export function logRising(x: tf.Tensor, n: tf.Tensor | number): tf.Tensor {
  const [a, m] = broadcastPair(x, typeof n === "number" ? tf.scalar(n) : n);
  const sum = tf.add(a, m);
  const main = tf.add(tf.mul(tf.sub(a, 0.5), log1p(tf.div(m, a))), tf.mul(m, tf.sub(tf.log(sum), 1)));
  return tf.add(main, tf.sub(stirlingCorrection(sum), stirlingCorrection(a)));
}

/** log B(a, b) = log Γ(a) + log Γ(b) − log Γ(a + b), for a, b > 0, without its cancellation. Broadcasts. */
export function lbeta(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const [x, y] = broadcastPair(a, b);
  const corrections = tf.sub(tf.add(stirlingCorrection(x), stirlingCorrection(y)), stirlingCorrection(tf.add(x, y)));
  const main = tf.add(
    tf.add(tf.mul(tf.sub(x, 0.5), log1p(tf.div(y, x))), tf.mul(y, log1p(tf.div(x, y)))),
    tf.mul(tf.log(y), 0.5),
  );
  return tf.sub(tf.add(corrections, HALF_LOG_2PI), main);
}

/** log n-choose-k for 0 ≤ k ≤ n. Broadcasts. */
export function logChoose(n: tf.Tensor, k: tf.Tensor): tf.Tensor {
  const [m, j] = broadcastPair(n, k);
  return tf.neg(tf.add(log1p(m), lbeta(tf.add(tf.sub(m, j), 1), tf.add(j, 1))));
}

/** Ratios outside this range are divided as logarithms. */
const RATIO_RANGE = 1e30;

/**
 * log(y/m) − (y/m − 1) from y, m and their difference d = y − m, which the caller may know better than their rounding does.
 * Its derivative is not meant to be used: take {@link logRatioGap}, or give one of your own.
 */
export function logRatioGapAt(y: tf.Tensor, m: tf.Tensor, d: tf.Tensor): tf.Tensor {
  const v = tf.div(d, m);
  const s = tf.div(d, tf.add(y, m));
  const z = tf.square(s);
  // log(y/m) = 2 artanh s and v = 2s + sv: the linear terms cancel on paper.
  const series = polynomial([1 / 3, 1 / 5, 1 / 7, 1 / 9, 1 / 11, 1 / 13, 1 / 15, 1 / 17], z);
  const near = tf.sub(tf.mul(tf.mul(tf.mul(s, z), 2), series), tf.mul(s, v));
  const ratio = tf.div(y, m);
  const plain = tf.logicalAnd(tf.greater(ratio, 1 / RATIO_RANGE), tf.less(ratio, RATIO_RANGE));
  const log = tf.where(plain, tf.log(ratio), tf.sub(tf.log(y), tf.log(m)));
  return tf.where(tf.less(tf.abs(s), 1 / 3), near, tf.sub(log, v));
}

/**
 * log(y/m) − (y/m − 1) ≤ 0 for y, m > 0: minus the deviance of the gamma and Poisson families (Loader 2000's bd0), to full
 * relative precision for y near m. Broadcasts.
 */
export const logRatioGap = smooth2(
  (y, m) => logRatioGapAt(y, m, tf.sub(y, m)),
  (y, m) => {
    const v = tf.div(tf.sub(y, m), m);
    return [() => tf.neg(tf.div(v, y)), () => tf.div(v, m)];
  },
);

/** x·log y, and 0 where x = 0 whatever y is. Broadcasts. */
export function xlogy(x: tf.Tensor, y: tf.Tensor): tf.Tensor {
  const [a, b] = broadcastPair(x, y);
  const zero = tf.equal(a, 0);
  return tf.where(zero, tf.zerosLike(a), tf.mul(a, tf.log(tf.where(zero, tf.onesLike(b), b))));
}

/** x·log(1 + y), and 0 where x = 0 whatever y is. Broadcasts. */
export function xlog1py(x: tf.Tensor, y: tf.Tensor): tf.Tensor {
  const [a, b] = broadcastPair(x, y);
  const zero = tf.equal(a, 0);
  return tf.where(zero, tf.zerosLike(a), tf.mul(a, log1p(tf.where(zero, tf.zerosLike(b), b))));
}
