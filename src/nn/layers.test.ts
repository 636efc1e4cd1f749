import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ndarray } from "../core/array.ts";
import { rootKey } from "../core/key.ts";
import { scope } from "../core/scope.ts";
import { interpret } from "../effects/interpret.ts";
import { useEngine } from "../engine/engine.ts";
import { fanInUniform, glorotUniform, heNormal, linear, mlp } from "./layers.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

const key = rootKey("nn");

/** Output and parameters of a network at rows x. */
function evaluate(network: ReturnType<typeof mlp>, x: number[], shape: number[]) {
  return scope(() => {
    const run = interpret(network(tf.tensor(x, shape)), { key });
    return {
      y: run.result.arraySync() as number[],
      shape: run.result.shape,
      params: Object.fromEntries([...run.params].map(([n, p]) => [n, p.value.arraySync()])),
    };
  });
}

describe("linear", () => {
  it("is x·W + b on the last axis, whatever the leading axes", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }), (lead) => {
        const n = lead.reduce((a, b) => a * b, 1);
        const x = Array.from({ length: n * 2 }, (_, i) => Math.sin(i));
        const { y, shape, params } = evaluate(linear("l", 2, 3), x, [...lead, 2]);
        expect(shape).toEqual([...lead, 3]);
        const W = params["l/weight"] as number[][];
        const flat = (y as unknown[]).flat(Number.POSITIVE_INFINITY) as number[];
        flat.forEach((v, i) => {
          const row = Math.floor(i / 3);
          const truth = (x[2 * row] as number) * W[0]![i % 3]! + (x[2 * row + 1] as number) * W[1]![i % 3]!;
          expect(v).toBeCloseTo(truth, 5);
        });
      }),
      { numRuns: 20 },
    );
  });

  it("names the layer and the shapes when they do not fit", () => {
    expect(() => evaluate(linear("wide", 3, 1), [1, 2], [1, 2])).toThrow(/layer "wide" takes 3 features.*\[1, 2\]/);
    expect(() => mlp("m", [3])).toThrow(/widths must be two or more, got \[3\]/);
  });

  it("with spectral normalisation never stretches by more than 1, and reaches 1", () => {
    scope(() => {
      const layer = linear("s", 6, 4, { spectralNorm: true, bias: false });
      const eye = tf.eye(6);
      const params = { "s/weight": fanInUniform(key, 6, 4).tensor() };
      const W = (s: number) =>
        interpret(layer(eye), {
          params: { "s/weight": tf.mul(params["s/weight"], s) },
        }).result.arraySync() as number[][];
      // The scale of the raw weight does not matter.
      expect(W(10).flat()).toEqual(
        W(1)
          .flat()
          .map((w) => expect.closeTo(w, 5)),
      );
      // Largest stretch over many directions, refined by power iteration in double precision.
      const M = W(1);
      let v = Array.from({ length: 6 }, (_, i) => Math.cos(i * i + 1));
      let norm = 0;
      for (let k = 0; k < 500; k++) {
        const u = M[0]!.map((_, j) => v.reduce((s, vi, i) => s + vi * M[i]![j]!, 0));
        const w = M.map((row) => row.reduce((s, m, j) => s + m * u[j]!, 0));
        const size = Math.hypot(...w);
        norm = Math.hypot(...u) / Math.hypot(...v);
        v = w.map((x) => x / size);
      }
      expect(norm).toBeGreaterThan(0.98);
      expect(norm).toBeLessThan(1.02);
    });
  });

  it("starts with the variance its initialiser states, and the same key gives the same weights", () => {
    const variance = (x: ArrayLike<number>) => Array.from(x).reduce((s, v) => s + v * v, 0) / x.length;
    // 60,000 draws: the relative standard error of a variance is below 0.6 %.
    const [a, b] = [300, 200];
    expect(variance(fanInUniform(key, a, b).data) / (1 / (3 * a))).toBeCloseTo(1, 1);
    expect(variance(glorotUniform(key, a, b).data) / (2 / (a + b))).toBeCloseTo(1, 1);
    expect(variance(heNormal(key, a, b).data) / (2 / a)).toBeCloseTo(1, 1);
    expect(heNormal(key, 3, 2).data).toEqual(heNormal(key, 3, 2).data);
  });
});

describe("mlp", () => {
  it("puts the activation between layers only, and shares parameters by name", () => {
    const x = ndarray(new Float32Array([0.5, -1]), [1, 2]);
    const network = mlp("m", [2, 3, 1], { activation: tf.relu, output: tf.exp });
    const { y, params } = evaluate(network, [...x.data], [1, 2]);
    expect(Object.keys(params)).toEqual(["m/0/weight", "m/0/bias", "m/1/weight", "m/1/bias"]);
    const W0 = params["m/0/weight"] as number[][];
    const W1 = params["m/1/weight"] as number[][];
    const h = W0[0]!.map((w, j) => Math.max(0, 0.5 * w - W0[1]![j]!));
    const truth = Math.exp(h.reduce((s, v, j) => s + v * W1[j]![0]!, 0));
    expect((y as unknown as number[][])[0]![0]).toBeCloseTo(truth, 5);
  });
});
