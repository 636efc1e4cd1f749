/** Thread pools: the same results with helpers and without, whatever becomes of them. */
import { describe, expect, it } from "vitest";
import { i32, repeat, wasmFunction } from "./assembler.ts";
import { MOST_PARTS, SLOTS } from "./job-queue.ts";
import { createThreadPool, type Linked, type Slot, type ThreadPool } from "./thread-pool.ts";

/** `square(part, address)`. */
const square = wasmFunction("square", ["i32", "i32"], ([part, at]) => i32.store(at.get, i32.mul(part.get, part.get)));
/** `plus(address, address of an addend)`: ends the thread where the second lies outside the memory. */
const plus = wasmFunction("plus", ["i32", "i32"], ([at, addend]) =>
  i32.store(at.get, i32.add(i32.load(at.get), i32.load(i32.load(addend.get)))),
);
/** `hang(address)`: goes round until the word is not 0. */
const hang = wasmFunction("hang", ["i32"], ([at]) => repeat([], i32.eqz(i32.load(at.get))));

const WORD = 4;
const PARTS = 500;

interface Bench {
  readonly pool: ThreadPool;
  readonly slot: Slot;
  readonly loops: Linked;
  readonly out: number;
  readonly words: (at: number, length: number) => Int32Array;
}

function bench(helpers: number): Bench {
  const pool = createThreadPool(helpers, 0);
  const loops = pool.link([square, plus, hang]);
  const slot = pool.slot();
  if (slot === undefined) throw new Error("a new pool has a slot");
  const out = pool.reserve(PARTS * WORD);
  return { pool, slot, loops, out, words: (at, length) => new Int32Array(pool.memory.buffer, at, length) };
}

const squares = (parts: number): number[] => Array.from({ length: parts }, (_, i) => i * i);

function startSquares({ slot, loops, out }: Bench, parts = PARTS): void {
  slot.start(loops, [{ name: "square", args: [0, out], steps: [1, WORD] }], parts);
}

/** Turns of the event loop until a condition holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function helpedBench(): Promise<Bench> {
  const here = bench(1);
  startSquares(here);
  await until(here.pool.helped);
  here.slot.finish();
  return here;
}

describe("a pool", () => {
  it.each([0, 1, 2])("of this thread and %i helpers does every part once", async (helpers) => {
    const here = bench(helpers);
    for (let round = 0; round < 200; round++) {
      here.words(here.out, PARTS).fill(-1);
      startSquares(here);
      here.slot.finish();
      expect([...here.words(here.out, PARTS)]).toEqual(squares(PARTS));
      // Helpers come between rounds.
      if (round === 10 && helpers > 0) await until(here.pool.helped);
    }
    expect(here.pool.helped()).toBe(helpers > 0);
    here.pool.dismiss();
  });

  it("works while its owner does other things", async () => {
    const here = await helpedBench();
    here.words(here.out, PARTS).fill(-1);
    startSquares(here);
    await until(() => here.words(here.out, PARTS).every((word) => word >= 0));
    here.slot.finish();
    expect([...here.words(here.out, PARTS)]).toEqual(squares(PARTS));
    here.pool.dismiss();
  });

  it("finishes as much of a job as is asked for, and drops the rest", () => {
    const here = bench(0);
    here.words(here.out, PARTS).fill(-1);
    startSquares(here);
    here.slot.finish(3);
    here.slot.drop();
    here.slot.finish();
    expect([...here.words(here.out, 5)]).toEqual([0, 1, 4, -1, -1]);
  });

  it("takes modules that come after its helpers", async () => {
    const here = await helpedBench();
    const later = here.pool.link([square]);
    here.slot.start(later, [{ name: "square", args: [1, here.out], steps: [2, WORD] }], 100);
    await until(() => here.words(here.out, 100)[99] === 199 ** 2);
    here.slot.finish();
    expect([...here.words(here.out, 3)]).toEqual([1, 9, 25]);
    here.pool.dismiss();
  });

  it("keeps jobs in other slots apart", async () => {
    const here = await helpedBench();
    const other = here.pool.slot() as Slot;
    const out = here.pool.reserve(PARTS * WORD);
    other.start(here.loops, [{ name: "square", args: [1000, out], steps: [0, WORD] }], PARTS);
    startSquares(here);
    here.slot.finish();
    other.finish();
    expect([...here.words(here.out, PARTS)]).toEqual(squares(PARTS));
    expect(new Set(here.words(out, PARTS))).toEqual(new Set([1_000_000]));
    here.pool.dismiss();
  });

  it("goes on alone when a helper dies in the middle of a part", async () => {
    const here = await helpedBench();
    const { slot, loops, out, words } = here;
    const addend = here.pool.reserve(64);
    words(out, PARTS).fill(5);
    words(addend, 2).set([-8, 7]);
    slot.start(loops, [{ name: "plus", args: [out, addend], steps: [WORD, 0] }], PARTS);
    await until(() => !here.pool.helped());
    // Nothing has been added yet; from here on it can be.
    words(addend, 1)[0] = addend + WORD;
    slot.finish();
    expect([...words(out, PARTS)]).toEqual(Array(PARTS).fill(12));
    startSquares(here);
    slot.finish();
    expect([...words(out, PARTS)]).toEqual(squares(PARTS));
    expect(here.pool.dismissed()).toBe(false);
  });

  it("gives up a helper that hangs, and does its part", async () => {
    const here = await helpedBench();
    const { slot, loops, out, words } = here;
    const gate = here.pool.reserve(2 * WORD);
    // The helper goes round in a part until it is ended; this thread does not, as it finds the word set.
    slot.start(loops, [{ name: "hang", args: [gate], steps: [0] }], 8);
    await new Promise((resolve) => setTimeout(resolve, 50));
    here.pool.dismiss();
    words(gate, 1)[0] = 1;
    slot.finish();
    expect(here.pool.dismissed()).toBe(true);
    expect(here.pool.helped()).toBe(false);
    startSquares(here, 10);
    slot.finish();
    expect([...words(out, 10)]).toEqual(squares(10));
  });

  it("has slots and parts up to a number", () => {
    const { pool, slot, loops } = bench(0);
    for (let i = 1; i < SLOTS; i++) expect(pool.slot()).toBeDefined();
    expect(pool.slot()).toBeUndefined();
    expect(() => slot.start(loops, [], MOST_PARTS + 1)).toThrow(RangeError);
  });

  it("keeps what was reserved apart, and grows", () => {
    const { pool } = bench(0);
    const [a, b] = [pool.reserve(1 << 20), pool.reserve(1 << 20)];
    expect(b - a).toBeGreaterThanOrEqual(1 << 20);
    expect(pool.memory.buffer.byteLength).toBeGreaterThanOrEqual(b + (1 << 20));
  });
});
