/** Convolutional energies: shapes, gradients, spectral norms, refusals. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { rootKey } from "../core/key.ts";
import { normal as draws } from "../core/random/draws.ts";
import { scope } from "../core/scope.ts";
import { interpret } from "../effects/interpret.ts";
import { useEngine } from "../engine/engine.ts";
import { convolution } from "../nn/index.ts";
import { convEnergy } from "./conv-energy.ts";

beforeAll(() => useEngine("wasm"));

describe("convolutional energies", () => {
  const [n, side] = [3, 6];
  const x = draws(rootKey("x"), n * side * side);
  const net = convEnergy([side, side], { channels: [4, 5] });
  const at = (values: Float32Array) =>
    scope(() =>
      interpret(net(tf.tensor(values, [n, side * side])), { key: rootKey(1) })
        .result.dataSync()
        .slice(),
    );

  it("give one number a picture, whatever stands before it, and their gradient is that of finite differences", () => {
    const gradient = scope(() => {
      const f = (v: tf.Tensor) => tf.sum(interpret(net(v), { key: rootKey(1) }).result);
      return tf
        .grad(f)(tf.tensor(x, [n, side * side]))
        .dataSync()
        .slice();
    });
    expect(at(x).length).toBe(n);
    const stacked = scope(() => interpret(net(tf.tensor(x, [1, n, side * side])), { key: rootKey(1) }).result);
    expect(stacked.shape).toEqual([1, n]);
    const h = 1e-2;
    for (const i of [0, 17, 40, 77, 107]) {
      const shift = (d: number) => x.map((v, j) => (j === i ? v + d : v));
      const row = Math.floor(i / side ** 2);
      const slope = ((at(shift(h))[row] as number) - (at(shift(-h))[row] as number)) / (2 * h);
      expect(gradient[i]).toBeCloseTo(slope, 2);
    }
  });

  it("with spectral norms a kernel has norm 1 whatever its scale", () => {
    const layer = convolution("c", 1, 3, { kernel: 2, stride: 2, spectralNorm: true, bias: false });
    // Stride equal to the kernel: patches do not overlap, so the layer's gain is the kernel's.
    const weight = draws(rootKey("w"), 12).map((w) => 50 * w);
    const gain = scope(() => {
      const input = tf.tensor(draws(rootKey("in"), 64 * 16), [64, 4, 4, 1]);
      const out = interpret(layer(input), { params: { "c/weight": tf.tensor(weight, [2, 2, 1, 3]) } }).result;
      return Math.max(
        ...tf.div(tf.norm(tf.reshape(out, [64, -1]), 2, 1), tf.norm(tf.reshape(input, [64, -1]), 2, 1)).dataSync(),
      );
    });
    expect(gain).toBeLessThanOrEqual(1 + 1e-4);
    expect(gain).toBeGreaterThan(0.5);
  });

  it("refuse pictures of another size", () => {
    expect(() => scope(() => interpret(net(tf.zeros([2, 35])), { key: rootKey(1) }))).toThrow(/6·6/);
  });
});
