/**
 * Large draws by a thread pool: a few buffers in its memory, each holding a contiguous range of one stream of draws. A draw is a
 * function of key and index, so its parts can be made by any thread, and ahead of the request where a sampler says that it reads on.
 */
import type { Key } from "../key.ts";
import type { JobSlot, LoopCall } from "../simd/job-slot.ts";
import type { ThreadPool } from "../simd/thread-pool.ts";
import { LOOPS, WORDS_PER_HIGH, WORDS_PER_ITERATION, WORDS_PER_TRANSFORM } from "./loops.ts";

/** The transform that random words are put through; `bits` for none. */
export type DrawKind = "bits" | "uniform" | "normal" | "exponential" | "gumbel";

/** Most draws of one request. */
export const MAX_READ = 1 << 18;
/** Words of a part: they stay in the first-level cache from the generator to the draw. A buffer begins at an even index. */
const PART_WORDS = 4096;
const BUFFER_WORDS = MAX_READ + PART_WORDS;
const BUFFERS = 4;
const BYTES = 4;

/** A contiguous range of a stream of draws. */
interface StreamBuffer {
  readonly slot: JobSlot;
  readonly address: number;
  kind: DrawKind | undefined;
  key: Key;
  start: number;
  length: number;
  lastUsed: number;
  /** Whether any of it has been read. */
  requested: boolean;
}

/** Where draws lie: valid until the next read. */
export interface MemoryView {
  readonly buffer: ArrayBuffer;
  readonly byteOffset: number;
}

/** Draws in the memory of a pool; the least recently used buffer is filled next. */
export interface ReadAheadCache {
  readonly pool: ThreadPool;
  /**
   * Draws `at`, …, `at + count − 1` of a stream, at most {@link MAX_READ}; undefined where counters overflow.
   *
   * @param ahead - How many of the draws after these are to be started, if there is a worker for them.
   */
  read(kind: DrawKind, key: Key, at: number, count: number, ahead: number): MemoryView | undefined;
  /** Whether the draws are there or under way. */
  covers(kind: DrawKind, key: Key, at: number, count: number): boolean;
  /** Cancels what was started ahead and has not been read. */
  discardUnread(): void;
}

/** Empty buffers; undefined when the pool has too few slots left. */
function createBuffers(pool: ThreadPool): readonly StreamBuffer[] | undefined {
  const buffers: StreamBuffer[] = [];
  for (let i = 0; i < BUFFERS; i++) {
    const slot = pool.acquireSlot();
    if (slot === undefined) return undefined;
    const address = pool.allocate(BUFFER_WORDS * BYTES);
    const empty = { kind: undefined, key: { hi: 0, lo: 0 }, start: 0, length: 0, lastUsed: 0, requested: true };
    buffers.push({ slot, address, ...empty });
  }
  return buffers;
}

/** Whether the range in a buffer, made or under way, has draws `from` to before `to` of a stream. */
const holds = (b: StreamBuffer, kind: DrawKind, key: Key, from: number, to: number): boolean =>
  b.kind === kind && b.key.hi === key.hi && b.key.lo === key.lo && b.start <= from && to <= b.start + b.length;

/** The loops that make one part after another of a range, from an even counter on; undefined where the counter overflows. */
function loopCalls(kind: DrawKind, key: Key, at: number, length: number, address: number): LoopCall[] | undefined {
  const high = Math.floor(at / WORDS_PER_HIGH);
  if (Math.floor((at + length - 1) / WORDS_PER_HIGH) !== high) return undefined;
  const low = (at / 2) % 2 ** 32;
  const bits = {
    name: "bits",
    args: [key.hi, key.lo, high, low, address, PART_WORDS / WORDS_PER_ITERATION],
    strides: [0, 0, 0, PART_WORDS / 2, PART_WORDS * BYTES, 0],
  };
  if (kind === "bits") return [bits];
  return [bits, { name: kind, args: [address, PART_WORDS / WORDS_PER_TRANSFORM], strides: [PART_WORDS * BYTES, 0] }];
}

/** Undefined when the pool has too few slots left. */
export function createReadAheadCache(pool: ThreadPool): ReadAheadCache | undefined {
  const loops = pool.link(LOOPS);
  const buffers = createBuffers(pool);
  if (buffers === undefined) return undefined;
  let clock = 0;

  const find = (kind: DrawKind, key: Key, from: number, to: number): StreamBuffer | undefined =>
    buffers.find((b) => holds(b, kind, key, from, to));

  /**
   * Starts a range in the least recently used buffer. One that is started `after` a buffer is ahead of need: it takes neither that
   * buffer, whose view is being returned, nor one that was started ahead itself and is unread.
   */
  const start = (
    kind: DrawKind,
    key: Key,
    at: number,
    length: number,
    after?: StreamBuffer,
  ): StreamBuffer | undefined => {
    let free: StreamBuffer | undefined;
    for (const b of buffers) {
      const mayTake = after === undefined || (b.requested && b !== after);
      if (mayTake && b.lastUsed < (free?.lastUsed ?? Number.POSITIVE_INFINITY)) free = b;
    }
    const calls = free && loopCalls(kind, key, at, length, free.address);
    if (free === undefined || calls === undefined) return undefined;
    free.slot.submit(loops, calls, Math.ceil(length / PART_WORDS));
    const requested = after === undefined;
    return Object.assign(free, { kind, key, start: at, length, lastUsed: ++clock, requested });
  };

  return {
    pool,
    covers: (kind, key, at, count) => find(kind, key, at, at + count) !== undefined,
    read(kind, key, at, count, ahead) {
      // Counters give words in pairs.
      const even = at - (at % 2);
      const found = find(kind, key, at, at + count) ?? start(kind, key, even, at + count - even);
      if (found === undefined) return undefined;
      const { slot, address } = found;
      found.lastUsed = ++clock;
      found.requested = true;
      const view = { buffer: pool.memory.buffer as ArrayBuffer, byteOffset: address + (at - found.start) * BYTES };
      slot.wait(Math.ceil((at + count - found.start) / PART_WORDS));
      const next = at + count;
      if (ahead > 0 && pool.hasWorkers() && find(kind, key, next, next + 1) === undefined) {
        const from = next - (next % 2);
        start(kind, key, from, Math.min(BUFFER_WORDS, next + ahead - from), found);
      }
      return view;
    },
    discardUnread() {
      for (const b of buffers) {
        if (b.requested) continue;
        b.slot.cancel();
        b.kind = undefined;
        b.requested = true;
      }
    },
  };
}
