/** The learning signal against its definition in double precision, also where single precision has no room. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { rootKey } from "../../../src/core/key.ts";
import { logMeanExp } from "../../../src/core/numeric/log-sum-exp.ts";
import { uniform } from "../../../src/core/random/draws.ts";
import { useEngine } from "../../../src/engine/engine.ts";
import { shiftedExp } from "../../../src/engine/ops.ts";
import { type Baseline, learningSignal } from "../../../src/inference/vi/learning-signal.ts";

beforeAll(() => useEngine("wasm"));

const mean = (x: readonly number[]) => x.reduce((a, b) => a + b, 0) / x.length;

/** The signal of log-weights `[draws][k]` of one row. */
function signalOf(logW: readonly (readonly number[])[], baseline: Baseline, expected = 0): number[][] {
  const [draws, k] = [logW.length, (logW[0] as readonly number[]).length];
  return tf.tidy(() => {
    const x = tf.tensor3d(logW.flat(), [draws, k, 1]);
    const bounds = tf.tensor3d(
      logW.map((w) => logMeanExp(w)),
      [draws, 1, 1],
    );
    const relative = k === 1 ? undefined : shiftedExp(x, 1);
    const signal = learningSignal(bounds, x, relative, { baseline, expected: () => expected });
    const full = tf.broadcastTo(signal, [draws, k, 1]).dataSync();
    return logW.map((_, d) => Array.from({ length: k }, (__, j) => full[d * k + j] as number));
  });
}

/** By definition: the bound less the bound in which the mean of the other log-weights stands for that of j. */
const vimco = (logW: readonly number[]): number[] =>
  logW.map((_, j) => {
    const standIn = mean(logW.filter((__, i) => i !== j));
    return logMeanExp(logW) - logMeanExp(logW.map((w, i) => (i === j ? standIn : w)));
  });

describe("leave-one-out over the particles of a bound", () => {
  const drawn = [...uniform(rootKey(1), 12)].map((u) => 6 * u - 3);
  it.each([
    ["ordinary weights", drawn],
    ["two particles", [0.3, -1.2]],
    ["all the same", [1, 1, 1, 1]],
    ["two share the first place", [2, 2, -1]],
    ["one far above the others", [0, -200, -201, -203]],
    ["one far below the others", [0, -0.5, 1, -300]],
    ["far from zero", [-800.25, -801.5, -799, -800]],
  ])("%s", (_, logW) => {
    const [found] = signalOf([logW], "leave-one-out") as [number[]];
    const scale = Math.max(1, ...logW.map(Math.abs));
    for (const [j, truth] of vimco(logW).entries())
      expect(Math.abs((found[j] as number) - truth)).toBeLessThan(1e-6 * scale);
  });

  it("takes each bound by itself", () => {
    const logW = [
      [0.1, -2, 1],
      [40, 41, 39.5],
    ];
    const found = signalOf(logW, "leave-one-out");
    for (const [d, w] of logW.entries())
      for (const [j, truth] of vimco(w).entries()) expect(found[d]?.[j]).toBeCloseTo(truth, 4);
  });
});

describe("one particle a bound", () => {
  const logW = [[1], [4], [-2]];
  it("leaves each draw out of the mean of the others", () => {
    expect(signalOf(logW, "leave-one-out").map(([x]) => x)).toEqual([0, 4.5, -4.5].map((x) => expect.closeTo(x, 5)));
  });

  it("centres at what was expected, or nowhere; so does a single draw", () => {
    expect(signalOf(logW, "running-mean", 1.5)).toEqual([[-0.5], [2.5], [-3.5]]);
    expect(signalOf(logW, "none")).toEqual(logW);
    expect(signalOf([[3]], "leave-one-out")).toEqual([[3]]);
  });
});
