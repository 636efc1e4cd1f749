/** Bulk draws: accuracy of the inverse functions, statistics, independence of keys. */
import { describe, expect, it } from "vitest";
import { fold, type Key, rootKey, split } from "../../../src/core/key.ts";
import { bits, exponential, gumbel, normal, uniform } from "../../../src/core/random/draws.ts";
import { LOOPS, WORDS_PER_TRANSFORM } from "../../../src/core/random/loops.ts";
import { instantiate } from "../../../src/core/simd/assembler.ts";
import { expectCounts, expectFollows } from "../../support/goodness.ts";
import { normalCdf, normalQuantile } from "../../support/special.ts";
import { expectMean } from "../../support/statistics.ts";

const key = rootKey("draws");
const N = 200_000;

/** What a loop makes of given words. */
function transformed(name: string, words: Uint32Array): Float32Array {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(((words.length + WORDS_PER_TRANSFORM) * 4) / 65536) });
  new Uint32Array(memory.buffer).set(words);
  instantiate(LOOPS, memory)[name]?.(0, Math.ceil(words.length / WORDS_PER_TRANSFORM));
  return new Float32Array(memory.buffer).slice(0, words.length);
}

/** Words at both ends, about the middle, and spread evenly in logarithm and in value. */
const WORDS = (() => {
  const some = new Set<number>();
  const add = (w: number) => some.add(w >>> 0).add(~w >>> 0);
  for (let i = 0; i < 64; i++) for (const w of [i, 0x40000000 + i, 0x7fffffff - i, 0xb504f333 + i - 32]) add(w);
  for (let i = 0; i < 3000; i++) add(Math.floor(2 ** (32 * (i / 3000))));
  for (let i = 0; i < 20_000; i++) add(i * 214_748);
  return Uint32Array.from(some);
})();

/** Largest relative difference. */
const relative = (found: Float32Array, truth: (word: number) => number): number =>
  found.reduce((worst, x, i) => Math.max(worst, Math.abs(x / truth(WORDS[i] as number) - 1)), 0);

describe("inverse functions", () => {
  const u = (word: number) => (word + 0.5) / 2 ** 32;
  /** −log u, from 1 − u where u is near one. */
  const waiting = (word: number) => (word < 2 ** 31 ? -Math.log(u(word)) : -Math.log1p(-u(2 ** 32 - 1 - word)));

  it("uniform lies inside (0, 1)", () => {
    const x = transformed("uniform", WORDS);
    expect(Math.min(...x)).toBe(2 ** -24);
    expect(Math.max(...x)).toBe(1 - 2 ** -24);
    expect(x.every((value, i) => Math.abs(value - u(WORDS[i] as number)) <= 2 ** -24)).toBe(true);
  });

  it("normal is the quantile function to float32 rounding, in both tails and at the centre", () => {
    const p = (word: number) => (word & 0x7fffffff) + 0.5;
    const truth = (word: number) => -normalQuantile(p(word) / 2 ** 32) * (word >>> 31 === 0 ? 1 : -1);
    expect(relative(transformed("normal", WORDS), truth)).toBeLessThan(6e-7);
    expect(Math.max(...transformed("normal", WORDS))).toBeGreaterThan(6.2);
  });

  it("exponential is −log u to float32 rounding, also near zero", () => {
    expect(relative(transformed("exponential", WORDS), waiting)).toBeLessThan(4e-7);
  });

  it("gumbel is −log(−log u)", () => {
    const found = transformed("gumbel", WORDS);
    found.forEach((x, i) => {
      const truth = -Math.log(waiting(WORDS[i] as number));
      expect(Math.abs(x - truth)).toBeLessThan(4e-7 * Math.max(1, Math.abs(truth)));
    });
  });
});

describe("statistics", () => {
  it("follows its distribution", () => {
    expectFollows(uniform(key, N), (x) => x, "uniform");
    expectFollows(normal(key, N), normalCdf, "normal");
    expectFollows(exponential(key, N), (x) => -Math.expm1(-x), "exponential");
    expectFollows(gumbel(key, N), (x) => Math.exp(-Math.exp(-x)), "gumbel");
  });

  it("has the moments of the normal distribution", () => {
    const x = normal(fold(key, "moments"), N);
    expectMean(x, 0, { detects: 0.03 });
    expectMean(
      x.map((v) => v ** 2),
      1,
      { detects: 0.05 },
    );
    expectMean(
      x.map((v) => v ** 3),
      0,
      { detects: 0.12 },
    );
    expectMean(
      x.map((v) => v ** 4),
      3,
      { detects: 0.3 },
    );
  });

  it("has even bytes, and even pairs of neighbouring bytes", () => {
    const bytes = new Uint8Array(bits(fold(key, "bytes"), N).buffer);
    const even = (cells: number) => new Float64Array(cells).fill(1 / cells);
    const [single, pairs] = [new Float64Array(256), new Float64Array(65_536)];
    bytes.forEach((byte, i) => {
      single[byte] = (single[byte] as number) + 1;
      const pair = byte * 256 + (bytes[(i + 1) % bytes.length] as number);
      pairs[pair] = (pairs[pair] as number) + 1;
    });
    expectCounts(single, even(256), "bytes");
    expectCounts(pairs, even(65_536), "pairs");
  });

  it("changes half of the bits with any bit of the key or the counter", () => {
    const k: Key = { hi: 0x12345678, lo: 0x9abcdef0 };
    const flipped: number[] = [];
    const ones = (x: number) => {
      let count = 0;
      for (let rest = x >>> 0; rest !== 0; rest >>>= 1) count += rest & 1;
      return count;
    };
    const base = bits(k, 2000);
    for (let bit = 0; bit < 32; bit++) {
      const mask = (1 << bit) >>> 0;
      for (const other of [
        { ...k, hi: (k.hi ^ mask) >>> 0 },
        { ...k, lo: (k.lo ^ mask) >>> 0 },
      ]) {
        bits(other, 2000).forEach((word, i) => {
          flipped.push(ones(word ^ (base[i] as number)));
        });
      }
    }
    expectMean(flipped, 16, { detects: 0.1 });
    expectMean(
      flipped.map((count) => (count - 16) ** 2),
      8,
      { detects: 0.5 },
    );
  });

  it("is uncorrelated across keys, siblings and neighbours", () => {
    const keys = [
      key,
      fold(key, "a"),
      fold(key, "b"),
      ...split(key, 3),
      fold(split(key, 1)[0] as Key, 0),
      rootKey(0),
      rootKey(1),
    ];
    const draws = keys.map((k) => normal(k, 50_000));
    for (let i = 0; i < draws.length; i++) {
      const x = draws[i] as Float32Array;
      for (let j = 0; j < i; j++) {
        const y = draws[j] as Float32Array;
        expectMean(
          x.map((v, t) => v * (y[t] as number)),
          0,
          { detects: 0.05 },
        );
      }
      for (const lag of [1, 2, 3, 8, 32]) {
        expectMean(
          x.subarray(lag).map((v, t) => v * (x[t] as number)),
          0,
          { detects: 0.05 },
        );
      }
    }
  });
});
