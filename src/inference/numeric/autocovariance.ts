/** Autocovariances summed over chains: small lags directly, when asked for; large ones by Fourier transforms, one for two chains. */
import { LAGS, lagSums } from "./lag-sums.ts";

/** Lags below this are summed directly: a transform costs as much as two to four hundred of them. */
const MAX_DIRECT_LAG = 128;

/** By lag, Σ over chains and t of x_t·x_{t+lag}; chains are equally long and centred. */
export function autocovariances(chains: readonly Float64Array[]): (lag: number) => number {
  const parts: Float64Array[] = [];
  let whole: Float64Array | undefined;
  return (lag) => {
    if (lag >= MAX_DIRECT_LAG) {
      whole ??= byTransform(chains);
      return whole[lag] as number;
    }
    const part = Math.floor(lag / LAGS);
    parts[part] ??= lagSums(chains, part * LAGS);
    return parts[part][lag % LAGS] as number;
  };
}

/**
 * All lags at once (Wiener–Khinchin): zero padding keeps the circular correlation from wrapping around. Two chains are the real and
 * imaginary part of one series; the real part of its autocovariance is the sum of theirs.
 */
function byTransform(chains: readonly Float64Array[]): Float64Array {
  const n = chains[0]?.length ?? 0;
  let size = 1;
  while (size < 2 * n) size *= 2;
  const roots = rootsOf(size);
  const [re, im, power] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  for (let c = 0; c < chains.length; c += 2) {
    const [first, second] = [chains[c] as Float64Array, chains[c + 1]];
    re.fill(0);
    im.fill(0);
    re.set(first);
    if (second !== undefined) im.set(second);
    forwardTransform(re, im, roots);
    for (let f = 0; f < size; f++) power[f] = (power[f] as number) + (re[f] as number) ** 2 + (im[f] as number) ** 2;
  }
  im.fill(0);
  inverseTransform(power, im, roots);
  return power.subarray(0, n).map((v) => v / size);
}

interface Roots {
  readonly cos: Float64Array;
  readonly sin: Float64Array;
}
const known = new Map<number, Roots>();

/** e^{−2πik/size}, k < size/2. */
function rootsOf(size: number): Roots {
  const found = known.get(size);
  if (found !== undefined) return found;
  const angle = (k: number) => (-2 * Math.PI * k) / size;
  const roots = {
    cos: Float64Array.from({ length: size / 2 }, (_, k) => Math.cos(angle(k))),
    sin: Float64Array.from({ length: size / 2 }, (_, k) => Math.sin(angle(k))),
  };
  known.set(size, roots);
  return roots;
}

/** The discrete Fourier transform in place, frequencies in bit-reversed order (Gentleman & Sande). */
function forwardTransform(re: Float64Array, im: Float64Array, { cos, sin }: Roots): void {
  const size = re.length;
  for (let half = size / 2; half >= 1; half /= 2) {
    const step = size / (2 * half);
    for (let start = 0; start < size; start += 2 * half) {
      for (let k = 0; k < half; k++) {
        const i = start + k;
        const j = i + half;
        const c = cos[k * step] as number;
        const s = sin[k * step] as number;
        const a = (re[i] as number) - (re[j] as number);
        const b = (im[i] as number) - (im[j] as number);
        re[i] = (re[i] as number) + (re[j] as number);
        im[i] = (im[i] as number) + (im[j] as number);
        re[j] = a * c - b * s;
        im[j] = a * s + b * c;
      }
    }
  }
}

/** The same from bit-reversed order to natural order (Cooley & Tukey). */
function inverseTransform(re: Float64Array, im: Float64Array, { cos, sin }: Roots): void {
  const size = re.length;
  for (let half = 1; half < size; half *= 2) {
    const step = size / (2 * half);
    for (let start = 0; start < size; start += 2 * half) {
      for (let k = 0; k < half; k++) {
        const i = start + k;
        const j = i + half;
        const c = cos[k * step] as number;
        const s = sin[k * step] as number;
        const a = (re[j] as number) * c - (im[j] as number) * s;
        const b = (re[j] as number) * s + (im[j] as number) * c;
        re[j] = (re[i] as number) - a;
        im[j] = (im[i] as number) - b;
        re[i] = (re[i] as number) + a;
        im[i] = (im[i] as number) + b;
      }
    }
  }
}
