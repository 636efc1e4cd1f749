/** Chains in shards, one for each thread: the draws, acceptances and errors of chains in one program. */
import * as tf from "@tensorflow/tfjs-core";
import {
  ensureEngine,
  factor,
  type InferOptions,
  infer,
  type LangevinOptions,
  langevin,
  model,
  ndarray,
  sample,
} from "tilted";
import { normal } from "tilted/dist";
import { beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { sessionsInThreads } from "../../../src/compiler/runtime/shard-thread.ts";
import { banana, edge, scales } from "../../support/langevin-models.ts";
import { runTs } from "../../support/run.ts";

beforeAll(() => ensureEngine());

const base = { chains: 6, steps: 300, stepSize: 0.01, targetAcceptance: 0.99, warmup: 20 } as const;

async function run(program: Parameters<typeof infer>[0], options: LangevinOptions, threads?: number) {
  const { sites, ...rest } = await infer(program as typeof banana, langevin(options), {
    seed: 4,
    engine: "compiled",
    ...(threads !== undefined && { threads }),
  });
  return { draws: Object.entries(sites).map(([, { data }]) => Float64Array.from(data)), ...rest };
}
const shardsOf = ({ engine: { compiled } }: Awaited<ReturnType<typeof run>>) => compiled?.used && compiled.shards;

describe("chains in shards", () => {
  const cases: readonly (readonly [string, LangevinOptions, number])[] = [
    ["MALA, two threads", base, 2],
    ["MALA, seven chains on two threads", { ...base, chains: 7, thin: 7 }, 2],
    ["MALA, seven chains on three threads", { ...base, chains: 7 }, 3],
    ["ULA, five chains on four threads", { ...base, chains: 5, adjusted: false, warmup: 150 }, 4],
    ["at another temperature", { ...base, temperature: 1.7 }, 2],
  ];
  describe.each<readonly [string, Parameters<typeof infer>[0]]>([
    ["two sites, one constrained", scales as never],
    ["a banana", banana as never],
  ])("of %s", (_, program) => {
    it.each(cases)("are chains in one program, by %s", async (__, options, threads) => {
      const [one, parted] = [await run(program, options, 1), await run(program, options, threads)];
      expect(shardsOf(one)).toBeUndefined();
      expect(shardsOf(parted)).toBe(Math.ceil(options.chains! / Math.ceil(options.chains! / threads)));
      one.draws.forEach((draws, s) => {
        const off = draws.map((v, i) => Math.abs(v - (parted.draws[s]?.[i] as number)) / (1 + Math.abs(v)));
        expect(Math.max(...off)).toBeLessThan(2e-3);
      });
      expect(parted.acceptance).toBeCloseTo(one.acceptance, 4);
      expect(parted.nonFinite).toBe(one.nonFinite);
      expect(parted.stepSize).toBeCloseTo(one.stepSize, 5);
      expect((await run(program, options, threads)).draws).toEqual(parted.draws);
    });
  });

  it("are not parted when there is one, and by default only where the work is large", async () => {
    expect(shardsOf(await run(banana, { ...base, chains: 1 }, 2))).toBeUndefined();
    expect(shardsOf(await run(banana, base))).toBeUndefined();
  });

  it("count proposals that are not finite, once each", async () => {
    const options = {
      ...base,
      chains: 5,
      stepSize: 0.2,
      warmup: 0,
      init: { x: ndarray(new Float32Array(5).fill(0.4)) },
    };
    const [one, parted] = [await run(edge as never, options, 1), await run(edge as never, options, 2)];
    expect(one.nonFinite).toBeGreaterThan(20);
    expect(parted.nonFinite).toBe(one.nonFinite);
  });

  it("go on from a checkpoint with the draws of one long run, bit for bit", async () => {
    const part = (options: LangevinOptions) =>
      infer(banana, langevin(options), { seed: 4, engine: "compiled", threads: 2 } as InferOptions<[]>);
    const long = await part({ ...base, steps: 500 });
    const first = await part({ ...base, steps: 233 });
    const { warmup: _, ...onward } = base;
    const second = await part({ ...onward, steps: 267, from: first.checkpoint });
    const chain = (a: { data: ArrayLike<number> }, c: number, n: number) =>
      Array.from(a.data).slice(c * n, (c + 1) * n);
    for (let c = 0; c < base.chains; c++)
      expect([...chain(first.sites.x, c, 233), ...chain(second.sites.x, c, 267)]).toEqual(chain(long.sites.x, c, 500));
  });

  it("say the usual error where a check fails in one of them, and leave no session behind", async () => {
    // The scale of y is positive near the start only, and the last chain starts at the edge.
    const fragile = model(function* () {
      const x = yield* sample("x", normal(3, 1));
      yield* sample("y", normal(0, tf.sub(3.5, x)));
    });
    const init = { x: ndarray(Float32Array.of(1, 1, 1, 1, 1, 3.2)), y: ndarray(new Float32Array(6)) };
    const options = { ...base, stepSize: 0.05, warmup: 0, init };
    await expect(run(fragile as never, options, 2)).rejects.toThrow(/scale must be positive/);
    while (sessionsInThreads() > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  });

  it("stay together where the model mixes chains, against the rules", async () => {
    const mixing = model(function* () {
      const x = yield* sample("x", normal(0, 1));
      yield* factor("together", tf.mul(tf.onesLike(x), tf.neg(tf.square(tf.sum(x)))));
    });
    const [one, parted] = [await run(mixing as never, base, 1), await run(mixing as never, base, 2)];
    expect(shardsOf(parted)).toBeUndefined();
    expect(parted.acceptance).toBeCloseTo(one.acceptance, 3);
  });

  it("stay together where no thread can be started", async () => {
    const ask = process.getBuiltinModule;
    const spy = vi.spyOn(process, "getBuiltinModule");
    onTestFinished(() => spy.mockRestore());
    spy.mockImplementation(((id: string) => (id === "node:worker_threads" ? undefined : ask(id))) as typeof ask);
    const options = { ...base, chains: 4 };
    // More threads than other tests have started.
    const parted = await run(banana, { ...options, chains: 12 }, 6);
    expect(parted.engine.compiled).toMatchObject({ used: true });
    expect(shardsOf(parted)).toBeUndefined();
  });

  it("let their process end", async () => {
    const { code, stdout } = await runTs("tests/support/shards-program.ts");
    expect([code, stdout.trim()]).toEqual([0, "2 shards"]);
  });
});
