/** A stream of draws for every element of a bulk draw, as rejection samplers need: however many one element takes, the others do not move. */
import { type Key, threefry2x32 } from "../key.ts";
import { log } from "../numeric/elementary.ts";

const TWO_TO_MINUS_32 = 2 ** -32;

/** Draws for one element after another. */
export interface ElementStreams {
  /** Goes to the start of the stream of element i. */
  seek(i: number): void;
  /** Uniform on (0, 1): an odd multiple of 2⁻³³. */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
}

/** Streams under a key: the words of element i are those of a key of its own. */
export function elementStreams(key: Key): ElementStreams {
  let element: Key = key;
  let counter = 0;
  let spare = -1;
  const uniform = (): number => {
    let word = spare;
    if (word < 0) [word, spare] = threefry2x32(element, 0, counter++);
    else spare = -1;
    return (word + 0.5) * TWO_TO_MINUS_32;
  };
  return {
    seek(i) {
      const [hi, lo] = threefry2x32(key, Math.floor(i / 2 ** 32), i >>> 0);
      element = { hi, lo };
      counter = 0;
      spare = -1;
    },
    uniform,
    /** Marsaglia's polar method, of which one of two results is used. */
    normal() {
      for (;;) {
        const [x, y] = [2 * uniform() - 1, 2 * uniform() - 1];
        const s = x * x + y * y;
        if (s < 1) return x * Math.sqrt((-2 * log(s)) / s);
      }
    },
  };
}
