/**
 * The error function and the normal distribution function: values, logarithms and inverses, as elementary ops of tfjs, so
 * that they run on every engine and can be traced. In units of 2⁻²³ of the value, also in the tails: erf, the
 * quantiles and log1p are within 4 of the truth, erfc within 5, Φ and log Φ within 6, the inverse Mills ratio within 8.
 */
import * as tf from "@tensorflow/tfjs-core";
import { type Elementwise, float, polynomial, type Rational, rational, smooth } from "./smooth.ts";

const SQRT_2_PI = Math.sqrt(2 * Math.PI);
const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

/** (1 + 2x)·erfcx(x) as a polynomial in t = (x − 4)/(x + 4), x ≥ 0 (variable of Shepherd & Laframboise 1981); error 2e-9. */
const ERFCX = [
  1.232995117, -0.1396210908, 0.01537982638, 0.06809626347, -0.1010416372, 0.09373970315, -0.06631599647, 0.03714161734,
  -0.01623638355, 0.005081103186, -0.0007037261577, -0.0002480104125, 0.0001123840069,
];
/** erf(x)/x as a polynomial in x², |x| ≤ 1; error 1e-9. */
const ERF = [
  1.128379166, -0.3761262582, 0.1128358515, -0.02685381186, 0.005188327541, -0.0008010192351, 0.00007853857141,
];

/** exp(x²)·erfc(x) for x ≥ 0: falls as 1/(x√π), without the underflow of erfc. */
const erfcx: Elementwise = (x) => {
  // The map to t has 0/0 nowhere, but ∞/∞ at x = ∞; there the product below is 1/(1 + 2x) = 0 whatever t is.
  const finite = tf.minimum(x, 1e18);
  const t = tf.div(tf.sub(finite, 4), tf.add(finite, 4));
  return tf.div(polynomial(ERFCX, t), tf.add(tf.mul(x, 2), 1));
};

/** exp(−c·x²) without the error of rounding x², which the exponential would multiply by x². */
function gaussian(x: tf.Tensor, c: 0.5 | 1): tf.Tensor {
  const bounded = tf.minimum(tf.abs(x), 64);
  // A head of at most 13 bits has an exact square; the rest is small.
  const head = tf.div(tf.floor(tf.mul(bounded, 128)), 128);
  const rest = tf.mul(tf.sub(bounded, head), tf.add(bounded, head));
  return tf.mul(tf.exp(tf.mul(tf.square(head), -c)), tf.exp(tf.mul(rest, -c)));
}

/** erfc(|x|), by erfcx. */
const upper: Elementwise = (x) => tf.mul(erfcx(tf.abs(x)), gaussian(x, 1));

const density: Elementwise = (x) => tf.mul(tf.exp(tf.neg(tf.square(x))), TWO_OVER_SQRT_PI);

/** erf(x) = 2/√π ∫₀ˣ exp(−t²) dt. */
export const erf = smooth((x) => {
  const small = tf.mul(x, polynomial(ERF, tf.square(tf.minimum(tf.abs(x), 1))));
  return tf.where(tf.less(tf.abs(x), 1), small, tf.mul(tf.sign(x), tf.sub(1, upper(x))));
}, density);

/** erfc(x) = 1 − erf(x), relatively accurate to x ≈ 9.2, where float32 underflows. */
export const erfc = smooth(
  (x) => tf.where(tf.greater(x, 0), upper(x), tf.sub(2, upper(x))),
  (x) => tf.neg(density(x)),
);

/** log(1 + x), accurate at both ends of its range; −∞ at −1. Written out, so that engines to which it is lowered need no log1p. */
export const log1p = smooth(
  (x) => {
    const u = tf.add(x, 1);
    const d = tf.sub(u, 1);
    // log(u)·x/(u − 1) takes back the rounding of 1 + x (Kahan; Goldberg 1991, theorem 4).
    const repaired = tf.where(tf.equal(d, 0), x, tf.mul(tf.log(u), tf.div(x, d)));
    return tf.where(tf.less(x, 2 ** 24), repaired, tf.log(u));
  },
  (x) => tf.reciprocal(tf.add(x, 1)),
);

/** eˣ − 1, accurate near zero. */
export const expm1 = smooth(tf.expm1, tf.exp);

/** log erfc(x), finite far beyond the underflow of erfc. */
export const logErfc = smooth(
  (x) => {
    const far = tf.sub(tf.log(erfcx(tf.relu(x))), tf.square(x));
    return tf.where(tf.greater(x, 0.5), far, log1p(tf.neg(erf(tf.minimum(x, 0.5)))));
  },
  (x) => tf.mul(inverseMills(tf.mul(x, -Math.SQRT2)), -Math.SQRT2),
);

