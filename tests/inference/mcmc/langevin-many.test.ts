/** More chains than go through one call: taken in parts, one after the other, they are what they are op by op. */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { ensureEngine, infer, type LangevinOptions, langevin, model, sample } from "tilted";
import { normal } from "tilted/dist";
import { beforeAll, describe, expect, it } from "vitest";
import { blockLength, blockSize, partSize, startsOf } from "../../../src/inference/mcmc/block-size.ts";

beforeAll(() => ensureEngine());

const plane = model(function* () {
  yield* sample("z", normal(tf.tensor1d([0, 1]), tf.tensor1d([1, 0.5])).event(1));
});
/** Chains that know of each other, which no part of them can: every density has the largest of all in it. */
const mixing = model(function* () {
  const x = yield* sample("x", normal(0, 1));
  // In steps, so that its gradient, which would add up over chains, is 0.
  yield* sample("y", normal(tf.add(tf.zerosLike(x), tf.div(tf.floor(tf.mul(10, tf.max(x))), 10)), 1));
});

describe("parts", () => {
  it("cover all chains, each once but for those that the last two share, and are of about one size", () => {
    const chains = fc.integer({ min: 1, max: 20_000 });
    const perChain = fc.integer({ min: 1, max: 20_000 });
    fc.assert(
      fc.property(chains, perChain, perChain, (n, noise, elements) => {
        for (const size of [partSize(n, elements), blockSize(n, noise, elements)]) {
          const starts = startsOf(n, size);
          expect(size).toBeGreaterThanOrEqual(1);
          expect(size).toBeLessThanOrEqual(n);
          expect(starts[0]).toBe(0);
          expect((starts.at(-1) as number) + size).toBe(n);
          expect(starts.every((start, j) => j === 0 || start - (starts[j - 1] as number) <= size)).toBe(true);
          expect((starts.length - 1) * size).toBeLessThan(n);
        }
      }),
    );
  });

  it("are all chains where those are few, and make long calls possible where they are many", () => {
    expect(blockSize(1000, 3, 2600)).toBe(1000);
    expect(blockLength(3 * 100_000, 0)).toBeUndefined();
    const size = blockSize(100_000, 3, 40);
    expect(blockLength(3 * 100_000, 0, size / 100_000)).toBeGreaterThanOrEqual(8);
  });
});

describe("many chains", () => {
  const run = async (program: typeof plane, options: LangevinOptions, engine: "wasm" | "compiled", threads = 1) => {
    const { sites, engine: ran } = await infer(program, langevin({ warmup: 0, stepSize: 0.05, ...options }), {
      seed: 3,
      engine,
      threads,
    });
    return { ran, draws: Object.values(sites).map(({ data }) => Float64Array.from(data)) };
  };
  /** Share of numbers that differ by more than rounding: a decision on the edge may fall otherwise. */
  const share = (a: readonly Float64Array[], b: readonly Float64Array[]) =>
    Math.max(...a.map((x, s) => x.filter((v, i) => !(Math.abs(v - (b[s]?.[i] as number)) < 1e-3)).length / x.length));

  it.each<readonly [string, LangevinOptions, number]>([
    ["blocks by MALA", { chains: 25_001, steps: 20, thin: 5 }, 1],
    ["blocks by ULA", { chains: 25_001, steps: 20, thin: 20, adjusted: false }, 1],
    ["blocks on two threads", { chains: 25_001, steps: 20, thin: 5 }, 2],
    ["blocks of fewer steps than a call has", { chains: 25_001, steps: 25, thin: 25 }, 2],
    ["single steps between jumps", { chains: 150_001, steps: 4, thin: 4, jumpEvery: 2 }, 1],
  ])("%s", async (_, options, threads) => {
    const [plain, compiled] = [await run(plane, options, "wasm"), await run(plane, options, "compiled", threads)];
    expect(compiled.ran.compiled?.used).toBe(true);
    const info = compiled.ran.compiled as { readonly stepsPerCall?: number; readonly shards?: number };
    if (options.jumpEvery === undefined) expect(info.stepsPerCall).toBeGreaterThanOrEqual(8);
    expect(info.shards).toBe(options.jumpEvery === undefined && threads > 1 ? threads : undefined);
    expect(share(plain.draws, compiled.draws)).toBeLessThan(1e-3);
  });

  it("that know of each other stay together", async () => {
    const options = { chains: 40_000, steps: 10, thin: 10, adjusted: false } as const;
    const [plain, compiled] = [
      await run(mixing as never, options, "wasm"),
      await run(mixing as never, options, "compiled"),
    ];
    expect(compiled.ran.compiled?.used).toBe(true);
    expect(share(plain.draws, compiled.draws)).toBeLessThan(1e-3);
  });
});
