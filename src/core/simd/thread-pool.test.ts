/** The thread pool: the same results with workers and without, also when a worker dies or hangs. */
import { describe, expect, it } from "vitest";
import { wasmFunction } from "./assembler.ts";
import { i32, repeat } from "./instructions.ts";
import { MAX_JOBS, MAX_PARTS } from "./job-queue.ts";
import type { JobSlot, LinkedModule } from "./job-slot.ts";
import { createThreadPool, type ThreadPool } from "./thread-pool.ts";

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
  readonly slot: JobSlot;
  readonly loops: LinkedModule;
  readonly out: number;
  readonly words: (at: number, length: number) => Int32Array;
}

function bench(workers: number): Bench {
  const pool = createThreadPool(workers, 0);
  const loops = pool.link([square, plus, hang]);
  const slot = pool.acquireSlot();
  if (slot === undefined) throw new Error("a new pool has a slot");
  const out = pool.allocate(PARTS * WORD);
  return { pool, slot, loops, out, words: (at, length) => new Int32Array(pool.memory.buffer, at, length) };
}

const squares = (parts: number): number[] => Array.from({ length: parts }, (_, i) => i * i);

function startSquares({ slot, loops, out }: Bench, parts = PARTS): void {
  slot.submit(loops, [{ name: "square", args: [0, out], strides: [1, WORD] }], parts);
}

/** Turns of the event loop until a condition holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function benchWithWorker(): Promise<Bench> {
  const here = bench(1);
  startSquares(here);
  await until(here.pool.hasWorkers);
  here.slot.wait();
  return here;
}

describe("a pool", () => {
  it.each([0, 1, 2])("of this thread and %i workers does every part once", async (workers) => {
    const here = bench(workers);
    for (let round = 0; round < 200; round++) {
      here.words(here.out, PARTS).fill(-1);
      startSquares(here);
      here.slot.wait();
      expect([...here.words(here.out, PARTS)]).toEqual(squares(PARTS));
      // Workers start between rounds.
      if (round === 10 && workers > 0) await until(here.pool.hasWorkers);
    }
    expect(here.pool.hasWorkers()).toBe(workers > 0);
    here.pool.shutDown();
  });

  it("works while this thread does other things", async () => {
    const here = await benchWithWorker();
    here.words(here.out, PARTS).fill(-1);
    startSquares(here);
    await until(() => here.words(here.out, PARTS).every((word) => word >= 0));
    here.slot.wait();
    expect([...here.words(here.out, PARTS)]).toEqual(squares(PARTS));
    here.pool.shutDown();
  });

  it("finishes as much of a job as is asked for, and cancels the rest", () => {
    const here = bench(0);
    here.words(here.out, PARTS).fill(-1);
    startSquares(here);
    here.slot.wait(3);
    here.slot.cancel();
    here.slot.wait();
    expect([...here.words(here.out, 5)]).toEqual([0, 1, 4, -1, -1]);
  });

  it("takes modules that come after its workers", async () => {
    const here = await benchWithWorker();
    const later = here.pool.link([square]);
    here.slot.submit(later, [{ name: "square", args: [1, here.out], strides: [2, WORD] }], 100);
    await until(() => here.words(here.out, 100)[99] === 199 ** 2);
    here.slot.wait();
    expect([...here.words(here.out, 3)]).toEqual([1, 9, 25]);
    here.pool.shutDown();
  });

  it("keeps jobs in other slots apart", async () => {
    const here = await benchWithWorker();
    const other = here.pool.acquireSlot() as JobSlot;
    const out = here.pool.allocate(PARTS * WORD);
    other.submit(here.loops, [{ name: "square", args: [1000, out], strides: [0, WORD] }], PARTS);
    startSquares(here);
    here.slot.wait();
    other.wait();
    expect([...here.words(here.out, PARTS)]).toEqual(squares(PARTS));
    expect(new Set(here.words(out, PARTS))).toEqual(new Set([1_000_000]));
    here.pool.shutDown();
  });

  it("goes on when a worker dies in the middle of a part", async () => {
    const here = await benchWithWorker();
    const { slot, loops, out, words } = here;
    const addend = here.pool.allocate(64);
    words(out, PARTS).fill(5);
    words(addend, 2).set([-8, 7]);
    slot.submit(loops, [{ name: "plus", args: [out, addend], strides: [WORD, 0] }], PARTS);
    await until(() => !here.pool.hasWorkers());
    // Nothing has been added yet; from here on it can be.
    words(addend, 1)[0] = addend + WORD;
    slot.wait();
    expect([...words(out, PARTS)]).toEqual(Array(PARTS).fill(12));
    startSquares(here);
    slot.wait();
    expect([...words(out, PARTS)]).toEqual(squares(PARTS));
    expect(here.pool.isShutDown()).toBe(false);
  });

  it("gives up a worker that hangs, and does its part", async () => {
    const here = await benchWithWorker();
    const { slot, loops, out, words } = here;
    const gate = here.pool.allocate(2 * WORD);
    // The worker goes round in a part until it is ended; this thread does not, as it finds the word set.
    slot.submit(loops, [{ name: "hang", args: [gate], strides: [0] }], 8);
    await new Promise((resolve) => setTimeout(resolve, 50));
    here.pool.shutDown();
    words(gate, 1)[0] = 1;
    slot.wait();
    expect(here.pool.isShutDown()).toBe(true);
    expect(here.pool.hasWorkers()).toBe(false);
    startSquares(here, 10);
    slot.wait();
    expect([...words(out, 10)]).toEqual(squares(10));
  });

  it("has slots and parts up to a number", () => {
    const { pool, slot, loops } = bench(0);
    for (let i = 1; i < MAX_JOBS; i++) expect(pool.acquireSlot()).toBeDefined();
    expect(pool.acquireSlot()).toBeUndefined();
    expect(() => slot.submit(loops, [], MAX_PARTS + 1)).toThrow(RangeError);
  });

  it("keeps what was reserved apart, and grows", () => {
    const { pool } = bench(0);
    const [a, b] = [pool.allocate(1 << 20), pool.allocate(1 << 20)];
    expect(b - a).toBeGreaterThanOrEqual(1 << 20);
    expect(pool.memory.buffer.byteLength).toBeGreaterThanOrEqual(b + (1 << 20));
  });
});
