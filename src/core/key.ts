/**
 * Random keys: 64 bits, split by folding in names and numbers, never advanced. Names own randomness: the key of a site is
 * fold(seed, site name), so adding or reordering sites moves no other draw.
 */
import seedrandom from "seedrandom";
import { fail } from "./errors.ts";

/** Two words of 32 bits, unsigned. A value, not a generator: the same key always gives the same numbers. */
export interface Key {
  readonly hi: number;
  readonly lo: number;
}

/**
 * The key of a step that is being traced. It has another value in every run of the graph, so its words can be read only while the
 * inputs of a run are computed; keys folded from it follow it.
 */
class TracedKey implements Key {
  readonly #value: () => Key;

  constructor(value: () => Key) {
    this.#value = value;
  }

  get hi(): number {
    return this.#value().hi;
  }

  get lo(): number {
    return this.#value().lo;
  }
}

/** A key whose value is computed whenever its words are read; `value` may throw. */
export const tracedKey = (value: () => Key): Key => new TracedKey(value);

/** A user's seed. */
export type Seed = number | string;

/**
 * The root key of a seed, by `seedrandom` (ARC4 over the seed's text), so that near seeds give unrelated keys.
 *
 * @throws `argument` when a numeric seed is not finite.
 */
export function rootKey(seed: Seed): Key {
  if (typeof seed === "number" && !Number.isFinite(seed))
    fail("argument", `seed must be a finite number or a string, got ${seed}`);
  const random = seedrandom(`tilted:${seed}`);
  return { hi: random.int32() >>> 0, lo: random.int32() >>> 0 };
}

/** The key itself, or the root key of a seed. */
export const toKey = (seed: Seed | Key): Key => (typeof seed === "object" ? seed : rootKey(seed));

/** Rotations of the even and odd groups of four rounds (Salmon et al. 2011, table 2, for 2 words of 32 bits). */
export const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
export const GROUPS = 5;
/** Makes the third word of the key schedule differ from a plain parity. */
export const PARITY = 0x1bd11bda;

/** One block of Threefry-2x32 with 20 rounds: two words of noise from a key and a counter of two words (Salmon et al. 2011). */
export function threefry2x32(key: Key, c0: number, c1: number): [number, number] {
  const schedule = [key.hi | 0, key.lo | 0, key.hi ^ key.lo ^ PARITY] as const;
  let x0 = (c0 + schedule[0]) | 0;
  let x1 = (c1 + schedule[1]) | 0;
  for (let group = 0; group < GROUPS; group++) {
    for (let i = 0; i < 4; i++) {
      const r = ROTATIONS[(group % 2) * 4 + i] as number;
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << r) | (x1 >>> (32 - r))) ^ x0;
    }
    x0 = (x0 + (schedule[(group + 1) % 3] as number)) | 0;
    x1 = (x1 + (schedule[(group + 2) % 3] as number) + group + 1) | 0;
  }
  return [x0 >>> 0, x1 >>> 0];
}

/** 64-bit FNV-1a of the UTF-16 code units of a name, as two words. */
function hashName(name: string): [number, number] {
  let hi = 0xcbf29ce4;
  let lo = 0x84222325;
  for (let i = 0; i < name.length; i++) {
    lo = (lo ^ name.charCodeAt(i)) >>> 0;
    // × 0x100000001b3 modulo 2^64, in 16-bit limbs so that no product leaves 2^53.
    const low = (lo & 0xffff) * 0x1b3;
    const mid = (lo >>> 16) * 0x1b3 + Math.floor(low / 0x10000);
    const carry = Math.floor(mid / 0x10000);
    hi = (Math.imul(hi, 0x1b3) + carry + (lo << 8)) >>> 0;
    lo = ((mid << 16) | (low & 0xffff)) >>> 0;
  }
  return [hi, lo];
}

/** Domain of a fold: names and numbers never meet. */
const NUMBER_DOMAIN: Key = { hi: 0x6e756d62, lo: 0x65725f5f };

/** A new key from a key and a name or a non-negative integer: distinct data give unrelated keys. */
export function fold(key: Key, data: string | number): Key {
  let words: readonly [number, number];
  if (typeof data === "string") words = hashName(data);
  else {
    if (!Number.isSafeInteger(data) || data < 0)
      fail("argument", `fold: expected a name or a non-negative integer, got ${data}`);
    words = threefry2x32(NUMBER_DOMAIN, Math.floor(data / 0x100000000), data >>> 0);
  }
  const [first, second] = words;
  const folded = (): Key => {
    const [hi, lo] = threefry2x32(key, first, second);
    return { hi, lo };
  };
  return key instanceof TracedKey ? tracedKey(folded) : folded();
}

/** `n` unrelated keys; the first m of them are `split(key, m)`. */
export const split = (key: Key, n: number): Key[] => Array.from({ length: n }, (_, i) => fold(key, i));
