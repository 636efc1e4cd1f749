/**
 * Many short streams of draws made by a pool as one job, while this thread does other things: streams that are too short for windows,
 * but together are worth a second thread. A draw is a function of key and place, so that it matters not who makes it.
 */
import type { Key } from "../key.ts";
import { isShared } from "../simd/assembler.ts";
import { type Slot, type ThreadPool, threadPool } from "../simd/thread-pool.ts";
import { ENTRY_WORDS, FIELDS, listedLoops } from "./listed-loops.ts";
import { WORDS_PER_HIGH, WORDS_PER_TURN, WORDS_TRANSFORMED } from "./loops.ts";

/** Draws `offset`, …, `offset + count − 1` of a stream. */
export interface Stretch {
  readonly kind: "normal" | "uniform";
  readonly key: Key;
  readonly offset: number;
  readonly count: number;
}

/** Stretches under way. */
export interface Begun {
  /** Copies stretch `i`, as long as it is, to `out`. False when others were begun since or a thread was lost: then it has to be drawn. */
  read(i: number, out: Float32Array): boolean;
  /** Nobody wants them any more. */
  drop(): void;
}

/** Room for one list of stretches at a time. */
export interface Ahead {
  /** Whether there is a thread that would make draws while this one does other things. */
  helped(): boolean;
  /** Begins these in place of those that were begun before; undefined when they do not fit. */
  begin(stretches: readonly Stretch[]): Begun | undefined;
}

const BYTES = 4;
/** Words of an entry, and on average of a part: they stay in the first-level cache from the generator to the draw. */
const CHUNK = 4096;
/** Words of all stretches, each up to a whole turn of the generator. */
const ROOM = (1 << 18) + (1 << 16);
const MOST_ENTRIES = 4096;
/** Parts of a job, as boards have them. */
const MOST_PARTS = ROOM / CHUNK;

/** Where a stretch lies, in words of the room. */
interface Place {
  readonly at: number;
  readonly count: number;
}

/** Undefined when the pool has no slot left. */
export function createAhead(of: ThreadPool): Ahead | undefined {
  const slot: Slot | undefined = of.slot();
  if (slot === undefined) return undefined;
  const loops = of.link(listedLoops());
  const [table, room] = [of.reserve(MOST_ENTRIES * ENTRY_WORDS * BYTES), of.reserve(ROOM * BYTES)];
  /** Which list is in the room. */
  let current = 0;

  /** Writes the table of the stretches; undefined when they do not fit. */
  const layOut = (stretches: readonly Stretch[]) => {
    const words = new Int32Array(of.memory.buffer, table, MOST_ENTRIES * ENTRY_WORDS);
    const places: Place[] = [];
    let [used, entries] = [0, 0];
    for (const { kind, key, offset, count } of stretches) {
      // Counters give words in pairs.
      const even = offset - (offset % 2);
      const length = offset + count - even;
      const counterHi = Math.floor(even / WORDS_PER_HIGH);
      if (Math.floor((even + length) / WORDS_PER_HIGH) !== counterHi) return undefined;
      const chunks = Math.ceil(length / CHUNK);
      const turns = Math.ceil(length / WORDS_PER_TURN);
      if (entries + chunks > MOST_ENTRIES || used + turns * WORDS_PER_TURN > ROOM) return undefined;
      places.push({ at: used + offset - even, count });
      for (let from = 0; from < length; from += CHUNK) {
        const here = Math.min(CHUNK, length - from);
        const entry = entries++ * ENTRY_WORDS;
        words[entry + FIELDS.keyHi] = key.hi;
        words[entry + FIELDS.keyLo] = key.lo;
        words[entry + FIELDS.counterHi] = counterHi;
        words[entry + FIELDS.counterLo] = ((even + from) / 2) % 2 ** 32;
        words[entry + FIELDS.address] = room + (used + from) * BYTES;
        words[entry + FIELDS.bits] = Math.ceil(here / WORDS_PER_TURN);
        words[entry + FIELDS.normal] = words[entry + FIELDS.uniform] = 0;
        words[entry + FIELDS[kind]] = Math.ceil(here / WORDS_TRANSFORMED);
      }
      used += turns * WORDS_PER_TURN;
    }
    if (entries === 0) return undefined;
    const each = Math.ceil(entries / Math.min(MOST_PARTS, Math.ceil(used / CHUNK)));
    const parts = Math.ceil(entries / each);
    // The last part may have fewer entries: those that follow are empty.
    if (parts * each > MOST_ENTRIES) return undefined;
    words.fill(0, entries * ENTRY_WORDS, parts * each * ENTRY_WORDS);
    return { places, parts, each };
  };

  return {
    helped: of.helped,
    begin(stretches) {
      // The table is read as long as a part is under way.
      slot.drop();
      const list = ++current;
      const laid = layOut(stretches);
      if (laid === undefined) return undefined;
      const { places, parts, each } = laid;
      const step = each * ENTRY_WORDS * BYTES;
      slot.start(
        loops,
        loops.names.map((name) => ({ name, args: [table, each], steps: [step, 0] })),
        parts,
      );
      return {
        read(i, out) {
          if (list !== current) return false;
          slot.finish();
          // A helper that was given up may still write.
          if (of.dismissed()) return false;
          const { at, count } = places[i] as Place;
          out.set(new Float32Array(of.memory.buffer, room + at * BYTES, count));
          return true;
        },
        drop() {
          if (list !== current) return;
          slot.drop();
          current++;
        },
      };
    },
  };
}

let room: Ahead | undefined;
/** The pool that has been asked for room. */
let asked: ThreadPool | undefined;

/** The room of this thread's pool; undefined where no other thread will ever help. */
export function ahead(): Ahead | undefined {
  const now = threadPool();
  if (now === asked) return room;
  asked = now;
  room = undefined;
  try {
    if (now !== undefined && isShared(now.memory)) room = createAhead(now);
  } catch {
    // No memory: draws are made one stream after another.
  }
  return room;
}
