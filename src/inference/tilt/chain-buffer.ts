/** A buffer of chains that wait between updates (Tieleman 2008; Du & Mordatch 2019): batches are taken at random, moved, and put back. */
import { fold, type Key } from "../../core/key.ts";
import { bits, uniform } from "../../core/random/draws.ts";

/** A batch on its way. */
export interface Batch {
  /** Positions, `[chains, d]`. */
  readonly x: Float32Array;
  /** Chains of it that start anew. */
  readonly fresh: number;
  /** Puts the chains back where they were taken, at these positions. */
  putBack(x: Float32Array): void;
}

/** Positions of waiting chains. */
export interface ChainBuffer {
  /** A random batch, some of whose chains start anew from those that were just born, `[chains, d]`. */
  take(born: Float32Array, key: Key): Batch;
  /** The positions of batch `b` of the buffer as it is. */
  batch(b: number): Float32Array;
  /** Batches that it holds. */
  readonly batches: number;
}

/**
 * A buffer of `batches` × `chains` chains of `d` numbers each; of none, every batch starts anew.
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
    take(born, key) {
      if (rows === 0) return { x: born, fresh: chains, putBack: () => undefined };
      const picks = Array.from(bits(fold(key, "pick"), chains), (word) => word % rows);
      const renewed = uniform(fold(key, "renew"), chains).map((u) => (u < share ? 1 : 0));
      const x = born.slice();
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
