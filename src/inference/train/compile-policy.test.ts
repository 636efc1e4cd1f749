import { describe, expect, it } from "vitest";
import { fail, TiltedError } from "../../core/errors.ts";
import type { EngineChoice } from "../../engine/info.ts";
import { type CompileSpec, disagreement, maybeCompile, tooFewSteps, tooLittleWork } from "./compile-policy.ts";

const info = { used: true, runtime: "test", threads: 1, operations: 1, compileMs: 0 } as const;

/** A program that gives `found` where the engine op by op gives 1, and what was done with it. */
function program(found: number, choice: EngineChoice, options: Partial<CompileSpec<never, number>> = {}) {
  const calls: string[] = [];
  const result = maybeCompile({
    what: "test",
    choice,
    skipReason: undefined,
    reference() {
      calls.push("reference");
      return 1;
    },
    async compile(native) {
      calls.push(native ? "compile native" : "compile");
      return { info, dispose: () => void calls.push("dispose") };
    },
    compare: (_, wanted: number) => disagreement("value", [wanted], [found]),
    ...options,
  });
  return { calls, result };
}

describe("whether to compile", () => {
  it("is decided by what is asked for and by counts, before anything is evaluated", async () => {
    for (const [choice, options, reason] of [
      ["wasm", {}, /wasm engine was asked for/],
      ["node-gpu", {}, /node-gpu engine was asked for/],
      ["auto", { skipReason: "too few" }, /^too few$/],
      ["compiled", { nothingToCompile: "nothing there" }, /^nothing there$/],
    ] as const) {
      const { calls, result } = program(1, choice, options);
      expect(await result).toMatchObject({ compiled: undefined, info: { used: false } });
      expect((await result).info).toMatchObject({ reason: expect.stringMatching(reason) });
      expect(calls).toEqual([]);
    }
  });

  it("insisting overrules counts, and any runtime will do", async () => {
    const { calls, result } = program(1, "compiled", { skipReason: "too few" });
    expect((await result).info).toBe(info);
    expect(calls).toEqual(["reference", "compile"]);
    const auto = program(1, "auto");
    expect((await auto.result).info).toBe(info);
    expect(auto.calls).toEqual(["reference", "compile native"]);
  });

  it("thresholds name the count", () => {
    expect(tooFewSteps(99)).toMatch(/^99 steps do not repay/);
    expect(tooFewSteps(100)).toBeUndefined();
    expect(tooFewSteps(50, 2)).toBeUndefined();
    expect(tooLittleWork(1e9)).toMatch(/too small/);
    expect(tooLittleWork(2e9)).toBeUndefined();
  });
});

describe("a wrong program", () => {
  it("is disposed: under auto the run goes on without it and says why", async () => {
    const { calls, result } = program(1.1, "auto");
    expect(await result).toMatchObject({
      compiled: undefined,
      info: { used: false, reason: expect.stringMatching(/test: .* disagrees .* value 1.1 for 1$/) },
    });
    expect(calls).toEqual(["reference", "compile native", "dispose"]);
  });

  it("is an error under compiled", async () => {
    const { calls, result } = program(1.1, "compiled");
    await expect(result).rejects.toMatchObject({ code: "trace", message: expect.stringMatching(/disagrees/) });
    expect(calls).toEqual(["reference", "compile", "dispose"]);
  });
});

it("what the program throws op by op is thrown, whatever was asked for", async () => {
  const broken = () => fail("support", "the program's own fault");
  for (const choice of ["auto", "compiled"] as const)
    await expect(program(1, choice, { reference: broken }).result).rejects.toBeInstanceOf(TiltedError);
});

describe("disagreement", () => {
  it("is relative to the largest number, or to `least`", () => {
    expect(disagreement("g", [100, 0], [100, 0.9])).toBeUndefined();
    expect(disagreement("g", [100, 0], [100, 1.1])).toBe("g 1.1 for 0");
    expect(disagreement("g", [1e-4], [2e-4])).toMatch(/g/);
    expect(disagreement("loss", [1e-4], [2e-4], 1)).toBeUndefined();
  });

  it("what is not finite must be the same, and does not set the scale", () => {
    const [inf, nan] = [Number.NEGATIVE_INFINITY, Number.NaN];
    expect(disagreement("w", [inf, nan, 1], [inf, nan, 1])).toBeUndefined();
    expect(disagreement("w", [inf, 1], [inf, 1.1])).toBe("w 1.1 for 1");
    expect(disagreement("w", [inf, 1], [-1e30, 1])).toMatch(/for -Infinity/);
    expect(disagreement("w", [1], [nan])).toBe("w NaN for 1");
  });
});
