/**
 * Large draws by a pool: windows on the streams of draws, in its memory. A draw is a function of key and place, so that its parts can be
 * made by any thread, and, where a sampler says that it will go on, ahead of the request.
 */
import type { Key } from "../key.ts";
import type { Linked, Slot, ThreadPool } from "../simd/thread-pool.ts";
import { LOOPS, WORDS_PER_HIGH, WORDS_PER_TURN, WORDS_TRANSFORMED } from "./loops.ts";

/** What words are put through; `bits` for nothing. */
export type DrawKind = "bits" | "uniform" | "normal" | "exponential" | "gumbel";

/** Most draws of one request. */
export const LONGEST = 1 << 18;
/** Words of a part: they stay in the first-level cache from the generator to the draw. A window begins at an even place. */
const PART = 4096;
const WINDOW = LONGEST + PART;
const WINDOWS = 4;
const BYTES = 4;

/** A stretch of a stream of draws. */
interface Window {
  readonly slot: Slot;
  readonly address: number;
  kind: DrawKind | undefined;
  key: Key;
  start: number;
  length: number;
  /** When it was last used, and whether anybody has asked for what is in it. */
  used: number;
  wanted: boolean;
}

/** Where draws lie: until four more windows are opened. */
export interface Place {
  readonly buffer: ArrayBuffer;
  readonly byteOffset: number;
}

/** Draws in the memory of a pool. */
export interface Windows {
  readonly pool: ThreadPool;
  /**
   * Draws `at`, …, `at + count − 1` of a stream, at most {@link LONGEST}; undefined where counters overflow.
   *
   * @param ahead - How many draws after these are to be begun, if there is somebody to make them.
   */
  read(kind: DrawKind, key: Key, at: number, count: number, ahead: number): Place | undefined;
  /** Whether the draw is there or under way. */
  covers(kind: DrawKind, key: Key, at: number, count: number): boolean;
  /** Gives up what was begun and nobody has asked for. */
  forget(): void;
}

/** Undefined when the pool has no room for them. */
export function createWindows(pool: ThreadPool): Windows | undefined {
  const loops: Linked = pool.link(LOOPS);
  const windows: Window[] = [];
  for (let i = 0; i < WINDOWS; i++) {
    const slot = pool.slot();
    if (slot === undefined) return undefined;
    const address = pool.reserve(WINDOW * BYTES);
    const nothing = { kind: undefined, key: { hi: 0, lo: 0 }, start: 0, length: 0, used: 0, wanted: true };
    windows.push({ slot, address, ...nothing });
  }
  let clock = 0;

  const covering = (kind: DrawKind, key: Key, from: number, to: number): Window | undefined =>
    windows.find(
      (w) =>
        w.kind === kind && w.key.hi === key.hi && w.key.lo === key.lo && w.start <= from && to <= w.start + w.length,
    );

  /** Begins a stretch, in place of that which was left alone for longest; what is begun ahead of need is not thrown away for more of it. */
  const open = (kind: DrawKind, key: Key, start: number, length: number, wanted: boolean): Window | undefined => {
    let free: Window | undefined;
    for (const w of windows)
      if ((w.wanted || wanted) && !(w.used >= (free?.used ?? Number.POSITIVE_INFINITY))) free = w;
    const high = Math.floor(start / WORDS_PER_HIGH);
    if (free === undefined || Math.floor((start + length - 1) / WORDS_PER_HIGH) !== high) return undefined;
    const low = (start / 2) % 2 ** 32;
    const { address, slot } = free;
    slot.start(
      loops,
      [
        {
          name: "bits",
          args: [key.hi, key.lo, high, low, address, PART / WORDS_PER_TURN],
          steps: [0, 0, 0, PART / 2, PART * BYTES, 0],
        },
        ...(kind === "bits"
          ? []
          : [{ name: kind, args: [address, PART / WORDS_TRANSFORMED], steps: [PART * BYTES, 0] }]),
      ],
      Math.ceil(length / PART),
    );
    return Object.assign(free, { kind, key, start, length, used: ++clock, wanted });
  };

  return {
    pool,
    covers: (kind, key, at, count) => covering(kind, key, at, at + count) !== undefined,
    read(kind, key, at, count, ahead) {
      // Counters give words in pairs.
      const even = at - (at % 2);
      const found = covering(kind, key, at, at + count) ?? open(kind, key, even, at + count - even, true);
      if (found === undefined) return undefined;
      const { slot, address, start } = found;
      found.used = ++clock;
      found.wanted = true;
      const place = { buffer: pool.memory.buffer as ArrayBuffer, byteOffset: address + (at - start) * BYTES };
      slot.finish(Math.ceil((at + count - start) / PART));
      const next = at + count;
      if (ahead > 0 && pool.helped() && covering(kind, key, next, next + 1) === undefined) {
        const from = next - (next % 2);
        open(kind, key, from, Math.min(WINDOW, next + ahead - from), false);
      }
      return place;
    },
    forget() {
      for (const w of windows) {
        if (w.wanted) continue;
        w.slot.drop();
        w.kind = undefined;
        w.wanted = true;
      }
    },
  };
}
