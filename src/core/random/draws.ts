/**
 * Bulk draws. A draw is a function of its key and its place: element i depends on (key, offset + i) only, so that a longer
 * draw begins with the shorter one, and parts can be drawn apart. The same bits on every machine.
 */
import { fail } from "../errors.ts";
import type { Key } from "../key.ts";
import { instantiate, type WasmExports } from "../wasm/assembler.ts";
import { LOOPS, WORDS_PER_TURN, WORDS_TRANSFORMED } from "./loops.ts";

/** Words drawn at a time: they stay in the first-level cache from the generator to the copy. */
const CHUNK = 4096;
/** Bytes of a page of memory. */
const PAGE = 65536;
/** Words of the counters that share the upper half. */
const WORDS_PER_HIGH = 2 ** 33;

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
  if (!Number.isSafeInteger(n) || n < 0) fail("argument", `${what}: n must be a non-negative integer, got ${n}`);
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(offset + n))
    fail("argument", `${what}: offset must be a non-negative integer, got ${offset}`);
}

/** Fills `out` chunk by chunk with words `offset`, `offset + 1`, … put through the loop of that name. */
function fill(key: Key, out: Float32Array | Uint32Array, offset: number, transform: string | undefined): void {
  machine ??= start();
  const { run, words, floats } = machine;
  const source = transform === undefined ? words : floats;
  for (let done = 0; done < out.length; ) {
    const at = offset + done;
    const odd = at % 2;
    const high = Math.floor(at / WORDS_PER_HIGH);
    const count = Math.min(out.length - done, CHUNK - odd, (high + 1) * WORDS_PER_HIGH - at);
    const low = ((at - odd) / 2) % 2 ** 32;
    run.bits?.(key.hi, key.lo, high, low, 0, Math.ceil((count + odd) / WORDS_PER_TURN));
    if (transform !== undefined) run[transform]?.(0, Math.ceil((count + odd) / WORDS_TRANSFORMED));
    out.set(source.subarray(odd, odd + count), done);
    done += count;
  }
}

function floats(what: "uniform" | "normal" | "exponential" | "gumbel", key: Key, n: number, offset: number) {
  checkCount(what, n, offset);
  const out = new Float32Array(n);
  fill(key, out, offset, what);
  return out;
}

/** Writes what {@link normal} draws into `out`. */
export const normalInto = (key: Key, out: Float32Array, offset = 0): void => fill(key, out, offset, "normal");

/** Writes what {@link uniform} draws into `out`. */
export const uniformInto = (key: Key, out: Float32Array, offset = 0): void => fill(key, out, offset, "uniform");

/** Words of 32 random bits: word i is word i mod 2 of `threefry2x32(key, …)` at the counter ⌊(offset + i)/2⌋. */
export function bits(key: Key, n: number, offset = 0): Uint32Array {
  checkCount("bits", n, offset);
  const out = new Uint32Array(n);
  fill(key, out, offset, undefined);
  return out;
}

/** Uniform on the open interval (0, 1), on the odd multiples of 2⁻²⁴: never 0, never 1. */
export const uniform = (key: Key, n: number, offset = 0): Float32Array => floats("uniform", key, n, offset);

/** Standard normal, by inversion: within ±6.4, that is all but 1e-10 of the mass, with an error of a few float32 roundings. */
export const normal = (key: Key, n: number, offset = 0): Float32Array => floats("normal", key, n, offset);

/** Exponential of rate 1, −log u: between 1e-10 and 22.9. */
export const exponential = (key: Key, n: number, offset = 0): Float32Array => floats("exponential", key, n, offset);

/** Standard Gumbel, −log(−log u): its maximum with added log-weights falls on each place in proportion to its weight. */
export const gumbel = (key: Key, n: number, offset = 0): Float32Array => floats("gumbel", key, n, offset);
