/**
 * A cache of the weights e^{l − max} of one array of log-weights, computed in chunks by the thread pool: sums over them are taken more than once,
 * and reading a weight is faster than computing an exponential.
 */
import type { JobSlot, LinkedModule } from "../../core/simd/job-slot.ts";
import { type ThreadPool, threadPool } from "../../core/simd/thread-pool.ts";
import { iterationsOf, type LoopMemory, loopMemory, SCRATCH_BYTES } from "./loop-memory.ts";
import { CHUNK, LANES, SUM_BYTES, WEIGHT_LOOPS } from "./weight-kernels.ts";

/** Fewest and most log-weights that are cached. */
const [MIN_DRAWS, MAX_DRAWS] = [1 << 15, 1 << 20];
const [FLOAT, DOUBLE] = [4, 8];

/** Most draws whose log-weights are compared at once. */
export const BLOCK_DRAWS = 1 << 16;

/** Cached weights e^{l − max}, computed or being computed; valid until others are cached. */
export interface WeightCache {
  readonly n: number;
  readonly max: number;
  readonly memory: LoopMemory;
  /** Waits for the weights in [from, to), `from` a multiple of a chunk; undefined when others are cached by now. */
  range(from: number, to: number): CachedWeights | undefined;
  /** The same for draws from `at` on, if their log-weights are, bit for bit, the given ones. */
  matching(logWeights: ArrayLike<number>, at: number): CachedWeights | undefined;
  /** All log-weights that are not below the cut, in order, with some that are; undefined when others are cached by now. */
  above(cut: number): Float32Array | undefined;
  /** Copies one value per draw into the loops' memory; returns its address. */
  copyValues(values: Float32Array): number;
}

/** A range of cached weights. */
export interface CachedWeights {
  /** Address of the first. */
  readonly address: number;
  readonly weights: Float64Array;
  /** Σw and Σw² of each chunk, each as two partial sums. */
  readonly sums: Float64Array;
}

/** The cache's memory in that of a thread pool: addresses, loops and the current contents. */
interface CacheMemory {
  readonly pool: ThreadPool;
  readonly slot: JobSlot;
  readonly loops: LinkedModule;
  readonly scratch: number;
  /** Log-weights and values of a block. */
  readonly block: number;
  readonly values: number;
  readonly logs: number;
  /** Log-weights that `above` found. */
  readonly found: number;
  readonly weights: number;
  readonly sums: number;
  machine: LoopMemory;
  cached: WeightCache | undefined;
}

let shared: CacheMemory | undefined;
/** The pool in which memory was requested. */
let requested: ThreadPool | undefined;

function allocateMemory(pool: ThreadPool): CacheMemory | undefined {
  const slot = pool.acquireSlot();
  if (slot === undefined) return undefined;
  const loops = pool.link(WEIGHT_LOOPS);
  const scratch = pool.allocate(SCRATCH_BYTES);
  const [block, values] = [pool.allocate(BLOCK_DRAWS * FLOAT), pool.allocate(BLOCK_DRAWS * FLOAT)];
  const [logs, found, weights] = [MAX_DRAWS * FLOAT, MAX_DRAWS * FLOAT, MAX_DRAWS * DOUBLE].map(pool.allocate) as [
    number,
    number,
    number,
  ];
  const sums = pool.allocate((MAX_DRAWS / CHUNK) * SUM_BYTES);
  const machine = loopMemory(pool.memory.buffer, scratch, loops.run);
  return { pool, slot, loops, scratch, block, values, logs, found, weights, sums, machine, cached: undefined };
}

function sharedMemory(): CacheMemory | undefined {
  const now = threadPool();
  if (now !== requested) {
    requested = now;
    shared = undefined;
    try {
      shared = now && allocateMemory(now);
    } catch {
      // No memory: weights are computed chunk by chunk and not cached.
    }
  }
  return shared && refreshed(shared);
}

/** Memory that is not shared moves when it grows: then the views are made anew. */
function refreshed(here: CacheMemory): CacheMemory {
  const { buffer } = here.pool.memory;
  if (here.machine.sums.buffer !== buffer) here.machine = loopMemory(buffer, here.scratch, here.loops.run);
  return here;
}

