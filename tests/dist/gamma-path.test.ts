import gammainc from "@stdlib/math-base-special-gammainc";
import gammaincinv from "@stdlib/math-base-special-gammaincinv";
import gammaln from "@stdlib/math-base-special-gammaln";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { TiltedError } from "../../src/core/errors.ts";
import { scope } from "../../src/core/scope.ts";
import { gammaPath, logGammaSlope } from "../../src/dist/gamma-path.ts";
import { useEngine } from "../../src/engine/engine.ts";

beforeAll(() => useEngine("wasm"));

describe("implicit derivative of gamma draws", () => {
  // Beyond a few hundred the reference is itself only good to 1e-8; there the methods are compared where they meet, below.
  const alphas = fc.double({ min: Math.log(0.05), max: Math.log(200), noNaN: true }).map(Math.exp);

  it("is the derivative of the quantile", () => {
    fc.assert(
      fc.property(alphas, fc.double({ min: 1e-4, max: 1 - 1e-4, noNaN: true }), (alpha, p) => {
        const x = gammaincinv(p, alpha);
        fc.pre(x > 1e-100);
        const h = 1e-3 * alpha;
        const q = (a: number) => Math.log(gammaincinv(p, a));
        const numeric = (8 * (q(alpha + h) - q(alpha - h)) - (q(alpha + 2 * h) - q(alpha - 2 * h))) / (12 * h);
        expect(Math.abs(logGammaSlope(alpha, Math.log(x)) / numeric - 1), `α=${alpha} p=${p}`).toBeLessThan(1e-6);
      }),
      { numRuns: 1000 },
    );
  });

  it("is −(∂F/∂α)/f in both tails", () => {
    for (const alpha of [0.3, 2, 40, 700]) {
      for (const z of [-4.5, 4.5]) {
        const x = alpha * (1 - 1 / (9 * alpha) + z / (3 * Math.sqrt(alpha))) ** 3;
        if (!(x > 1e-3)) continue;
        const upper = z > 0;
        const F = (a: number) => gammainc(x, a, true, upper);
        const h = 1e-3 * alpha;
        const dF = (8 * (F(alpha + h) - F(alpha - h)) - (F(alpha + 2 * h) - F(alpha - 2 * h))) / (12 * h);
        const logF = alpha * Math.log(x) - x - gammaln(alpha);
        const exact = ((upper ? 1 : -1) * dF) / Math.exp(logF);
        expect(logGammaSlope(alpha, Math.log(x)) / exact, `α=${alpha} x=${x}`).toBeCloseTo(1, 4);
      }
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
