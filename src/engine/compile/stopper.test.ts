import { describe, expect, it } from "vitest";
import { programFor } from "../../../tests/support/programs.ts";
import { createBuilder } from "./graph.ts";
import { ranTo } from "./stopper.ts";

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

describe("a run to the stopper", () => {
  const written = (witness: Float32Array, error?: Error) => () => {
    witness[0] = 1;
    if (error) throw error;
  };

  it("counts when it came there, or to its end", () => {
    const witness = new Float32Array(1);
    expect(ranTo(written(witness, new Error("Non tensor type is temporarily not supported.")), witness)).toBe(true);
    expect(ranTo(written(witness), witness)).toBe(true);
  });

  it("does not count when it failed on its way, or wrote nothing", () => {
    const witness = new Float32Array(1);
    expect(ranTo(written(witness, new Error("Non-zero status code: out of memory")), witness)).toBe(false);
    expect(
      ranTo(() => {
        throw new Error("Non tensor type");
      }, witness),
    ).toBe(false);
    expect(ranTo(() => undefined, witness)).toBe(false);
  });
});
