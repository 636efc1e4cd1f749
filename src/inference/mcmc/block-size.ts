/** How many chains and steps of Langevin dynamics go into one call of the compiled engine: as many as the processor's caches hold. */

/** Numbers of noise in one call: they and the draws stay in the processor's caches. */
const MOST_NOISE = 1 << 18;
/** Numbers of noise in the calls of all parts: they and the draws are in memory at once. */
const MOST_NOISE_AT_ONCE = 1 << 24;
/** Multiplications in one call, some 50 ms, after which the event loop wants its turn. */
const MOST_WORK = 1e9;
const LONGEST = 128;
/** Fewer steps than this are not worth a second kind of program. */
const SHORTEST = 4;
/** Where there are so many chains that a call would take fewer steps than this, it takes a part of the chains. */
const SETTLED = 8;
/**
 * Elements made in one evaluation from which chains are taken in parts, one after the other: what an operation leaves is then still in the
 * processor's caches when the next one wants it.
 */
const MOST_ELEMENTS = 1 << 22;

/** Chains of each part, of about one size, where a part may have so many. */
const evenly = (chains: number, most: number): number =>
  Math.ceil(chains / Math.ceil(chains / Math.max(1, Math.floor(most))));

/** Chains of one evaluation, each of which makes so many elements. */
export const partSize = (chains: number, elements: number): number => evenly(chains, MOST_ELEMENTS / elements);

/** Chains of one call, each of so many numbers of noise a step. */
export const blockSize = (chains: number, noise: number, elements: number): number =>
  evenly(chains, Math.min(MOST_ELEMENTS / elements, MOST_NOISE / (SETTLED * noise)));

/** The first chain of each part; where they do not divide, the last begins earlier. */
export const startsOf = (chains: number, size: number): readonly number[] =>
  Array.from({ length: Math.ceil(chains / size) }, (_, j) => Math.min(j * size, chains - size));

/**
 * Steps in one call, of so many numbers of noise and multiplications each, of which a call takes a share; undefined when they are too large
 * to gain by it.
 */
export function blockLength(noise: number, multiplications: number, share = 1): number | undefined {
  const most = Math.min(MOST_NOISE / (share * noise), MOST_NOISE_AT_ONCE / noise);
  const length = Math.floor(Math.min(LONGEST, most, MOST_WORK / Math.max(1, share * multiplications)));
  return length < SHORTEST ? undefined : length;
}
