/** Sums over log-weights in double precision: of weights e^{l − max} and their squares, and of a function of the draws times weights. */
import { instantiate } from "../../core/simd/assembler.ts";
import { computeWeights, copyInto, iterationsOf, type LoopMemory, loopMemory, SCRATCH_BYTES } from "./loop-memory.ts";
import { BLOCK_DRAWS, type CachedWeights, cachedWeights, cacheWeights, type WeightCache } from "./weight-cache.ts";
import { CHUNK, LANES, SUM_BYTES, WEIGHT_LOOPS } from "./weight-kernels.ts";

const PAGE = 65536;
const [FLOAT, DOUBLE] = [4, 8];
/** Doubles in a loop's sums. */
const SUMS = SUM_BYTES / DOUBLE;

let memory: LoopMemory | undefined;

function start(): LoopMemory {
  const wasm = new WebAssembly.Memory({ initial: Math.ceil(SCRATCH_BYTES / PAGE) });
  return loopMemory(wasm.buffer, 0, instantiate(WEIGHT_LOOPS, wasm));
}

/** Calls `each` for every chunk. */
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
  memory ??= start();
  const { run, floats, sums, at } = memory;
  const lanes = new Float32Array(sums.buffer, at.sums, LANES);
  parts(x.length, (from, to) => {
    floats.set(x.subarray(from, to));
    const iterations = Math.ceil((to - from) / LANES);
    floats.fill(Number.NEGATIVE_INFINITY, to - from, iterations * LANES);
    run.largest?.(iterations, at.logs, at.sums);
    for (const lane of lanes) if (lane > max) max = lane;
  });
  return max;
}

/** Calls `take` with every number that is not below the cut, NaN too, in order, until it returns false. */
export function tailAbove(x: ArrayLike<number>, cut: number, take: (value: number) => boolean): void {
  // The last vector is padded with −∞, which must not be found.
  if (!(x instanceof Float32Array) || !(cut > Number.NEGATIVE_INFINITY)) {
    for (let i = 0; i < x.length; i++) if (!((x[i] as number) < cut) && !take(x[i] as number)) return;
    return;
  }
  memory ??= start();
  const { run, floats, sums, at } = memory;
  const found = new Float32Array(sums.buffer, at.weights, CHUNK);
  const bytes = new Int32Array(sums.buffer, at.sums, 1);
  for (let from = 0; from < x.length; from += CHUNK) {
    const to = Math.min(from + CHUNK, x.length);
    floats.set(x.subarray(from, to));
    const iterations = Math.ceil((to - from) / LANES);
    floats.fill(Number.NEGATIVE_INFINITY, to - from, iterations * LANES);
    run.above?.(iterations, cut, at.logs, at.weights, at.sums);
    const size = (bytes[0] as number) / Float32Array.BYTES_PER_ELEMENT;
    for (let i = 0; i < size; i++) if (!((found[i] as number) < cut) && !take(found[i] as number)) return;
  }
}

/** Σ e^{l − max} and Σ e^{2(l − max)}. */
export interface ExponentialSums {
  readonly sum: number;
  readonly squares: number;
}

/** Σ e^{l − max} and Σ e^{2(l − max)}; weights below e⁻⁷⁰⁸ count as zero. `each` is called with the weights of chunk after chunk. */
export function exponentialSums(
  logWeights: ArrayLike<number>,
  max: number,
  each?: (weights: Float64Array, from: number) => void,
): ExponentialSums {
  const cache = cacheWeights(logWeights, max);
  return cache === undefined ? sumsInChunks(logWeights, max, each) : cachedSums(cache, each);
}

function sumsInChunks(
  logWeights: ArrayLike<number>,
  max: number,
  each?: (weights: Float64Array, from: number) => void,
): ExponentialSums {
  memory ??= start();
  const here = memory;
  let [sum, squares] = [0, 0];
  parts(logWeights.length, (from, to) => {
    computeWeights(here, logWeights, max, from, to);
    sum += sumAt(here.sums, 0);
    squares += sumAt(here.sums, 1);
    each?.(here.weights.subarray(0, to - from), from);
  });
  return { sum, squares };
}

/** The same from cached weights: chunks in the same order give the same bits. */
function cachedSums(cache: WeightCache, each?: (weights: Float64Array, from: number) => void): ExponentialSums {
  let [sum, squares] = [0, 0];
  const { sums, weights } = cache.range(0, cache.n) as CachedWeights;
  for (let i = 0; i < sums.length / 2; i += SUMS / 2) {
    sum += sumAt(sums, i);
    squares += sumAt(sums, i + 1);
  }
  each?.(weights, 0);
  return { sum, squares };
}

