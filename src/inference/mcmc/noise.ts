/**
 * The noise of a block of Langevin steps: of every step and input a short stream under its own key. Where another thread may help, all
 * of a block is made as one job, and that of the next block while this one runs.
 */
import { fold, type Key } from "../../core/key.ts";
import { normal, uniform } from "../../core/random/draws.ts";
import { type DrawRange, type PendingDraws, type Prefetcher, prefetcher } from "../../core/random/prefetch.ts";

/** What one input of a block is filled with. */
export interface NoiseInput {
  readonly input: string;
  readonly kind: DrawRange["kind"];
  /** Its stream in step t has the key fold(key of t, name). */
  readonly name: string;
  /** Numbers of one chain in one step. */
  readonly each: number;
}

/** The noise of blocks. */
export interface BlockNoise {
  /** Begins the noise of steps, unless that has been done, and where it may pay. */
  begin(keys: readonly Key[]): void;
  /** The same, if there is somebody to make it while this thread does other things. */
  beginAhead(keys: readonly Key[]): void;
  /** What fills the inputs of steps, begun or not, with the rows of `size` chains from chain `start`. */
  of(
    keys: readonly Key[],
  ): readonly { readonly input: string; fill(array: Float32Array, start: number, size: number): void }[];
  /** Gives up what was begun. */
  drop(): void;
}

/** Numbers of noise from which a block is a job for a pool. */
const WORTH_JOB = 1 << 15;

const DRAW = { normal: normal.fill, uniform: uniform.fill };

const same = (a: readonly Key[], b: readonly Key[]): boolean =>
  a.length === b.length && a.every(({ hi, lo }, i) => hi === b[i]?.hi && lo === b[i]?.lo);

/** The noise of so many chains. */
export function blockNoise(inputs: readonly NoiseInput[], chains: number): BlockNoise {
  const perStep = inputs.reduce((sum, { each }) => sum + each * chains, 0);
  let now: { readonly keys: readonly Key[]; readonly begun: PendingDraws | undefined } | undefined;

  const isLarge = (keys: readonly Key[]): boolean => keys.length * perStep >= WORTH_JOB;
  const start = (keys: readonly Key[], room: Prefetcher | undefined): void => {
    if (room === undefined) return;
    const stretches = inputs.flatMap(({ kind, name, each }) =>
      keys.map((key) => ({ kind, key: fold(key, name), offset: 0, count: chains * each })),
    );
    now = { keys, begun: room.start(stretches) };
  };
  return {
    begin(keys) {
      if (isLarge(keys) && !(now !== undefined && same(keys, now.keys))) start(keys, prefetcher());
    },
    beginAhead(keys) {
      const room = isLarge(keys) ? prefetcher() : undefined;
      if (room?.hasWorkers() === true) start(keys, room);
    },
    of(keys) {
      const begun = now !== undefined && same(keys, now.keys) ? now.begun : undefined;
      return inputs.map(({ input, kind, name, each }, s) => ({
        input,
        fill(array, start, size) {
          const row = size * each;
          keys.forEach((key, i) => {
            const to = array.subarray(i * row, (i + 1) * row);
            if (row === chains * each && begun?.read(s * keys.length + i, to) === true) return;
            DRAW[kind](fold(key, name), to, start * each);
          });
        },
      }));
    },
    drop() {
      now?.begun?.cancel();
      now = undefined;
    },
  };
}