const floatsAt = (here: CacheMemory, address: number, length: number): Float32Array =>
  new Float32Array(here.machine.sums.buffer, address, length);

/** The largest of the copied log-weights. */
function largestIn(here: CacheMemory, iterations: number): number {
  const { at, run } = here.machine;
  run.largest?.(iterations, here.logs, at.sums);
  return floatsAt(here, at.sums, LANES).reduce((a, b) => (b > a ? b : a), Number.NEGATIVE_INFINITY);
}

/**
 * Copies log-weights to the cache and submits the computation of their weights to the pool.
 *
 * @returns undefined where they are too few or too many.
 */
export function cacheWeights(logWeights: ArrayLike<number>, wantedMax?: number): WeightCache | undefined {
  const n = logWeights.length;
  if (!(logWeights instanceof Float32Array) || n < MIN_DRAWS || n > MAX_DRAWS) return undefined;
  const here = sharedMemory();
  if (here === undefined) return undefined;
  const { slot, loops, logs, weights, sums } = here;
  const count = Math.ceil(n / CHUNK);
  // The previous contents are about to be overwritten.
  slot.cancel();
  const to = floatsAt(here, logs, count * CHUNK);
  to.set(logWeights);
  to.fill(Number.NEGATIVE_INFINITY, n);
  const max = wantedMax ?? largestIn(here, iterationsOf(n));
  slot.submit(
    loops,
    [
      {
        name: "sums32",
        args: [iterationsOf(CHUNK), max, logs, weights, sums],
        strides: [0, 0, CHUNK * FLOAT, CHUNK * DOUBLE, SUM_BYTES],
      },
    ],
    count,
  );
  const cached = cacheIn(here, n, max);
  here.cached = cached;
  return cached;
}

function cacheIn(here: CacheMemory, n: number, max: number): WeightCache {
  const range = (from: number, to: number): CachedWeights | undefined => {
    if (shared !== here || here.cached !== cached || from % CHUNK !== 0) return undefined;
    const [first, end] = [from / CHUNK, Math.ceil(to / CHUNK)];
    here.slot.wait(end);
    const { buffer } = refreshed(here).machine.sums;
    const address = here.weights + from * DOUBLE;
    const sums = new Float64Array(buffer, here.sums + first * SUM_BYTES, ((end - first) * SUM_BYTES) / DOUBLE);
    return { address, weights: new Float64Array(buffer, address, to - from), sums };
  };
  const cached: WeightCache = {
    n,
    max,
    get memory() {
      return refreshed(here).machine;
    },
    range,
    matching(given, at) {
      const size = given.length;
      // Sums are of whole chunks.
      const whole = size % CHUNK === 0 ? at + size <= n : at + size === n;
      if (!(given instanceof Float32Array) || !whole || size === 0 || size > BLOCK_DRAWS) return undefined;
      const found = range(at, at + size);
      if (found === undefined) return undefined;
      const { run, at: own, sums } = here.machine;
      const iterations = iterationsOf(size);
      const block = floatsAt(here, here.block, iterations * LANES);
      block.set(given);
      block.fill(Number.NEGATIVE_INFINITY, size);
      run.differ?.(iterations, here.block, here.logs + at * FLOAT, own.sums);
      return new Int32Array(sums.buffer, own.sums, 1)[0] === 0 ? found : undefined;
    },
    above(cut) {
      if (shared !== here || here.cached !== cached || !(cut > Number.NEGATIVE_INFINITY)) return undefined;
      const { run, at, sums } = refreshed(here).machine;
      run.above?.(iterationsOf(n), cut, here.logs, here.found, at.sums);
      const [bytes] = new Int32Array(sums.buffer, at.sums, 1) as unknown as readonly [number];
      return floatsAt(here, here.found, bytes / FLOAT);
    },
    copyValues(values) {
      floatsAt(here, here.values, values.length).set(values);
      return here.values;
    },
  };
  return cached;
}

/** The cached weights if they are likely to be those of these log-weights, else new ones; `matching` tells for sure. */
export function cachedWeights(logWeights: ArrayLike<number>, max: number): WeightCache | undefined {
  const cached = shared !== undefined && shared === sharedMemory() ? shared.cached : undefined;
  return cached?.n === logWeights.length && cached.max === max ? cached : cacheWeights(logWeights, max);
}