/** Largest log-weight and sums, in two steps: between them the thread pool may compute. Log-weights must not change until the second. */
export function beginExponentialSums(logWeights: ArrayLike<number>): {
  readonly max: number;
  readonly finish: () => ExponentialSums;
  /** As {@link tailAbove}, faster for these log-weights where they are cached. */
  readonly tailAbove: typeof tailAbove;
} {
  const cache = cacheWeights(logWeights);
  const max = cache?.max ?? largestOf(logWeights);
  const finish = () => {
    if (max === Number.NEGATIVE_INFINITY) return { sum: 0, squares: 0 };
    return cache?.range(0, 0) === undefined ? sumsInChunks(logWeights, max) : cachedSums(cache);
  };
  const search: typeof tailAbove = (x, cut, take) => {
    const found = x === logWeights ? cache?.above(cut) : undefined;
    if (found === undefined) return tailAbove(x, cut, take);
    for (const value of found) if (!(value < cut) && !take(value)) return;
  };
  return { max, finish, tailAbove: search };
}

/** A sum that a loop returns as two partial sums. */
const sumAt = (sums: Float64Array, i: number): number => (sums[2 * i] as number) + (sums[2 * i + 1] as number);

/** Weighted moments of a function of the draws, accumulated over chunks. */
export interface ExpectationStream {
  /** Adds values with the log-weights of their draws. */
  add(values: ArrayLike<number>, logWeights: ArrayLike<number>): void;
  /** Σwh/Σw and √Σw²(h − μ)²/Σw. */
  result(): { readonly value: number; readonly standardError: number };
}

/** Weighted sums about a centre, the running mean. */
interface RunningMoments {
  /** Adds a chunk: Σw and Σw², and the sums Σw(h − c), Σw²(h − c) and Σw²(h − c)² that `run` computes about a centre c. */
  take(weight: number, squares: number, sums: Float64Array, run: (centre: number) => void): void;
  /** Σwh/Σw and √Σw²(h − μ)²/Σw. */
  result(): { readonly value: number; readonly standardError: number };
}

/** The centre is the mean of all chunks before, so that no digits are lost to cancellation. */
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
 * @param all - Log-weights of all draws that will be added, where they are known.
 */
export function expectationStream(max: number, all: ArrayLike<number> = []): ExpectationStream {
  memory ??= start();
  const own = memory;
  const cache = cachedWeights(all, max);
  const { take, result } = runningMoments();
  let done = 0;
  const addCached = (values: Float32Array, { memory: here, copyValues }: WeightCache, block: CachedWeights): void => {
    const { run, at, sums } = here;
    const [valuesAt, of] = [copyValues(values), block.sums];
    parts(values.length, (from, to) => {
      const i = ((from / CHUNK) * SUMS) / 2;
      take(sumAt(of, i), sumAt(of, i + 1), sums, (about) =>
        run.moments32?.(
          iterationsOf(to - from),
          about,
          valuesAt + from * FLOAT,
          block.address + from * DOUBLE,
          at.sums,
        ),
      );
    });
  };
  const addUncached = (values: ArrayLike<number>, logWeights: ArrayLike<number>): void =>
    parts(values.length, (from, to) => {
      computeWeights(own, logWeights, max, from, to);
      const { run, at, sums, valueFloats, valueDoubles } = own;
      const [partWeight, partSquares] = [sumAt(sums, 0), sumAt(sums, 1)];
      const loop = run[`moments${copyInto(values, from, to, valueFloats, valueDoubles)}`];
      take(partWeight, partSquares, sums, (about) =>
        loop?.(iterationsOf(to - from), about, at.values, at.weights, at.sums),
      );
    });
  return {
    add(values, logWeights) {
      if (cache === undefined || !(values instanceof Float32Array) || !(logWeights instanceof Float32Array))
        return addUncached(values, logWeights);
      for (let from = 0; from < values.length; from += BLOCK_DRAWS) {
        const [some, logs] = [values.subarray(from, from + BLOCK_DRAWS), logWeights.subarray(from, from + BLOCK_DRAWS)];
        const block = cache.matching(logs, done);
        done += some.length;
        if (block === undefined) addUncached(some, logs);
        else addCached(some, cache, block);
      }
    },
    result,
  };
}
