/** Sums over log-weights in double precision: e^{l − max}, its sums, and weighted sums of a function of the draws. */
import { instantiate } from "../core/wasm/assembler.ts";
import { keptWeights } from "./kept-weights.ts";
import { CHUNK, LANES, WEIGHT_LOOPS } from "./weight-kernels.ts";
import { type Machine, machineIn, place, SCRATCH_BYTES, turnsOf, weigh } from "./weight-machine.ts";

const PAGE = 65536;

let machine: Machine | undefined;

function start(): Machine {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(SCRATCH_BYTES / PAGE) });
  return machineIn(memory.buffer, 0, instantiate(WEIGHT_LOOPS, memory));
}

/** Calls `each` for part after part. */
function parts(n: number, each: (from: number, to: number) => void): void {
  for (let from = 0; from < n; from += CHUNK) each(from, Math.min(from + CHUNK, n));
}

/** The largest of some numbers, NaN left out; −∞ for none. */
export function largestOf(x: ArrayLike<number>): number {
  let max = Number.NEGATIVE_INFINITY;
  if (!(x instanceof Float32Array)) {
    for (let i = 0; i < x.length; i++) if ((x[i] as number) > max) max = x[i] as number;
    return max;
  }
  machine ??= start();
  const { run, floats, sums, at } = machine;
  const lanes = new Float32Array(sums.buffer, at.sums, LANES);
  parts(x.length, (from, to) => {
    floats.set(x.subarray(from, to));
    const turns = Math.ceil((to - from) / LANES);
    floats.fill(Number.NEGATIVE_INFINITY, to - from, turns * LANES);
    run.most?.(turns, at.logs, at.sums);
    for (const lane of lanes) if (lane > max) max = lane;
  });
  return max;
}

/** Hands on every number that is not below the cut, NaN too, in order, until `take` says no. */
export function notBelow(x: ArrayLike<number>, cut: number, take: (value: number) => boolean): void {
  // Places that fill the last vector hold −∞, which must not be found.
  if (!(x instanceof Float32Array) || !(cut > Number.NEGATIVE_INFINITY)) {
    for (let i = 0; i < x.length; i++) if (!((x[i] as number) < cut) && !take(x[i] as number)) return;
    return;
  }
  machine ??= start();
  const { run, floats, sums, at } = machine;
  const found = new Float32Array(sums.buffer, at.weights, CHUNK);
  const bytes = new Int32Array(sums.buffer, at.sums, 1);
  for (let from = 0; from < x.length; from += CHUNK) {
    const to = Math.min(from + CHUNK, x.length);
    floats.set(x.subarray(from, to));
    const turns = Math.ceil((to - from) / LANES);
    floats.fill(Number.NEGATIVE_INFINITY, to - from, turns * LANES);
    run.above?.(turns, cut, at.logs, at.weights, at.sums);
    const size = (bytes[0] as number) / Float32Array.BYTES_PER_ELEMENT;
    for (let i = 0; i < size; i++) if (!((found[i] as number) < cut) && !take(found[i] as number)) return;
  }
}

/** Σ e^{l − max} and Σ e^{2(l − max)}. */
export interface ExponentialSums {
  readonly sum: number;
  readonly squares: number;
}

/** Σ e^{l − max} and Σ e^{2(l − max)}; weights below e⁻⁷⁰⁸ count as zero. `each` is handed the weights of part after part. */
export const exponentialSums = (
  logWeights: ArrayLike<number>,
  max: number,
  each?: (weights: Float64Array, from: number) => void,
): ExponentialSums => beginExponentialSums(logWeights, max)(each);

/** The same in two steps: between them a helper may be at work. Log-weights must stay as they are until the second. */
export function beginExponentialSums(
  logWeights: ArrayLike<number>,
  max: number,
): (each?: (weights: Float64Array, from: number) => void) => ExponentialSums {
  const kept = keptWeights(logWeights, max, true);
  return (each) => {
    machine ??= start();
    const here = machine;
    let [sum, squares] = [0, 0];
    parts(logWeights.length, (from, to) => {
      const part = kept?.part(from);
      if (part === undefined) weigh(here, logWeights, max, from, to);
      const { sums, weights } = part ?? here;
      sum += (sums[0] as number) + (sums[1] as number);
      squares += (sums[2] as number) + (sums[3] as number);
      each?.(weights.subarray(0, to - from), from);
    });
    return { sum, squares };
  };
}

/** Weighted moments of a function of the draws, taken part after part. */
export interface ExpectationStream {
  /** Takes some values with the log-weights of their draws. */
  add(values: ArrayLike<number>, logWeights: ArrayLike<number>): void;
  /** Σwh/Σw and √Σw²(h − μ)²/Σw. */
  result(): { readonly value: number; readonly standardError: number };
}

/**
 * The self-normalised mean and its standard error in one pass. Deviations are taken from the mean of all parts before, so that no
 * digits are lost to cancellation. A draw without weight may have any value.
 *
 * @param all - Log-weights of all draws that will be added, where they are at hand.
 */
export function expectationStream(max: number, all: ArrayLike<number> = []): ExpectationStream {
  machine ??= start();
  const alone = machine;
  const kept = keptWeights(all, max, false);
  let done = 0;
  let [centre, weight, squares, first, firstSquared, secondSquared] = [0, 0, 0, 0, 0, 0];
  return {
    add(values, logWeights) {
      parts(values.length, (from, to) => {
        const part = kept?.same(logWeights, from, to, done);
        done += to - from;
        if (part === undefined) weigh(alone, logWeights, max, from, to);
        const { sums: weightSums, weightsAt } = part ?? { sums: alone.sums, weightsAt: alone.at.weights };
        const { run, valueFloats, valueDoubles, sums, at } = part?.machine ?? alone;
        const total = (i: number, of = sums) => (of[2 * i] as number) + (of[2 * i + 1] as number);
        const [partWeight, partSquares] = [total(0, weightSums), total(1, weightSums)];
        const loop = run[`moments${place(values, from, to, valueFloats, valueDoubles)}`];
        const moments = (about: number) => loop?.(turnsOf(to - from), about, at.values, weightsAt, at.sums);
        if (weight === 0 && partWeight > 0) {
          moments(0);
          centre = total(0) / partWeight;
        }
        moments(centre);
        weight += partWeight;
        squares += partSquares;
        first += total(0);
        firstSquared += total(1);
        secondSquared += total(2);
        // Sums about the mean so far, from those about the last one.
        if (!(weight > 0)) return;
        const shift = first / weight;
        centre += shift;
        secondSquared += shift * (shift * squares - 2 * firstSquared);
        firstSquared -= shift * squares;
        first = 0;
      });
    },
    result: () => ({
      value: weight > 0 ? centre : Number.NaN,
      standardError: Math.sqrt(Math.max(0, secondSquared)) / weight,
    }),
  };
}
