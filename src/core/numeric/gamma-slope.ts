/** How a quantile of Gamma(α, 1) moves with α, in double precision, without a term that cancels. */

/** ψ(x) in float64, x > 0. */
function digamma(x: number): number {
  let shift = 0;
  let y = x;
  for (; y < 10; y++) shift += 1 / y;
  const z = 1 / (y * y);
  const series = z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z / 132))));
  return Math.log(y) - 0.5 / y - series - shift;
}

/** Relative size of a term at which sums stop. */
const NEGLIGIBLE = 1e-14;
/** From this α on the expansion of the quantile is exact to 1e-9. */
const LARGE_ALPHA = 1000;

/** d log x/dα by the power series of the lower incomplete gamma function: Σ xⁿ/(α…(α+n))·(ψ(α+n+1) − log x). */
function bySeries(alpha: number, x: number, logX: number): number {
  let term = 1 / alpha;
  let psi = digamma(alpha) + 1 / alpha;
  let sum = 0;
  for (let n = 0; ; ) {
    const part = term * (psi - logX);
    sum += part;
    n++;
    term *= x / (alpha + n);
    psi += 1 / (alpha + n);
    if (n > x - alpha && Math.abs(part) < NEGLIGIBLE * Math.abs(sum)) return sum;
  }
}

/** d log x/dα by Legendre's continued fraction C(α, x) = (1 − F)/(x f) and its derivative: C·(log x − ψ(α)) + ∂C/∂α. */
function byFraction(alpha: number, x: number, logX: number): number {
  let b = x + 1 - alpha;
  let [c, dc] = [1e300, 0];
  let [d, dd] = [1 / b, 1 / (b * b)];
  let [h, dh] = [d, dd];
  // Lentz's recurrences, each with its derivative in α beside it (b′ = −1, a′ = i).
  for (let i = 1; ; i++) {
    const a = i * (alpha - i);
    b += 2;
    const e = a * d + b;
    const de = i * d + a * dd - 1;
    [d, dd] = [1 / e, -de / (e * e)];
    [c, dc] = [b + a / c, -1 + (i - (a * dc) / c) / c];
    const step = d * c;
    const dstep = dd * c + d * dc;
    [h, dh] = [h * step, dh * step + h * dstep];
    if (Math.abs(step - 1) + Math.abs(dstep) < NEGLIGIBLE * 100) break;
  }
  return h * (logX - digamma(alpha)) + dh;
}

/**
 * d log x/dα by the Cornish–Fisher expansion of the quantile at normal score z,
 * x = α + z√α + (z² − 1)/3 + (z³ − 7z)/36√α − (3z⁴ + 7z² − 16)/810α (Goldberg & Levine 1946).
 */
function byExpansion(alpha: number, x: number): number {
  const root = Math.sqrt(alpha);
  let z = (x - alpha) / root;
  for (let i = 0; i < 4; i++) {
    const z2 = z * z;
    const q =
      alpha + z * root + (z2 - 1) / 3 + (z * (z2 - 7)) / (36 * root) - (3 * z2 * z2 + 7 * z2 - 16) / (810 * alpha);
    const slope = root + (2 * z) / 3 + (3 * z2 - 7) / (36 * root) - (12 * z2 * z + 14 * z) / (810 * alpha);
    z -= (q - x) / slope;
  }
  const z2 = z * z;
  const slope =
    1 + z / (2 * root) - (z * (z2 - 7)) / (72 * root * alpha) + (3 * z2 * z2 + 7 * z2 - 16) / (810 * alpha ** 2);
  return slope / x;
}

/** d log x/dα of the quantile x = exp(logX) of Gamma(α, 1) at a fixed value of the CDF F: −(∂F/∂α)/(x f). */
export function logGammaSlope(alpha: number, logX: number): number {
  const x = Math.exp(logX);
  if (!(alpha > 0) || Number.isNaN(x)) return Number.NaN;
  if (alpha >= LARGE_ALPHA) return byExpansion(alpha, x);
  return x <= Math.max(alpha, 2) ? bySeries(alpha, x, logX) : byFraction(alpha, x, logX);
}
