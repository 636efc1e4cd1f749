/**
 * Prefetch of many short ranges of draws as one job of a thread pool, while this thread does other things. Each range alone is too
 * short for {@link createReadAheadCache}; together they are worth a second thread. A draw is a function of key and index, so it has
 * the same bits whichever thread makes it.
 */
import type { Key } from "../key.ts";
import { isShared } from "../simd/assembler.ts";
import type { JobSlot } from "../simd/job-slot.ts";
import { type ThreadPool, threadPool } from "../simd/thread-pool.ts";
import { batchedLoops, FIELDS, ROW_WORDS } from "./batched-loops.ts";
import { WORDS_PER_HIGH, WORDS_PER_ITERATION, WORDS_PER_TRANSFORM } from "./loops.ts";

/** Draws `offset`, …, `offset + count − 1` of a stream. */
export interface DrawRange {
  readonly kind: "normal" | "uniform";
  readonly key: Key;
  readonly offset: number;
  readonly count: number;
}

/** Ranges under way. */
export interface PendingDraws {
  /** Copies range `i` to `out`, of its length. False when others were started since or a thread was lost: then it has to be drawn. */
  read(i: number, out: Float32Array): boolean;
  /** Nothing of it will be read any more. */
  cancel(): void;
}

/** Prefetches one list of ranges at a time. */
export interface Prefetcher {
  /** Whether there is a thread that would make draws while this one does other things. */
  hasWorkers(): boolean;
  /** Starts these ranges in place of those started before; undefined when they do not fit. */
  start(ranges: readonly DrawRange[]): PendingDraws | undefined;
}

const BYTES = 4;
/** Words of a row of the table, and on average of a part: they stay in the first-level cache from the generator to the draw. */
const CHUNK = 4096;
/** Words of all ranges, each rounded up to a whole iteration of the generator. */
const BUFFER_WORDS = (1 << 18) + (1 << 16);
const MAX_ROWS = 4096;
const MAX_PARTS = BUFFER_WORDS / CHUNK;

/** Where a range lies, in words of the buffer. */
interface BufferRange {
  readonly at: number;
  readonly count: number;
}

/** A table of arguments that has been written: a job of `parts` parts, each of `rowsPerPart` rows. */
interface WrittenTable {
  readonly places: readonly BufferRange[];
  readonly parts: number;
  readonly rowsPerPart: number;
}

/** Writes the rows of one range, from an even index on, into the table from row `first` on; its draws go to `address`. */
function writeRows(
  words: Int32Array,
  first: number,
  { kind, key }: DrawRange,
  even: number,
  length: number,
  address: number,
): void {
  const counterHi = Math.floor(even / WORDS_PER_HIGH);
  for (let from = 0, row = first * ROW_WORDS; from < length; from += CHUNK, row += ROW_WORDS) {
    const here = Math.min(CHUNK, length - from);
    words[row + FIELDS.keyHi] = key.hi;
    words[row + FIELDS.keyLo] = key.lo;
    words[row + FIELDS.counterHi] = counterHi;
    words[row + FIELDS.counterLo] = ((even + from) / 2) % 2 ** 32;
    words[row + FIELDS.address] = address + from * BYTES;
    words[row + FIELDS.bits] = Math.ceil(here / WORDS_PER_ITERATION);
    words[row + FIELDS.normal] = words[row + FIELDS.uniform] = 0;
    words[row + FIELDS[kind]] = Math.ceil(here / WORDS_PER_TRANSFORM);
  }
}

/** Lays the ranges out one after another in the buffer at address `buffer`; undefined when they do not fit. */
function writeTable(words: Int32Array, buffer: number, ranges: readonly DrawRange[]): WrittenTable | undefined {
  const places: BufferRange[] = [];
  let [used, rows] = [0, 0];
  for (const range of ranges) {
    const { offset, count } = range;
    // Counters give words in pairs.
    const even = offset - (offset % 2);
    const length = offset + count - even;
    if (Math.floor((even + length) / WORDS_PER_HIGH) !== Math.floor(even / WORDS_PER_HIGH)) return undefined;
    const chunks = Math.ceil(length / CHUNK);
    const iterations = Math.ceil(length / WORDS_PER_ITERATION);
    if (rows + chunks > MAX_ROWS || used + iterations * WORDS_PER_ITERATION > BUFFER_WORDS) return undefined;
    places.push({ at: used + offset - even, count });
    writeRows(words, rows, range, even, length, buffer + used * BYTES);
    rows += chunks;
    used += iterations * WORDS_PER_ITERATION;
  }
  if (rows === 0) return undefined;
  const rowsPerPart = Math.ceil(rows / Math.min(MAX_PARTS, Math.ceil(used / CHUNK)));
  const parts = Math.ceil(rows / rowsPerPart);
  // The last part may have fewer rows: those that follow are empty.
  if (parts * rowsPerPart > MAX_ROWS) return undefined;
  words.fill(0, rows * ROW_WORDS, parts * rowsPerPart * ROW_WORDS);
  return { places, parts, rowsPerPart };
}

/** Undefined when the pool has no slot left. */
export function createPrefetcher(pool: ThreadPool): Prefetcher | undefined {
  const slot: JobSlot | undefined = pool.acquireSlot();
  if (slot === undefined) return undefined;
  const loops = pool.link(batchedLoops());
  const [table, buffer] = [pool.allocate(MAX_ROWS * ROW_WORDS * BYTES), pool.allocate(BUFFER_WORDS * BYTES)];
  /** Which list is in the buffer. */
  let current = 0;

  return {
    hasWorkers: pool.hasWorkers,
    start(ranges) {
      // The table is read as long as a part is under way.
      slot.cancel();
      const list = ++current;
      const words = new Int32Array(pool.memory.buffer, table, MAX_ROWS * ROW_WORDS);
      const written = writeTable(words, buffer, ranges);
      if (written === undefined) return undefined;
      const { places, parts, rowsPerPart } = written;
      const stride = rowsPerPart * ROW_WORDS * BYTES;
      slot.submit(
        loops,
        loops.names.map((name) => ({ name, args: [table, rowsPerPart], strides: [stride, 0] })),
        parts,
      );
      return {
        read(i, out) {
          if (list !== current) return false;
          slot.wait();
          // A worker that was given up may still write.
          if (pool.isShutDown()) return false;
          const { at, count } = places[i] as BufferRange;
          out.set(new Float32Array(pool.memory.buffer, buffer + at * BYTES, count));
          return true;
        },
        cancel() {
          if (list !== current) return;
          slot.cancel();
          current++;
        },
      };
    },
  };
}

let shared: Prefetcher | undefined;
/** The pool to which `shared` belongs. */
let owner: ThreadPool | undefined;

/** The prefetcher of this thread's pool; undefined where no other thread will ever run. */
export function prefetcher(): Prefetcher | undefined {
  const pool = threadPool();
  if (pool === owner) return shared;
  owner = pool;
  shared = undefined;
  try {
    if (pool !== undefined && isShared(pool.memory)) shared = createPrefetcher(pool);
  } catch {
    // No memory: draws are made one range after another.
  }
  return shared;
}
