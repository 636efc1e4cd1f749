/**
 * Implicit reparameterisation of gamma draws (Figurnov, Mohamed & Mnih 2018): a draw x of Gamma(α, 1) moves with α so that its
 * distribution function stays put, dx/dα = −(∂F/∂α)/f. Computed on the host in float64, without a term that cancels.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";
import type { Key } from "../core/key.ts";
import { gamma as gammaDraws, logGammaDraws } from "../core/random/rejection.ts";
import { type Shape, sizeOf } from "../core/shape.ts";
import { broadcastTo } from "../engine/smooth.ts";
import type { DrawContext } from "./family.ts";

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

/** d log x/dα for a draw x = exp(logX) of Gamma(α, 1) at a fixed value of its distribution function; float64. */
export function logGammaSlope(alpha: number, logX: number): number {
  const x = Math.exp(logX);
  if (!(alpha > 0) || Number.isNaN(x)) return Number.NaN;
  if (alpha >= LARGE_ALPHA) return byExpansion(alpha, x);
  return x <= Math.max(alpha, 2) ? bySeries(alpha, x, logX) : byFraction(alpha, x, logX);
}

/** Whether draws are given as they are or as logarithms. */
export type GammaScale = "value" | "log";

/**
 * Gamma(α, 1) draws (or their logarithms) as a tensor that is differentiable in α, once.
 *
 * @param alpha - Concentrations, of the shape of the draws.
 * @param draws - The draws, row-major.
 * @throws `not-differentiable` when a second derivative in α is asked for.
 */
export function gammaPath(alpha: tf.Tensor, draws: Float32Array, shape: Shape, scale: GammaScale): tf.Tensor {
  const slopes = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const a = (inputs[0] as tf.Tensor).dataSync();
    const out = new Float32Array(draws.length);
    for (let i = 0; i < out.length; i++) {
      const draw = draws[i] as number;
      const slope = logGammaSlope(a[i] as number, scale === "log" ? draw : Math.log(draw));
      out[i] = scale === "log" ? slope : slope * draw;
    }
    return {
      value: tf.tensor(out, [...shape], "float32"),
      gradFunc: () =>
        fail(
          "not-differentiable",
          "gamma draws are differentiable once in their concentration: a second derivative through the sampler was asked for. Differentiate the log-density instead, or stop the gradient at the concentration",
        ),
    };
  });
  return tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [a, save] = inputs as [tf.Tensor, tf.GradSaveFunc];
    save([a]);
    return {
      value: tf.tensor(draws.slice(), [...shape], "float32"),
      gradFunc: (dy: tf.Tensor, [a]: tf.Tensor[]) => tf.mul(dy, slopes(a as tf.Tensor)),
    };
  })(alpha);
}

/** The smallest normal number of float32: a draw that underflows is moved here, so that it stays positive. */
export const SMALLEST = 2 ** -126;

/** What {@link gammaNoise} draws. */
export interface GammaNoise {
  readonly scale: GammaScale;
  readonly key?: Key;
  /** Axes on the right of the concentration that belong to the event. */
  readonly extra?: Shape;
}

/** Standard gamma noise of shape `[...draws, ...batch, ...extra]`, differentiable in the concentration. */
export function gammaNoise(
  concentration: tf.Tensor,
  d: DrawContext,
  { scale, key = d.key, extra = [] }: GammaNoise,
): tf.Tensor {
  const shape = [...d.shape, ...extra];
  const alpha = d.values(concentration, extra);
  const sampler = scale === "log" ? logGammaDraws : gammaDraws;
  const draws = sampler(key, alpha, sizeOf(shape), d.offset * sizeOf(extra));
  const kept = scale === "log" ? draws : draws.map((x) => Math.max(x, SMALLEST));
  return gammaPath(broadcastTo(concentration, shape), kept, shape, scale);
}
