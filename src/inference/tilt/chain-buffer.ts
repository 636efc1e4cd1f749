/** A buffer of persistent chains (Tieleman 2008; Du & Mordatch 2019): each update takes a random batch, runs it and puts it back. */
import { fold, type Key } from "../../core/key.ts";
import { bits, uniform } from "../../core/random/draws.ts";

/** A batch that was taken. */
export interface Batch {
  /** Positions, `[chains, d]`. */
  readonly x: Float32Array;
  /** How many of its chains start anew. */
  readonly fresh: number;
  /** Puts the chains back where they were taken, at these positions. */
  putBack(x: Float32Array): void;
}

/** Positions of persistent chains. */
export interface ChainBuffer {
  /** A random batch, some of whose chains start anew at these positions, `[chains, d]`. */
  take(start: Float32Array, key: Key): Batch;
  /** The positions of batch `b` of the buffer as it is. */
  batch(b: number): Float32Array;
  /** Number of batches in the buffer. */
  readonly batches: number;
}

/**
 * A buffer of `batches` × `chains` chains of `d` numbers each. With no batches, every batch starts anew.
 *
 * @param fill - Positions `[chains, d]` with which batch `b` begins.
 * @param share - Share of a batch that starts anew.
 */
export function chainBuffer(
  {
    batches,
    chains,
    d,
    share,
  }: { readonly batches: number; readonly chains: number; readonly d: number; readonly share: number },
  fill: (b: number) => Float32Array,
): ChainBuffer {
  const size = chains * d;
  const rows = batches * chains;
  const all = new Float32Array(batches * size);
  for (let b = 0; b < batches; b++) all.set(fill(b), b * size);
  return {
    batches,
    batch: (b) => all.slice(b * size, (b + 1) * size),
    take(start, key) {
      if (rows === 0) return { x: start, fresh: chains, putBack: () => undefined };
      const picks = Array.from(bits(fold(key, "pick"), chains), (word) => word % rows);
      const renewed = uniform(fold(key, "renew"), chains).map((u) => (u < share ? 1 : 0));
      const x = start.slice();
      picks.forEach((row, c) => {
        if (renewed[c] === 0) x.set(all.subarray(row * d, (row + 1) * d), c * d);
      });
      return {
        x,
        fresh: renewed.reduce((n, is) => n + is, 0),
        putBack(moved) {
          picks.forEach((row, c) => {
            all.set(moved.subarray(c * d, (c + 1) * d), row * d);
          });
        },
      };
    },
  };
}
