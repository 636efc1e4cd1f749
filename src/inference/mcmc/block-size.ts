/** How many chains and steps go into one call of the compiled engine: as many as fit into the processor's caches. */

/** Numbers of noise in one call: with the draws they stay in the processor's caches. */
const MAX_NOISE_PER_CALL = 1 << 18;
/** Numbers of noise in the calls of all parts, which are in memory at once with the draws. */
const MAX_NOISE = 1 << 24;
/** Multiplications in one call, some 50 ms: then the event loop gets its turn. */
const MAX_MULTIPLICATIONS = 1e9;
const MAX_STEPS = 128;
/** Below this number of steps, a program of several steps does not pay. */
const MIN_STEPS = 4;
/** Where a call over all chains would hold fewer steps than this, it takes a part of the chains. */
const PREFERRED_STEPS = 8;
/**
 * Elements of one evaluation above which chains are evaluated in parts, one after another: the result of an operation is then still in the
 * processor's caches when the next one reads it.
 */
const MAX_ELEMENTS = 1 << 22;

/** Chains of each part where parts are about equal and have at most `most`. */
const evenPartSize = (chains: number, most: number): number =>
  Math.ceil(chains / Math.ceil(chains / Math.max(1, Math.floor(most))));

/** Chains of one evaluation; `elements` are computed for each. */
export const partSize = (chains: number, elements: number): number => evenPartSize(chains, MAX_ELEMENTS / elements);

/** Chains of one call; `noise` numbers and `elements` are those of one chain and step. */
export const blockSize = (chains: number, noise: number, elements: number): number =>
  evenPartSize(chains, Math.min(MAX_ELEMENTS / elements, MAX_NOISE_PER_CALL / (PREFERRED_STEPS * noise)));

/** The first chain of each part; where `size` does not divide `chains`, the last part overlaps the one before. */
export const startsOf = (chains: number, size: number): readonly number[] =>
  Array.from({ length: Math.ceil(chains / size) }, (_, j) => Math.min(j * size, chains - size));

/**
 * Steps in one call. `noise` and `multiplications` are those of one step of all chains, of which a call computes `share`; undefined when steps
 * are too large to gain by it.
 */
export function blockLength(noise: number, multiplications: number, share = 1): number | undefined {
  const most = Math.min(MAX_NOISE_PER_CALL / (share * noise), MAX_NOISE / noise);
  const length = Math.floor(Math.min(MAX_STEPS, most, MAX_MULTIPLICATIONS / Math.max(1, share * multiplications)));
  return length < MIN_STEPS ? undefined : length;
}
