/**
 * Special functions in double precision that owe nothing to the library: those of Cephes (Moshier; SciPy's as well), and what it lacks.
 * `special.test.ts` beside it holds each to values of arbitrary precision.
 */
import { compiled, erf, erfc, igam, igamc, incbet, lgam, ndtr, ndtri, psi } from "cephes";

await compiled;

export { erf, erfc };
export const lgamma = lgam;
export const digamma = psi;
export const normalCdf = ndtr;
export const normalQuantile = ndtri;

/** Whether the density of Gamma(a, 1) at x is 0 in double precision, of which Cephes makes an error. */
const vanishes = (a: number, x: number): boolean => a * Math.log(x) - x - lgamma(a) < -700;
/** Regularised incomplete gamma functions P(a, x) and Q(a, x). */
export const gammaP = (a: number, x: number): number => (vanishes(a, x) ? Number(x > a) : igam(a, x));
export const gammaQ = (a: number, x: number): number => (vanishes(a, x) ? Number(x < a) : igamc(a, x));
/** Regularised incomplete beta function I_x(a, b). */
export const betaI = (x: number, a: number, b: number): number => incbet(a, b, x);

/** From here on the series of erfcx in 1/x² is exact to 1e-15, while e^{x²} still is a double. */
const FAR = 20;

/** e^{x²} erfc(x). */
export function erfcx(x: number): number {
  if (x < FAR) return Math.exp(x * x) * erfc(x);
  let [sum, term] = [1, 1];
  for (let n = 1; n <= 6; n++) {
    term *= -(2 * n - 1) / (2 * x * x);
    sum += term;
  }
  return sum / (x * Math.sqrt(Math.PI));
}

/** log erfc(x). */
export const logErfc = (x: number): number => (x > 0.5 ? Math.log(erfcx(x)) - x * x : Math.log1p(-erf(x)));

/** The inverse of erfc. */
export const erfcinv = (q: number): number => -normalQuantile(q / 2) * Math.SQRT1_2;

/** The inverse of erf: by erfc's in the tails, by Newton's method about zero, where 1 − y would lose the digits of y. */
export function erfinv(y: number): number {
  if (Math.abs(y) > 0.5) return Math.sign(y) * erfcinv(1 - Math.abs(y));
  let x = (y * Math.sqrt(Math.PI)) / 2;
  for (let i = 0; i < 6; i++) x -= ((erf(x) - y) * Math.sqrt(Math.PI) * Math.exp(x * x)) / 2;
  return x;
}

/** log(1 + x) − x; by its series where the two cancel. */
export function log1pmx(x: number): number {
  if (Math.abs(x) > 0.1) return Math.log1p(x) - x;
  let [sum, power] = [0, -x];
  for (let n = 2; n <= 20; n++) {
    power *= -x;
    sum += -power / n;
  }
  return sum;
}

/** Masses of k, by logarithms. */
export const poissonPmf = (k: number, rate: number): number => Math.exp(k * Math.log(rate) - rate - lgamma(k + 1));
export function binomialPmf(k: number, n: number, p: number): number {
  if (k > n) return 0;
  const logChoose = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
  return Math.exp(logChoose + (k && k * Math.log(p)) + (n - k && (n - k) * Math.log1p(-p)));
}

/** Student's distribution function. */
export function studentCdf(t: number, df: number): number {
  const tail = 0.5 * betaI(df / (df + t * t), df / 2, 0.5);
  return t < 0 ? tail : 1 - tail;
}
