/** The noise of blocks of Langevin steps: the draws of single steps, made ahead or not. */
import { beforeAll, describe, expect, it } from "vitest";
import { fold, type Key, rootKey } from "../../core/key.ts";
import { normal, uniform } from "../../core/random/draws.ts";
import { prefetcher } from "../../core/random/prefetch.ts";
import { threadPool } from "../../core/simd/thread-pool.ts";
import { blockNoise, type NoiseInput } from "./noise.ts";

const INPUTS: readonly NoiseInput[] = [
  { input: "xi z", kind: "normal", path: ["xi", "z"], each: 100 },
  { input: "xi s", kind: "normal", path: ["xi", "s"], each: 1 },
  { input: "accept", kind: "uniform", path: ["accept"], each: 1 },
];
const CHAINS = 33;
const SOURCE = { chains: CHAINS, drawPrior: (key: Key) => normal(key, CHAINS * 3) };
const STEPS = 12;
const keysFrom = (first: number, steps = STEPS): readonly Key[] =>
  Array.from({ length: steps }, (_, i) => fold(rootKey("steps"), first + i));

/** Compared as bytes: element by element would take seconds. */
const bytes = (x: Float32Array) => Buffer.from(x.slice().buffer).toString("hex");

/** Rows of some chains, step after step, as the draws of single steps have them. */
function single({ kind, path, each }: NoiseInput, keys: readonly Key[], start: number, size: number): string {
  const draw = kind === "uniform" ? uniform : normal;
  const rows = keys.map((key) => draw(path.reduce(fold, key), size * each, start * each));
  return rows.map(bytes).join("");
}

function expectNoise(noise: ReturnType<typeof blockNoise>, keys: readonly Key[], start = 0, size = CHAINS): void {
  noise.of(keys).forEach(({ input, fill }, s) => {
    const own = INPUTS[s] as NoiseInput;
    // Blocks have room for more steps than they may be asked for.
    const array = new Float32Array((keys.length + 1) * size * own.each);
    fill(array, start, size);
    expect(input).toBe(own.input);
    expect(bytes(array.subarray(0, keys.length * size * own.each))).toBe(single(own, keys, start, size));
    expect(array.at(-1)).toBe(0);
  });
}

// A helper comes when there has been work for it; on a machine of one core it never does, and the rest holds as well.
beforeAll(async () => {
  const patience = performance.now() + 2000;
  for (let i = 0; i < 8; i++) normal(rootKey(i), 1 << 20);
  while (threadPool()?.hasWorkers() !== true && performance.now() < patience)
    await new Promise((r) => setTimeout(r, 5));
});

describe("noise of a block", () => {
  it("is that of single steps, when it is started, started ahead, or neither", () => {
    const noise = blockNoise(INPUTS, SOURCE);
    expectNoise(noise, keysFrom(0));
    for (let block = 0; block < 5; block++) {
      noise.start(keysFrom(block * STEPS));
      expectNoise(noise, keysFrom(block * STEPS));
      noise.prefetch(keysFrom((block + 1) * STEPS));
    }
    noise.cancel();
    expectNoise(noise, keysFrom(5 * STEPS));
  });

  it("is that of single steps, when other steps were started than are made", () => {
    const noise = blockNoise(INPUTS, SOURCE);
    noise.prefetch(keysFrom(0));
    expectNoise(noise, keysFrom(1));
    expectNoise(noise, keysFrom(0, STEPS - 1));
    noise.start(keysFrom(7));
    expectNoise(noise, keysFrom(7));
    noise.prefetch([]);
    expectNoise(noise, keysFrom(7));
  });

  it("is that of single steps for some of the chains", () => {
    const noise = blockNoise(INPUTS, SOURCE);
    noise.start(keysFrom(0));
    expectNoise(noise, keysFrom(0), 5, 17);
  });

  it("of the prior is what the model draws, part by part", () => {
    const input: NoiseInput = { input: "y", kind: "prior", path: ["y"], each: 3 };
    const array = new Float32Array(2 * 10 * 3);
    blockNoise([input], SOURCE).of(keysFrom(0, 2))[0]?.fill(array, 4, 10);
    const rows = keysFrom(0, 2).map((key) => SOURCE.drawPrior(fold(key, "y")).subarray(4 * 3, 14 * 3));
    expect([...array]).toEqual(rows.flatMap((row) => [...row]));
  });

  it("is that of single steps where two samplers take turns", () => {
    const [one, other] = [blockNoise(INPUTS, SOURCE), blockNoise(INPUTS, SOURCE)];
    for (let block = 0; block < 4; block++) {
      one.start(keysFrom(block * STEPS));
      one.prefetch(keysFrom((block + 1) * STEPS));
      other.start(keysFrom(100 + block));
      expectNoise(other, keysFrom(100 + block));
      one.cancel();
      other.prefetch(keysFrom(101 + block));
      expectNoise(one, keysFrom(block * STEPS));
    }
  });

  it("is that of single steps where a helper was given up", () => {
    const noise = blockNoise(INPUTS, SOURCE);
    noise.start(keysFrom(0));
    threadPool()?.shutDown();
    expectNoise(noise, keysFrom(0));
    noise.start(keysFrom(STEPS));
    noise.prefetch(keysFrom(2 * STEPS));
    expectNoise(noise, keysFrom(2 * STEPS));
    // Who comes after has no helpers, and then blocks are drawn as small ones are.
    expect(prefetcher()).toBeUndefined();
  });
});
