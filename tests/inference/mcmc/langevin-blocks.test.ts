/** Many Langevin steps in one call of the compiled engine: the draws, acceptances and errors of single steps. */
import * as tf from "@tensorflow/tfjs-core";
import { ensureEngine, infer, type LangevinOptions, langevin, model, ndarray, sample, TiltedError } from "tilted";
import { normal } from "tilted/dist";
import { beforeAll, describe, expect, it } from "vitest";
import { banana, edge, scales } from "../../support/langevin-models.ts";
import { runTs } from "../../support/run.ts";

beforeAll(() => ensureEngine());

// Steps small enough that chains forget differences in rounding instead of multiplying them.
const base = { chains: 6, steps: 300, stepSize: 0.01, targetAcceptance: 0.99 } as const;
const cases: readonly (readonly [string, LangevinOptions])[] = [
  ["MALA", { ...base, warmup: 20 }],
  ["MALA, thinned so that blocks and kept steps have no common length", { ...base, warmup: 7, thin: 7 }],
  ["ULA, warm-up in blocks as well", { ...base, adjusted: false, warmup: 150 }],
  ["at another temperature", { ...base, warmup: 20, temperature: 1.7 }],
];

/** Runs on both engines; the compiled one says how many steps it made in a call. */
async function both<const M extends Parameters<typeof infer>[0]>(program: M, options: LangevinOptions) {
  const run = async (engine: "compiled" | "wasm") => {
    const { sites, ...rest } = await infer(program as typeof banana, langevin(options), { seed: 4, engine });
    return { draws: Object.entries(sites).map(([, { data }]) => Float64Array.from(data)), ...rest };
  };
  return { many: await run("compiled"), single: await run("wasm") };
}

describe("steps in one call", () => {
  describe.each<readonly [string, Parameters<typeof infer>[0]]>([
    ["two sites, one constrained", scales as never],
    ["a banana", banana as never],
  ])("of %s", (_, program) => {
    it.each(cases)("are single steps, by %s", async (__, options) => {
      const { many, single } = await both(program, options);
      const { compiled } = many.engine;
      expect(compiled?.used && compiled.stepsPerCall).toBeGreaterThan(4);
      single.draws.forEach((draws, s) => {
        const off = draws.map((v, i) => Math.abs(v - (many.draws[s]?.[i] as number)) / (1 + Math.abs(v)));
        expect(Math.max(...off)).toBeLessThan(2e-3);
      });
      expect(many.acceptance).toBeCloseTo(single.acceptance, 3);
      expect(many.nonFinite).toBe(single.nonFinite);
      expect(many.stepSize).toBeCloseTo(single.stepSize, 4);
    });
  });

  it("adapt the step size in a warm-up as single steps do, with jumps between steps and without", async () => {
    for (const jumpEvery of [undefined, 37]) {
      const options = { chains: 64, warmup: 400, steps: 300, ...(jumpEvery !== undefined && { jumpEvery }) };
      const { many, single } = await both(scales as never, options);
      expect(many.engine.compiled?.used).toBe(true);
      expect(many.acceptance).toBeGreaterThan(0.5);
      expect(Math.abs(many.acceptance - single.acceptance)).toBeLessThan(0.03);
      expect(Math.abs(many.stepSize / single.stepSize - 1)).toBeLessThan(0.1);
      if (jumpEvery === undefined) expect(many.jumpAcceptance).toBeUndefined();
      else expect(Math.abs((many.jumpAcceptance ?? 0) - (single.jumpAcceptance ?? 1))).toBeLessThan(0.15);
    }
  });

  it("count proposals that are not finite, and never take them", async () => {
    // Density zero below 0.
    const init = { x: ndarray(new Float32Array(6).fill(0.4)) };
    const { many, single } = await both(edge, { ...base, stepSize: 0.2, warmup: 0, init });
    expect(single.nonFinite).toBeGreaterThan(20);
    expect(many.nonFinite).toBe(single.nonFinite);
    expect(many.draws[0]?.every((x) => x > 0)).toBe(true);
  });

  it("go on from a checkpoint with the draws of one long run, bit for bit", async () => {
    const run = (options: LangevinOptions) => infer(banana, langevin(options), { seed: 4, engine: "compiled" });
    const long = await run({ ...base, steps: 500, warmup: 10 });
    const first = await run({ ...base, steps: 233, warmup: 10 });
    const second = await run({ ...base, steps: 267, from: first.checkpoint });
    const chain = (a: { data: ArrayLike<number> }, c: number, n: number) =>
      Array.from(a.data).slice(c * n, (c + 1) * n);
    for (let c = 0; c < base.chains; c++)
      expect([...chain(first.sites.x, c, 233), ...chain(second.sites.x, c, 267)]).toEqual(chain(long.sites.x, c, 500));
  });

  it("report progress once a call, can be aborted between calls, and run in a thread of their own", async () => {
    const seen: number[] = [];
    const options = { seed: 1, engine: "compiled", background: true } as const;
    const abort = new AbortController();
    const run = infer(banana, langevin({ ...base, steps: 10_000, warmup: 0 }), {
      ...options,
      signal: abort.signal,
      onProgress: ({ step }) => {
        seen.push(step);
        if (step > 500) abort.abort();
      },
    });
    await expect(run).rejects.toThrow(TiltedError);
    expect(seen.length).toBeLessThan(50);
    expect(seen.at(-1)).toBeLessThan(1000);
  });

  it("a check that fails among many is found and named", async () => {
    // The scale of y is positive near the start only.
    const fragile = model(function* () {
      const x = yield* sample("x", normal(3, 1));
      yield* sample("y", normal(0, tf.sub(3.5, x)));
    });
    const init = { x: ndarray(new Float32Array(6).fill(1)), y: ndarray(new Float32Array(6)) };
    const run = infer(fragile, langevin({ ...base, stepSize: 0.05, warmup: 0, init }), { seed: 1, engine: "compiled" });
    await expect(run).rejects.toThrow(/scale must be positive/);
  });

  it("a check that fails in a later call is found at its step: chains are where the call before left them", async () => {
    const fragile = model(function* () {
      const x = yield* sample("x", normal(3, 1));
      yield* sample("y", normal(0, tf.sub(3.5, x)));
    });
    const init = { x: ndarray(new Float32Array(6).fill(-1)), y: ndarray(new Float32Array(6)) };
    const failsAfter = async (engine: "compiled" | "wasm") => {
      let done = 0;
      const onProgress = ({ step }: { readonly step: number }) => {
        done = step;
      };
      const method = langevin({ ...base, steps: 2000, adjusted: false, stepSize: 0.005, warmup: 0, init });
      await expect(infer(fragile, method, { seed: 1, engine, onProgress })).rejects.toThrow(/scale must be positive/);
      return done;
    };
    const steps = await failsAfter("wasm");
    // A call of 128 steps goes well before.
    expect(steps).toBeGreaterThan(128);
    expect(await failsAfter("compiled")).toBe(steps);
  });

  it("have the same draws, bit for bit, where a helper makes their noise ahead, and their process ends", async () => {
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await runTs("tests/support/noise-program.ts", args);
      expect([code, stderr]).toEqual([0, ""]);
      return JSON.parse(stdout) as { hashes: readonly number[]; helped: boolean };
    };
    const [helped, alone] = await Promise.all([run(), run("alone")]);
    expect(alone).toEqual({ hashes: helped.hashes, helped: false });
    expect(new Set(alone.hashes).size).toBe(2);
  });
});
