// TEMPORARY stand-in written by the lead; the kernels helper replaces this file.
import seedrandom from "seedrandom";
import type { Key } from "../key.ts";
export function permutation(key: Key, n: number): Int32Array {
  const random = seedrandom(`${key.hi}:${key.lo}`);
  const out = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const t = out[i] as number;
    out[i] = out[j] as number;
    out[j] = t;
  }
  return out;
}
