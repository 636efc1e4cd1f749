import { describe, expect, it } from "vitest";
import { createBuilder } from "../../src/compiler/primitives/builder.ts";
import { canSkipCopies, wroteAll } from "../../src/compiler/runtime/output-copies.ts";
import { findRuntime } from "../../src/compiler/runtime/runtime.ts";
import type { LoadedModel, Tensor } from "../../src/compiler/runtime/runtime-types.ts";
import { programFor } from "../support/programs.ts";

const N = 1 << 18;
const BYTES = N * Float32Array.BYTES_PER_ELEMENT;

/** s = Σx and y = 2x, a megabyte. */
const doubled = () => {
  const g = createBuilder();
  const x = g.input("x", [N]);
  return programFor(
    g.finish([
      { name: "s", node: g.reduce("sum", x) },
      { name: "y", node: g.binary("mul", x, g.constant(2)) },
    ]),
    { runtime: "node" },
  );
};

describe("outputs that have a place", () => {
  it("are written there, and are not copied besides", async () => {
    const program = await doubled();
    const [x, y] = [new Float32Array(N), new Float32Array(N)];
    for (let run = 1; run <= 6; run++) {
      x.fill(run);
      const before = process.memoryUsage().arrayBuffers;
      const out = program.run({ x }, { y });
      // A collection of garbage can only lower it.
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(BYTES / 4);
      expect(out.y).toBe(y);
      expect([y[0], y[N - 1], out.s?.[0]]).toEqual([2 * run, 2 * run, run * N]);
    }
  });

  it("leave the others memory of their own in every run", async () => {
    const program = await doubled();
    const y = new Float32Array(N);
    const first = program.run({ x: new Float32Array(N).fill(1) }, { y });
    program.run({ x: new Float32Array(N).fill(2) }, { y });
    expect(first.s?.[0]).toBe(N);
  });

  it("may be no numbers, and are right again after that", async () => {
    const program = await doubled();
    const y = new Float32Array(N);
    for (const value of [1, Number.NaN, 3, Number.POSITIVE_INFINITY, 5]) {
      const out = program.run({ x: new Float32Array(N).fill(value) }, { y });
      expect([out.s?.[0], y[N - 1]]).toEqual([value * N, 2 * value]);
    }
  });
});

describe("a run to the unreadable output", () => {
  const written = (output: Float32Array, error?: Error) => () => {
    output[0] = 1;
    if (error) throw error;
  };

  it("counts when it came there, or to its end", () => {
    const output = new Float32Array(1);
    expect(wroteAll(written(output, new Error("Non tensor type is temporarily not supported.")), output)).toBe(true);
    expect(wroteAll(written(output), output)).toBe(true);
  });

  it("does not count when it failed on its way, or wrote nothing", () => {
    const output = new Float32Array(1);
    expect(wroteAll(written(output, new Error("Non-zero status code: out of memory")), output)).toBe(false);
    expect(
      wroteAll(() => {
        throw new Error("Non tensor type");
      }, output),
    ).toBe(false);
    expect(wroteAll(() => undefined, output)).toBe(false);
  });
});

describe("a runtime", () => {
  type RunNow = NonNullable<LoadedModel["runNow"]>;
  const makeTensor = (_: string, data: unknown): Tensor => ({ data });
  const runtime = (runNow: RunNow) => () => ({
    runNow,
    run: async () => ({}),
    endProfiling: () => undefined,
    release: () => undefined,
  });
  /** Writes where it is told to, and gives the rest by the given names; stops at the unreadable output if asked for it. */
  const running =
    (names: readonly string[], stop: () => void): RunNow =>
    (_, fetches) => {
      const values: Record<string, number[]> = { y: [-1, 2], z: [1, 2] };
      const wanted = Object.keys(values).filter((name) => name in fetches);
      for (const name of wanted) (fetches[name]?.data as Float32Array | undefined)?.set(values[name] as number[]);
      if ("unreadable" in fetches) stop();
      return Object.fromEntries(
        wanted.map((name, i) => [names[i], { data: Float32Array.from(values[name] as number[]) }]),
      );
    };
  const stop = () => {
    throw new Error("Non tensor type is temporarily not supported.");
  };

  it("can skip copies: the one that is installed can", async () => {
    expect((await findRuntime("node")).skipsCopies).toBe(true);
  });

  it("can when it fails at the unreadable output, or copies all the same", () => {
    expect(canSkipCopies(runtime(running(["y", "z"], stop)), makeTensor)).toBe(true);
    expect(canSkipCopies(runtime(running(["y", "z"], () => undefined)), makeTensor)).toBe(true);
  });

  it("cannot when it confuses names, fails, or cannot load it", () => {
    const fails = () => {
      throw new Error("no sequences");
    };
    expect(canSkipCopies(runtime(running(["unreadable", "y"], stop)), makeTensor)).toBe(false);
    expect(canSkipCopies(runtime(running(["y", "z"], fails)), makeTensor)).toBe(false);
    expect(canSkipCopies(fails, makeTensor)).toBe(false);
  });
});
