/** Draws by a thread pool: the same bits as without one, however they are requested. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Key, rootKey } from "../key.ts";
import { createThreadPool } from "../simd/thread-pool.ts";
import { type BulkDraw, bits, exponential, gumbel, normal, readAhead, uniform } from "./draws.ts";
import { createReadAheadCache, type DrawKind, MAX_READ, type MemoryView, type ReadAheadCache } from "./read-ahead.ts";

const key = rootKey("read-ahead");
const KINDS: readonly DrawKind[] = ["bits", "uniform", "normal", "exponential", "gumbel"];
const DRAWS = { bits, uniform, normal, exponential, gumbel };
/** So few at a time are drawn without a pool. */
const FEW = 10_000;

/** The words of draws made few at a time. */
function plain(kind: DrawKind, of: Key, at: number, count: number): Uint32Array {
  const out = new Uint32Array(count);
  for (let done = 0; done < count; done += FEW) {
    const some = DRAWS[kind](of, Math.min(FEW, count - done), at + done);
    out.set(new Uint32Array(some.buffer), done);
  }
  return out;
}

const wordsAt = ({ buffer, byteOffset }: MemoryView, count: number) => new Uint32Array(buffer, byteOffset, count);
/** Typed arrays are compared as bytes: element by element would take seconds. */
const same = (a: Uint32Array, b: Uint32Array): boolean =>
  a.length === b.length && Buffer.compare(Buffer.from(a.slice().buffer), Buffer.from(b.slice().buffer)) === 0;

async function cacheOf(workers: number): Promise<ReadAheadCache> {
  const pool = createThreadPool(workers, 0);
  const cache = createReadAheadCache(pool);
  if (cache === undefined) throw new Error("a new pool has slots");
  cache.read("normal", key, 0, MAX_READ, 0);
  while (workers > 0 && !pool.hasWorkers()) await new Promise((resolve) => setTimeout(resolve, 1));
  return cache;
}

describe.each([0, 1, 2])("the buffers of a pool with %i workers", (workers) => {
  it("hold the same draws, from any place", async () => {
    const cache = await cacheOf(workers);
    for (const kind of KINDS) {
      for (const [at, count] of [
        [0, 4097],
        [12_345, 70_001],
        [2 ** 33 - 100_000, 90_000],
        [2 ** 34 + 1, 5],
        [7, MAX_READ],
      ] as const) {
        const found = cache.read(kind, key, at, count, 0) as MemoryView;
        expect(same(wordsAt(found, count), plain(kind, key, at, count))).toBe(true);
      }
    }
    cache.pool.shutDown();
  });

  it("hold the same draws when these are started ahead, by several readers at once", async () => {
    const cache = await cacheOf(workers);
    const sites = [1, 2, 3, 4, 5].map((seed) => ({ key: rootKey(seed), size: 10_001 + 2000 * seed }));
    for (let chunk = 0; chunk < 6; chunk++) {
      for (const { key: own, size } of sites) {
        const found = cache.read("gumbel", own, chunk * size, size, 5 * size) as MemoryView;
        expect(same(wordsAt(found, size), plain("gumbel", own, chunk * size, size))).toBe(true);
      }
    }
    cache.discardUnread();
    const found = cache.read("bits", key, 3, MAX_READ, 0) as MemoryView;
    expect(same(wordsAt(found, MAX_READ), plain("bits", key, 3, MAX_READ))).toBe(true);
    cache.pool.shutDown();
  });

  it("start nothing ahead without workers, and find again what was started", async () => {
    const cache = await cacheOf(workers);
    const own = rootKey("own");
    cache.read("normal", own, 0, 1000, 1000);
    expect(cache.covers("normal", own, 1000, 1000)).toBe(workers > 0);
    expect(cache.covers("normal", key, 1000, MAX_READ)).toBe(false);
    cache.discardUnread();
    expect(cache.covers("normal", own, 1000, 1000)).toBe(false);
    expect(cache.covers("normal", own, 0, 1000)).toBe(true);
    cache.pool.shutDown();
  });
});

describe("read-ahead", () => {
  it("leaves a view as it was read, whatever is started after it", () => {
    const request = fc.record({
      stream: fc.nat(4),
      at: fc.nat(12),
      count: fc.integer({ min: 2, max: 12 }),
      ahead: fc.nat(12),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 40 }), (requests) => {
        // No worker: what is started ahead is made when it is read.
        const cache = createReadAheadCache({ ...createThreadPool(0), hasWorkers: () => true }) as ReadAheadCache;
        for (const { stream, at, count, ahead } of requests) {
          const own = rootKey(stream);
          const view = cache.read("bits", own, at, count, ahead) as MemoryView;
          expect(cache.covers("bits", own, at, count)).toBe(true);
          expect(same(wordsAt(view, count), plain("bits", own, at, count))).toBe(true);
        }
      }),
    );
  });

  it("leave to others what lies across two upper halves of the counter", async () => {
    const cache = await cacheOf(0);
    expect(cache.read("bits", key, 2 ** 33 - 10, 20, 0)).toBeUndefined();
  });
});

describe("large draws", () => {
  const BULK: readonly (readonly [Exclude<DrawKind, "bits">, BulkDraw])[] = [
    ["uniform", uniform],
    ["normal", normal],
    ["exponential", exponential],
    ["gumbel", gumbel],
  ];
  const words = (x: Float32Array) => new Uint32Array(x.slice().buffer);

  it.each(BULK)("%s: are many small ones", (kind, draw) => {
    for (const [n, offset] of [
      [1_000_003, 0],
      [100_000, 2 ** 33 - 50_001],
      [70_000, 2 ** 40 + 1],
    ] as const) {
      expect(same(words(draw(key, n, offset)), plain(kind, key, offset, n))).toBe(true);
    }
    expect(same(bits(key, 600_000, 5), plain("bits", key, 5, 600_000))).toBe(true);
  });

  it.each(BULK)("%s: are the same as views, and while a sampler reads ahead", (kind, draw) => {
    const stop = readAhead();
    try {
      for (const [n, offset] of [
        [100_000, 0],
        [100_000, 100_000],
        [9000, 200_000],
        [MAX_READ, 1],
        [MAX_READ + 1, 3],
        [9, 8],
      ] as const) {
        const expected = plain(kind, key, offset, n);
        expect(same(words(draw.scratch(key, n, offset)), expected)).toBe(true);
        expect(same(words(draw(key, n, offset)), expected)).toBe(true);
      }
    } finally {
      stop();
    }
    stop();
  });

  it("belong to whoever asked", () => {
    const first = normal(key, 100_000);
    const kept = first.slice();
    normal(rootKey("next"), 1_000_000);
    expect(first).toEqual(kept);
    expect(first.buffer).toBeInstanceOf(ArrayBuffer);
    expect(first.buffer.byteLength).toBe(first.byteLength);
  });
});
