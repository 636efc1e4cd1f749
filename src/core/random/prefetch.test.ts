/** Prefetched ranges of draws: the same bits as drawn one range after another, with workers and without. */
import { describe, expect, it } from "vitest";
import { fold, type Key, rootKey } from "../key.ts";
import { createThreadPool } from "../simd/thread-pool.ts";
import { normal, uniform } from "./draws.ts";
import { createPrefetcher, type DrawRange, type PendingDraws, type Prefetcher } from "./prefetch.ts";

const key = rootKey("prefetch");
const DRAW = { normal, uniform };
const bitsOf = (x: Float32Array) => [...new Uint32Array(x.slice().buffer)];
const plain = ({ kind, key: of, count, offset }: DrawRange) => bitsOf(DRAW[kind](of, count, offset));

function found(pending: PendingDraws | undefined, ranges: readonly DrawRange[]): (number[] | undefined)[] {
  return ranges.map(({ count }, i) => {
    const out = new Float32Array(count);
    return pending?.read(i, out) ? bitsOf(out) : undefined;
  });
}

/** `steps` steps of streams under several names, as samplers have them. */
function listOf(
  from: Key,
  steps: number,
  ...sizes: readonly (readonly [DrawRange["kind"], number, number])[]
): DrawRange[] {
  return sizes.flatMap(([kind, offset, count], s) =>
    Array.from({ length: steps }, (_, i) => ({ kind, key: fold(fold(from, i), `site ${s}`), offset, count })),
  );
}

const LISTS: readonly (readonly [string, readonly DrawRange[]])[] = [
  ["a site and decisions", listOf(key, 20, ["normal", 0, 6400], ["uniform", 0, 64])],
  ["sites from odd places", listOf(key, 7, ["normal", 1, 4096], ["normal", 4095, 8193], ["uniform", 12_345, 1])],
  ["many short ones", listOf(key, 500, ["normal", 3, 5], ["uniform", 0, 3], ["normal", 0, 1])],
  ["a long one, far out", listOf(key, 1, ["normal", 2 ** 34 + 1, 200_000])],
  ["some that are empty", listOf(key, 3, ["normal", 0, 0], ["uniform", 5, 40], ["normal", 7, 0])],
];

async function prefetcherOf(workers: number) {
  const pool = createThreadPool(workers, 0);
  const prefetch = createPrefetcher(pool);
  if (prefetch === undefined) throw new Error("a new pool has a slot");
  prefetch.start(LISTS[0]?.[1] as readonly DrawRange[]);
  while (workers > 0 && !pool.hasWorkers()) await new Promise((resolve) => setTimeout(resolve, 1));
  return { pool, prefetch };
}

const startList = (prefetch: Prefetcher, list: readonly DrawRange[]): PendingDraws => {
  const pending = prefetch.start(list);
  if (pending === undefined) throw new Error("the list fits");
  return pending;
};

describe.each([0, 1, 2])("ranges prefetched by a pool with %i workers", (workers) => {
  it("are draws made one after another, bit for bit", async () => {
    const { pool, prefetch } = await prefetcherOf(workers);
    for (const [, list] of [...LISTS, ...LISTS]) {
      const pending = startList(prefetch, list);
      // In every other round a worker may be done before.
      if (list.length % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      expect(found(pending, list)).toEqual(list.map(plain));
    }
    expect(prefetch.hasWorkers()).toBe(workers > 0);
    pool.shutDown();
  });

  it("cannot be read when others were started, or they were cancelled", async () => {
    const { pool, prefetch } = await prefetcherOf(workers);
    const [first, second] = [LISTS[0]?.[1], LISTS[1]?.[1]] as [DrawRange[], DrawRange[]];
    const old = startList(prefetch, first);
    const now = startList(prefetch, second);
    expect(found(old, first).every((x) => x === undefined)).toBe(true);
    // It is no longer there to be cancelled.
    old.cancel();
    expect(found(now, second)).toEqual(second.map(plain));
    now.cancel();
    expect(found(now, second).every((x) => x === undefined)).toBe(true);
    pool.shutDown();
  });

  it("cannot be read from a pool that was shut down", async () => {
    const { pool, prefetch } = await prefetcherOf(workers);
    const list = LISTS[0]?.[1] as readonly DrawRange[];
    const pending = startList(prefetch, list);
    pool.shutDown();
    expect(found(pending, list).every((x) => x === undefined)).toBe(true);
  });
});

describe("a list", () => {
  it("that has too much, too many or nothing, or lies across two upper halves of the counter, is not started", async () => {
    const { prefetch } = await prefetcherOf(0);
    expect(prefetch.start(listOf(key, 100, ["normal", 0, 4096]))).toBeUndefined();
    expect(prefetch.start(listOf(key, 5000, ["uniform", 0, 1]))).toBeUndefined();
    expect(prefetch.start([])).toBeUndefined();
    expect(prefetch.start(listOf(key, 1, ["normal", 2 ** 33 - 10, 20]))).toBeUndefined();
    const list = LISTS[0]?.[1] as readonly DrawRange[];
    expect(found(prefetch.start(list), list)).toEqual(list.map(plain));
  });

  it("needs a slot", () => {
    const pool = createThreadPool(0);
    while (pool.acquireSlot() !== undefined);
    expect(createPrefetcher(pool)).toBeUndefined();
  });
});
