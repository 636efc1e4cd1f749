/**
 * Bulk draws. Element i is a function of (key, offset + i) only, so a longer draw begins with the shorter one, and parts can be
 * drawn separately. The same bits on every machine.
 */
import { checkWhole } from "../check.ts";
import type { Key } from "../key.ts";
import { instantiate, type WasmExports } from "../simd/assembler.ts";
import { type ThreadPool, threadPool } from "../simd/thread-pool.ts";
import { LOOPS, WORDS_PER_HIGH, WORDS_PER_ITERATION, WORDS_PER_TRANSFORM } from "./loops.ts";
import { createReadAheadCache, type DrawKind, MAX_READ, type ReadAheadCache } from "./read-ahead.ts";

/** Words drawn at a time: they stay in the first-level cache from the generator to the copy. */
const CHUNK = 4096;
/** Bytes of a page of memory. */
const PAGE = 65536;

/** The loops in a small memory of this thread. */
interface LocalLoops {
  readonly run: WasmExports;
  readonly words: Uint32Array;
  readonly floats: Float32Array;
}

let localLoops: LocalLoops | undefined;

function createLocalLoops(): LocalLoops {
  const memory = new WebAssembly.Memory({ initial: Math.ceil((CHUNK * 4) / PAGE) });
  return {
    run: instantiate(LOOPS, memory),
    words: new Uint32Array(memory.buffer, 0, CHUNK),
    floats: new Float32Array(memory.buffer, 0, CHUNK),
  };
}

function checkCount(what: string, n: number, offset: number): void {
  checkWhole(what, "n", n, 0);
  checkWhole(what, "offset", offset, 0, Number.MAX_SAFE_INTEGER - n);
}

/** Fills `out` chunk by chunk with words `offset`, `offset + 1`, … put through the loop of that name. */
function fillOnThisThread(kind: DrawKind, key: Key, out: Float32Array | Uint32Array, offset: number): void {
  localLoops ??= createLocalLoops();
  const { run, words, floats } = localLoops;
  const source = kind === "bits" ? words : floats;
  for (let done = 0; done < out.length; ) {
    const at = offset + done;
    const odd = at % 2;
    const high = Math.floor(at / WORDS_PER_HIGH);
    const count = Math.min(out.length - done, CHUNK - odd, (high + 1) * WORDS_PER_HIGH - at);
    const low = ((at - odd) / 2) % 2 ** 32;
    run.bits?.(key.hi, key.lo, high, low, 0, Math.ceil((count + odd) / WORDS_PER_ITERATION));
    if (kind !== "bits") run[kind]?.(0, Math.ceil((count + odd) / WORDS_PER_TRANSFORM));
    out.set(source.subarray(odd, odd + count), done);
    done += count;
  }
}

/** Fewest draws that are made by the thread pool; while a sampler reads ahead, fewer are enough. */
const [MIN_POOLED, MIN_POOLED_READ_AHEAD] = [1 << 16, 1 << 13];

let cache: ReadAheadCache | undefined;
/** The pool to which `cache` belongs. */
let owner: ThreadPool | undefined;
/** Samplers under way that will read the draws that follow. */
let readers = 0;

function readAheadCache(): ReadAheadCache | undefined {
  const pool = threadPool();
  if (pool === owner) return cache;
  owner = pool;
  cache = undefined;
  try {
    cache = pool && createReadAheadCache(pool);
  } catch {
    // No memory: draws are made on this thread.
  }
  return cache;
}

const isPooled = (n: number): boolean => n >= MIN_POOLED || (readers > 0 && n >= MIN_POOLED_READ_AHEAD);
/** How many draws after `n` are started for the samplers under way: as many as fill a buffer, in requests of the same size. */
const readAheadCount = (n: number): number => (readers > 0 ? n * Math.max(1, Math.floor(MAX_READ / n)) : 0);

function fill(kind: DrawKind, key: Key, out: Float32Array | Uint32Array, offset: number): void {
  const n = out.length;
  const from = isPooled(n) ? readAheadCache() : undefined;
  for (let done = 0; done < n; ) {
    const count = Math.min(n - done, MAX_READ);
    const rest = n - done - count;
    const view = from?.read(kind, key, offset + done, count, rest > 0 ? rest : readAheadCount(n));
    const to = out.subarray(done, done + count);
    if (view === undefined) fillOnThisThread(kind, key, to, offset + done);
    else to.set(new (kind === "bits" ? Uint32Array : Float32Array)(view.buffer, view.byteOffset, count));
    done += count;
  }
}

/**
 * For samplers that go through a stream chunk by chunk: until the returned function is called, a worker makes the draws that follow a
 * large draw in its stream, while this thread does other things.
 */
export function readAhead(): () => void {
  readers++;
  let ended = false;
  return () => {
    if (ended) return;
    ended = true;
    if (--readers === 0) cache?.discardUnread();
  };
}

/** A bulk draw: element i depends on (key, offset + i) only. */
export interface BulkDraw {
  (key: Key, n: number, offset?: number): Float32Array;
  /** The same draws as a view of memory that the next draws may overwrite: to be copied at once. */
  scratch(key: Key, n: number, offset?: number): Float32Array;
  /** The same draws, written to `to`. */
  fill(key: Key, to: Float32Array, offset?: number): void;
}

function bulk(kind: Exclude<DrawKind, "bits">): BulkDraw {
  const draw = (key: Key, n: number, offset = 0): Float32Array => {
    checkCount(kind, n, offset);
    const out = new Float32Array(n);
    fill(kind, key, out, offset);
    return out;
  };
  const scratch = (key: Key, n: number, offset = 0): Float32Array => {
    checkCount(kind, n, offset);
    const view =
      n <= MAX_READ && isPooled(n) ? readAheadCache()?.read(kind, key, offset, n, readAheadCount(n)) : undefined;
    return view === undefined ? draw(key, n, offset) : new Float32Array(view.buffer, view.byteOffset, n);
  };
  return Object.assign(draw, {
    scratch,
    fill(key: Key, to: Float32Array, offset = 0): void {
      checkCount(kind, to.length, offset);
      fill(kind, key, to, offset);
    },
  });
}

/** Words of 32 random bits: word i is word i mod 2 of `threefry2x32(key, …)` at the counter ⌊(offset + i)/2⌋. */
export function bits(key: Key, n: number, offset = 0): Uint32Array {
  checkCount("bits", n, offset);
  const out = new Uint32Array(n);
  fill("bits", key, out, offset);
  return out;
}

/** Uniform on the open interval (0, 1), on the odd multiples of 2⁻²⁴: never 0, never 1. */
export const uniform: BulkDraw = /* @__PURE__ */ bulk("uniform");

/** Standard normal, by inversion: within ±6.4, that is all but 1e-10 of the mass, with an error of a few float32 roundings. */
export const normal: BulkDraw = /* @__PURE__ */ bulk("normal");

/** Exponential of rate 1, −log u: between 1e-10 and 22.9. */
export const exponential: BulkDraw = /* @__PURE__ */ bulk("exponential");

/** Standard Gumbel, −log(−log u): the argmax of log-weights plus this noise is each index with probability ∝ its weight. */
export const gumbel: BulkDraw = /* @__PURE__ */ bulk("gumbel");
