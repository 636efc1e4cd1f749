/**
 * Bulk draws. A draw is a function of its key and its place: element i depends on (key, offset + i) only, so that a longer
 * draw begins with the shorter one, and parts can be drawn apart. The same bits on every machine.
 */
import { checkWhole } from "../check.ts";
import type { Key } from "../key.ts";
import { instantiate, type WasmExports } from "../simd/assembler.ts";
import { type ThreadPool, threadPool } from "../simd/thread-pool.ts";
import { LOOPS, WORDS_PER_HIGH, WORDS_PER_TURN, WORDS_TRANSFORMED } from "./loops.ts";
import { createWindows, type DrawKind, LONGEST, type Windows } from "./windows.ts";

/** Words drawn at a time: they stay in the first-level cache from the generator to the copy. */
const CHUNK = 4096;
/** Bytes of a page of memory. */
const PAGE = 65536;

interface Machine {
  readonly run: WasmExports;
  readonly words: Uint32Array;
  readonly floats: Float32Array;
}

let machine: Machine | undefined;

function start(): Machine {
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
function fillHere(kind: DrawKind, key: Key, out: Float32Array | Uint32Array, offset: number): void {
  machine ??= start();
  const { run, words, floats } = machine;
  const source = kind === "bits" ? words : floats;
  for (let done = 0; done < out.length; ) {
    const at = offset + done;
    const odd = at % 2;
    const high = Math.floor(at / WORDS_PER_HIGH);
    const count = Math.min(out.length - done, CHUNK - odd, (high + 1) * WORDS_PER_HIGH - at);
    const low = ((at - odd) / 2) % 2 ** 32;
    run.bits?.(key.hi, key.lo, high, low, 0, Math.ceil((count + odd) / WORDS_PER_TURN));
    if (kind !== "bits") run[kind]?.(0, Math.ceil((count + odd) / WORDS_TRANSFORMED));
    out.set(source.subarray(odd, odd + count), done);
    done += count;
  }
}

/** Draws that are worth a second thread, and draws that are taken from what was begun ahead. */
const [LARGE, WORTH_AHEAD] = [1 << 16, 1 << 13];

let windows: Windows | undefined;
/** The pool that has been asked for room. */
let asked: ThreadPool | undefined;
/** Samplers under way that will want the draws that follow. */
let readers = 0;

function windowsOf(): Windows | undefined {
  const now = threadPool();
  if (now === asked) return windows;
  asked = now;
  windows = undefined;
  try {
    windows = now && createWindows(now);
  } catch {
    // No memory: draws are made in a small one.
  }
  return windows;
}

/** Whether a draw of so many goes through windows. */
const isLarge = (n: number): boolean => n >= LARGE || (readers > 0 && n >= WORTH_AHEAD);
/** How many draws after `n` are begun for the samplers under way: as many as fill a window, in requests of the same size. */
const following = (n: number): number => (readers > 0 ? n * Math.max(1, Math.floor(LONGEST / n)) : 0);

function fill(kind: DrawKind, key: Key, out: Float32Array | Uint32Array, offset: number): void {
  const n = out.length;
  const from = isLarge(n) ? windowsOf() : undefined;
  for (let done = 0; done < n; ) {
    const count = Math.min(n - done, LONGEST);
    const rest = n - done - count;
    const place = from?.read(kind, key, offset + done, count, rest > 0 ? rest : following(n));
    const to = out.subarray(done, done + count);
    if (place === undefined) fillHere(kind, key, to, offset + done);
    else to.set(new (kind === "bits" ? Uint32Array : Float32Array)(place.buffer, place.byteOffset, count));
    done += count;
  }
}

/**
 * Until the returned function is called, large draws are followed by those that come next in the same stream, made by a helper
 * while this thread does other things. For samplers that go through a stream chunk by chunk.
 */
export function readAhead(): () => void {
  readers++;
  let ended = false;
  return () => {
    if (ended) return;
    ended = true;
    if (--readers === 0) windows?.forget();
  };
}

/** A bulk draw: element i depends on (key, offset + i) only. */
export interface Bulk {
  (key: Key, n: number, offset?: number): Float32Array;
  /** The same draws in memory that the next draws may be written over: to be copied at once. */
  lent(key: Key, n: number, offset?: number): Float32Array;
  /** The same into memory that is there. */
  into(key: Key, to: Float32Array, offset?: number): void;
}

function bulk(kind: Exclude<DrawKind, "bits">): Bulk {
  const draw = (key: Key, n: number, offset = 0): Float32Array => {
    checkCount(kind, n, offset);
    const out = new Float32Array(n);
    fill(kind, key, out, offset);
    return out;
  };
  const lent = (key: Key, n: number, offset = 0): Float32Array => {
    checkCount(kind, n, offset);
    const place = n <= LONGEST && isLarge(n) ? windowsOf()?.read(kind, key, offset, n, following(n)) : undefined;
    return place === undefined ? draw(key, n, offset) : new Float32Array(place.buffer, place.byteOffset, n);
  };
  const into = (key: Key, to: Float32Array, offset = 0): void => {
    checkCount(kind, to.length, offset);
    fill(kind, key, to, offset);
  };
  return Object.assign(draw, { lent, into });
}

/** Words of 32 random bits: word i is word i mod 2 of `threefry2x32(key, …)` at the counter ⌊(offset + i)/2⌋. */
export function bits(key: Key, n: number, offset = 0): Uint32Array {
  checkCount("bits", n, offset);
  const out = new Uint32Array(n);
  fill("bits", key, out, offset);
  return out;
}

/** Uniform on the open interval (0, 1), on the odd multiples of 2⁻²⁴: never 0, never 1. */
export const uniform: Bulk = /* @__PURE__ */ bulk("uniform");

/** Standard normal, by inversion: within ±6.4, that is all but 1e-10 of the mass, with an error of a few float32 roundings. */
export const normal: Bulk = /* @__PURE__ */ bulk("normal");

/** Exponential of rate 1, −log u: between 1e-10 and 22.9. */
export const exponential: Bulk = /* @__PURE__ */ bulk("exponential");

/** Standard Gumbel, −log(−log u): its maximum with added log-weights falls on each place in proportion to its weight. */
export const gumbel: Bulk = /* @__PURE__ */ bulk("gumbel");
