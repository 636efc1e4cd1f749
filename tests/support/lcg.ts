/** The "minimal standard" generator: exact in doubles, so any language can draw the same numbers for a published fixture. */
export function lcg(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 16807) % 2147483647;
    return state / 2147483647;
  };
}
