/** Lists of stretches made by a pool: the bits of draws one stream after another, with helpers and without. */
import { describe, expect, it } from "vitest";
import { fold, type Key, rootKey } from "../key.ts";
import { createThreadPool } from "../simd/thread-pool.ts";
import { type Ahead, type Begun, createAhead, type Stretch } from "./ahead.ts";
import { normal, uniform } from "./draws.ts";

const key = rootKey("ahead");
const DRAW = { normal, uniform };
const bitsOf = (x: Float32Array) => [...new Uint32Array(x.slice().buffer)];
const plain = ({ kind, key: of, count, offset }: Stretch) => bitsOf(DRAW[kind](of, count, offset));

function found(begun: Begun | undefined, stretches: readonly Stretch[]): (number[] | undefined)[] {
  return stretches.map(({ count }, i) => {
    const out = new Float32Array(count);
    return begun?.read(i, out) ? bitsOf(out) : undefined;
  });
}

/** `steps` steps of streams under several names, as samplers have them. */
function listOf(
  from: Key,
  steps: number,
  ...sizes: readonly (readonly [Stretch["kind"], number, number])[]
): Stretch[] {
  return sizes.flatMap(([kind, offset, count], s) =>
    Array.from({ length: steps }, (_, i) => ({ kind, key: fold(fold(from, i), `site ${s}`), offset, count })),
  );
}

const LISTS: readonly (readonly [string, readonly Stretch[]])[] = [
  ["a site and decisions", listOf(key, 20, ["normal", 0, 6400], ["uniform", 0, 64])],
  ["sites from odd places", listOf(key, 7, ["normal", 1, 4096], ["normal", 4095, 8193], ["uniform", 12_345, 1])],
  ["many short ones", listOf(key, 500, ["normal", 3, 5], ["uniform", 0, 3], ["normal", 0, 1])],
  ["a long one, far out", listOf(key, 1, ["normal", 2 ** 34 + 1, 200_000])],
  ["some that are empty", listOf(key, 3, ["normal", 0, 0], ["uniform", 5, 40], ["normal", 7, 0])],
];

async function roomOf(helpers: number) {
  const pool = createThreadPool(helpers, 0);
  const room = createAhead(pool);
  if (room === undefined) throw new Error("a new pool has room");
  room.begin(LISTS[0]?.[1] as readonly Stretch[]);
  while (helpers > 0 && !pool.helped()) await new Promise((resolve) => setTimeout(resolve, 1));
  return { pool, room };
}

const begin = (room: Ahead, list: readonly Stretch[]): Begun => {
  const begun = room.begin(list);
  if (begun === undefined) throw new Error("the list fits");
  return begun;
};

describe.each([0, 1, 2])("stretches made by a pool with %i helpers", (helpers) => {
  it("are draws made one after another, bit for bit", async () => {
    const { pool, room } = await roomOf(helpers);
    for (const [, list] of [...LISTS, ...LISTS]) {
      const begun = begin(room, list);
      // In every other round a helper may be done before.
      if (list.length % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      expect(found(begun, list)).toEqual(list.map(plain));
    }
    expect(room.helped()).toBe(helpers > 0);
    pool.dismiss();
  });

  it("are not to be had when others were begun, or nobody wants them any more", async () => {
    const { pool, room } = await roomOf(helpers);
    const [first, second] = [LISTS[0]?.[1], LISTS[1]?.[1]] as [Stretch[], Stretch[]];
    const old = begin(room, first);
    const now = begin(room, second);
    expect(found(old, first).every((x) => x === undefined)).toBe(true);
    // It is not there to be dropped.
    old.drop();
    expect(found(now, second)).toEqual(second.map(plain));
    now.drop();
    expect(found(now, second).every((x) => x === undefined)).toBe(true);
    pool.dismiss();
  });

  it("are not to be had from a pool that was dismissed", async () => {
    const { pool, room } = await roomOf(helpers);
    const list = LISTS[0]?.[1] as readonly Stretch[];
    const begun = begin(room, list);
    pool.dismiss();
    expect(found(begun, list).every((x) => x === undefined)).toBe(true);
  });
});

describe("a list", () => {
  it("that has too much, too many or nothing, or lies across two upper halves of the counter, is not begun", async () => {
    const { room } = await roomOf(0);
    expect(room.begin(listOf(key, 100, ["normal", 0, 4096]))).toBeUndefined();
    expect(room.begin(listOf(key, 5000, ["uniform", 0, 1]))).toBeUndefined();
    expect(room.begin([])).toBeUndefined();
    expect(room.begin(listOf(key, 1, ["normal", 2 ** 33 - 10, 20]))).toBeUndefined();
    const list = LISTS[0]?.[1] as readonly Stretch[];
    expect(found(room.begin(list), list)).toEqual(list.map(plain));
  });

  it("needs a slot", () => {
    const pool = createThreadPool(0);
    while (pool.slot() !== undefined);
    expect(createAhead(pool)).toBeUndefined();
  });
});