/** Φ(x), the standard normal distribution function, relatively accurate to x ≈ −13 (where float32 underflows). */
export const ndtr = smooth(
  (x) => {
    const tail = tf.mul(tf.mul(erfcx(tf.mul(tf.abs(x), Math.SQRT1_2)), 0.5), gaussian(x, 0.5));
    return tf.where(tf.less(x, 0), tail, tf.sub(1, tail));
  },
  (x) => tf.div(tf.exp(tf.mul(tf.square(x), -0.5)), SQRT_2_PI),
);

/** log Φ(x), finite far below the underflow of Φ. */
export const logNdtr = smooth(
  (x) => {
    const half = tf.mul(erfcx(tf.mul(tf.abs(x), Math.SQRT1_2)), 0.5);
    const far = tf.sub(tf.log(half), tf.mul(tf.square(x), 0.5));
    return tf.where(tf.less(x, 0), far, log1p(tf.neg(tf.mul(half, gaussian(x, 0.5)))));
  },
  (x) => inverseMills(x),
);

/** Below this the derivative of {@link inverseMills} is taken from its series: the closed form cancels. */
const SERIES_BELOW = -12;

/** φ(x)/Φ(x), the derivative of log Φ: the mean of a standard normal truncated to (−x, ∞). */
export const inverseMills = smooth(
  (x) => {
    const left = tf.div(Math.sqrt(2 / Math.PI), erfcx(tf.mul(tf.relu(tf.neg(x)), Math.SQRT1_2)));
    const right = tf.div(tf.div(gaussian(x, 0.5), SQRT_2_PI), ndtr(tf.relu(x)));
    return tf.where(tf.less(x, 0), left, right);
  },
  // −λ(x + λ) = −1 + x⁻² − 6x⁻⁴ + 50x⁻⁶ − 518x⁻⁸ + … as x → −∞.
  (x) => {
    const low = tf.less(x, SERIES_BELOW);
    const near = tf.where(low, tf.zerosLike(x), x);
    const lambda = inverseMills(near);
    const z = tf.reciprocal(tf.square(tf.where(low, x, tf.fill(x.shape, SERIES_BELOW))));
    return tf.where(low, polynomial([-1, 1, -6, 50, -518], z), tf.neg(tf.mul(lambda, tf.add(near, lambda))));
  },
);

/** Coefficients of PPND7 (Wichura 1988, algorithm AS 241): relative error 1e-7. */
const CENTRE: Rational = {
  p: [3.3871327179, 50.434271938, 159.29113202, 59.10937472],
  q: [1, 17.895169469, 78.757757664, 67.1875636],
};
const TAIL: Rational = {
  p: [1.4234372777, 2.75681539, 1.3067284816, 0.17023821103],
  q: [1, 0.7370016425, 0.12021132975],
};
const FAR_TAIL: Rational = {
  p: [6.657905115, 3.081226386, 0.42868294337, 0.017337203997],
  q: [1, 0.24197894225, 0.012258202635],
};

/** Φ⁻¹ from q = p − ½ and the smaller tail min(p, 1 − p), each given as exactly as the caller can. */
function quantile(q: tf.Tensor, tail: tf.Tensor): tf.Tensor {
  const centre = tf.mul(q, rational(CENTRE, tf.sub(0.180625, tf.square(q))));
  const r = tf.sqrt(tf.neg(tf.log(tail)));
  const far = tf.where(tf.lessEqual(r, 5), rational(TAIL, tf.sub(r, 1.6)), rational(FAR_TAIL, tf.sub(r, 5)));
  const signed = tf.where(tf.equal(tail, 0), tf.fill(q.shape, Infinity), far);
  return tf.where(tf.lessEqual(tf.abs(q), 0.425), centre, tf.mul(tf.sign(q), signed));
}

/** Φ⁻¹(p), the quantile of the standard normal: ±∞ at the ends, NaN outside [0, 1]. */
export const ndtri = smooth(
  (p) => quantile(tf.sub(p, 0.5), tf.where(tf.less(p, 0.5), p, tf.sub(1, p))),
  (p) => tf.mul(tf.exp(tf.mul(tf.square(ndtri(p)), 0.5)), SQRT_2_PI),
);

/** The inverse of erf on (−1, 1). */
export const erfinv = smooth(
  (x) => tf.mul(quantile(tf.mul(x, 0.5), tf.mul(tf.sub(1, tf.abs(x)), 0.5)), Math.SQRT1_2),
  (x) => tf.div(tf.exp(tf.square(erfinv(x))), TWO_OVER_SQRT_PI),
);

/** log(1 − eˣ) for x < 0, accurate at both ends (Mächler 2012). */
export const log1mexp = (x: tf.Tensor): tf.Tensor => {
  const y = float(x);
  const near = tf.greater(y, -Math.LN2);
  const a = tf.where(near, y, tf.fill(y.shape, -1));
  const b = tf.where(near, tf.fill(y.shape, -1), y);
  return tf.where(near, tf.log(tf.neg(expm1(a))), log1p(tf.neg(tf.exp(b))));
};
