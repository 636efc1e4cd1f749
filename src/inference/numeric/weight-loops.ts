/** Sums over log-weights in double precision: e^{l − max}, its sums, and weighted sums of a function of the draws. */
import { instantiate } from "../../core/simd/assembler.ts";
import { type KeptPart, keepWeights, keptWeights, PIECE, type WeightCache } from "./weight-cache.ts";
import { CHUNK, LANES, SUM_BYTES, WEIGHT_LOOPS } from "./weight-kernels.ts";
import { type Machine, machineIn, place, SCRATCH_BYTES, turnsOf, weigh } from "./weight-machine.ts";

const PAGE = 65536;
const [FLOAT, DOUBLE] = [4, 8];
/** Doubles that a loop leaves. */
const SUMS = SUM_BYTES / DOUBLE;

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
export function tailAbove(x: ArrayLike<number>, cut: number, take: (value: number) => boolean): void {
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
export function exponentialSums(
  logWeights: ArrayLike<number>,
  max: number,
  each?: (weights: Float64Array, from: number) => void,
): ExponentialSums {
  const kept = keepWeights(logWeights, max);
  return kept === undefined ? sumsAlone(logWeights, max, each) : sumsOf(kept, each);
}

function sumsAlone(
  logWeights: ArrayLike<number>,
  max: number,
  each?: (weights: Float64Array, from: number) => void,
): ExponentialSums {
  machine ??= start();
  const here = machine;
  let [sum, squares] = [0, 0];
  parts(logWeights.length, (from, to) => {
    weigh(here, logWeights, max, from, to);
    sum += sumAt(here.sums, 0);
    squares += sumAt(here.sums, 1);
    each?.(here.weights.subarray(0, to - from), from);
  });
  return { sum, squares };
}

/** The same of weights that are kept: parts in the same order give the same bits. */
function sumsOf(kept: WeightCache, each?: (weights: Float64Array, from: number) => void): ExponentialSums {
  let [sum, squares] = [0, 0];
  const { sums, weights } = kept.between(0, kept.n) as KeptPart;
  for (let i = 0; i < sums.length / 2; i += SUMS / 2) {
    sum += sumAt(sums, i);
    squares += sumAt(sums, i + 1);
  }
  each?.(weights, 0);
  return { sum, squares };
}

/** Largest log-weight and sums, in two steps: between them a helper may be at work. Log-weights must stay as they are until the second. */
export function beginExponentialSums(logWeights: ArrayLike<number>): {
  readonly max: number;
  readonly finish: () => ExponentialSums;
  /** As {@link tailAbove}, without looking at memory that has been gone through already. */
  readonly notBelow: typeof tailAbove;
} {
  const kept = keepWeights(logWeights);
  const max = kept?.max ?? largestOf(logWeights);
  const finish = () => {
    if (max === Number.NEGATIVE_INFINITY) return { sum: 0, squares: 0 };
    return kept?.between(0, 0) === undefined ? sumsAlone(logWeights, max) : sumsOf(kept);
  };
  const search: typeof tailAbove = (x, cut, take) => {
    const found = x === logWeights ? kept?.above(cut) : undefined;
    if (found === undefined) return tailAbove(x, cut, take);
    for (const value of found) if (!(value < cut) && !take(value)) return;
  };
  return { max, finish, notBelow: search };
}

/** A sum that a loop has left in two halves. */
const sumAt = (sums: Float64Array, i: number): number => (sums[2 * i] as number) + (sums[2 * i + 1] as number);

/** Weighted moments of a function of the draws, taken part after part. */
export interface ExpectationStream {
  /** Takes some values with the log-weights of their draws. */
  add(values: ArrayLike<number>, logWeights: ArrayLike<number>): void;
  /** Σwh/Σw and √Σw²(h − μ)²/Σw. */
  result(): { readonly value: number; readonly standardError: number };
}

/** Weighted sums about a centre that follows the mean. */
interface RunningMoments {
  /** Takes a part: Σw and Σw², and the sums Σw(h − c), Σw²(h − c) and Σw²(h − c)² that `run` leaves about a centre c. */
  take(weight: number, squares: number, sums: Float64Array, run: (centre: number) => void): void;
  /** Σwh/Σw and √Σw²(h − μ)²/Σw. */
  result(): { readonly value: number; readonly standardError: number };
}

/** The centre is the mean of all parts before, so that no digits are lost to cancellation. */
function runningMoments(): RunningMoments {
  let [centre, weight, squares, first, firstSquared, secondSquared] = [0, 0, 0, 0, 0, 0];
  return {
    take(partWeight, partSquares, sums, run) {
      if (weight === 0 && partWeight > 0) {
        run(0);
        centre = sumAt(sums, 0) / partWeight;
      }
      run(centre);
      weight += partWeight;
      squares += partSquares;
      first += sumAt(sums, 0);
      firstSquared += sumAt(sums, 1);
      secondSquared += sumAt(sums, 2);
      // Sums about the mean so far, from those about the last one.
      if (!(weight > 0)) return;
      const shift = first / weight;
      centre += shift;
      secondSquared += shift * (shift * squares - 2 * firstSquared);
      firstSquared -= shift * squares;
      first = 0;
    },
    result: () => ({
      value: weight > 0 ? centre : Number.NaN,
      standardError: Math.sqrt(Math.max(0, secondSquared)) / weight,
    }),
  };
}

/**
 * The self-normalised mean and its standard error in one pass. A draw without weight may have any value.
 *
 * @param all - Log-weights of all draws that will be added, where they are at hand.
 */
export function expectationStream(max: number, all: ArrayLike<number> = []): ExpectationStream {
  machine ??= start();
  const alone = machine;
  const kept = keptWeights(all, max);
  const { take, result } = runningMoments();
  let done = 0;
  const addKept = (values: Float32Array, { machine: here, place }: WeightCache, piece: KeptPart): void => {
    const { run, at, sums } = here;
    const [valuesAt, of] = [place(values), piece.sums];
    parts(values.length, (from, to) => {
      const i = ((from / CHUNK) * SUMS) / 2;
      take(sumAt(of, i), sumAt(of, i + 1), sums, (about) =>
        run.moments32?.(turnsOf(to - from), about, valuesAt + from * FLOAT, piece.address + from * DOUBLE, at.sums),
      );
    });
  };
  const addAlone = (values: ArrayLike<number>, logWeights: ArrayLike<number>): void =>
    parts(values.length, (from, to) => {
      weigh(alone, logWeights, max, from, to);
      const { run, at, sums, valueFloats, valueDoubles } = alone;
      const [partWeight, partSquares] = [sumAt(sums, 0), sumAt(sums, 1)];
      const loop = run[`moments${place(values, from, to, valueFloats, valueDoubles)}`];
      take(partWeight, partSquares, sums, (about) => loop?.(turnsOf(to - from), about, at.values, at.weights, at.sums));
    });
  return {
    add(values, logWeights) {
      if (kept === undefined || !(values instanceof Float32Array) || !(logWeights instanceof Float32Array))
        return addAlone(values, logWeights);
      for (let from = 0; from < values.length; from += PIECE) {
        const [some, logs] = [values.subarray(from, from + PIECE), logWeights.subarray(from, from + PIECE)];
        const piece = kept.same(logs, done);
        done += some.length;
        if (piece === undefined) addAlone(some, logs);
        else addKept(some, kept, piece);
      }
    },
    result,
  };
}
