/** The implicit derivative of gamma draws, against the slope of the quantile in arbitrary precision. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { TiltedError } from "../../src/core/errors.ts";
import { logGammaSlope } from "../../src/core/numeric/gamma-slope.ts";
import { scope } from "../../src/core/scope.ts";
import { gammaPath } from "../../src/dist/gamma-path.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { gammaSlopes } from "../support/fixtures.ts";

beforeAll(() => useEngine("wasm"));

describe("implicit derivative of gamma draws", () => {
  it("is that of the quantile, in both tails and wherever another method takes over", () => {
    for (const [alpha, x, slope] of gammaSlopes()) {
      // From α = 1000 on the quantile's expansion, whose error is largest there, five deviations out.
      const bound = alpha < 1000 ? 1e-10 : 1e-7;
      expect(Math.abs(logGammaSlope(alpha, Math.log(x)) / slope - 1), `α=${alpha} x=${x}`).toBeLessThan(bound);
    }
  });

  it("is continuous where the methods meet, and finite for draws that underflow", () => {
    for (const alpha of [0.5, 3, 90]) {
      const x = Math.log(Math.max(alpha, 2));
      expect(logGammaSlope(alpha, x + 1e-9) / logGammaSlope(alpha, x - 1e-9)).toBeCloseTo(1, 7);
    }
    for (const z of [-5, -3, -1, 0, 1, 3, 5]) {
      const x = (a: number) => Math.log(a + z * Math.sqrt(a));
      expect(logGammaSlope(1000, x(1000)) / logGammaSlope(999.9999, x(999.9999))).toBeCloseTo(1, 6);
    }
    // F = x^α/Γ(α + 1) near zero: d log x/dα = (ψ(α + 1) − log x)/α.
    expect(logGammaSlope(0.01, -5000) / ((-0.5608854578687 + 5000) / 0.01)).toBeCloseTo(1, 8);
  });

  it("flows into tensors, is refused at second order, and leaves nothing behind", () => {
    const before = tf.memory().numTensors;
    const draws = Float32Array.of(0.7, 2.5);
    const f = (a: tf.Tensor) => tf.sum(tf.square(gammaPath(a, draws, [2], "value")));
    const found = scope(() => [
      ...tf
        .grad(f)(tf.tensor1d([1.5, 2]))
        .dataSync(),
    ]);
    found.forEach((g, i) => {
      const x = draws[i] as number;
      expect(g).toBeCloseTo(2 * x * x * logGammaSlope([1.5, 2][i] as number, Math.log(x)), 4);
    });
    const second = () => scope(() => tf.grad((a: tf.Tensor) => tf.sum(tf.grad(f)(a)))(tf.tensor1d([1.5, 2])));
    expect(second).toThrow(TiltedError);
    expect(second).toThrow(/differentiable once/);
    expect(tf.memory().numTensors).toBe(before);
  });
});
