import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { scope } from "../core/scope.ts";
import { useEngine } from "./engine.ts";
import { silu } from "./silu.ts";

beforeAll(() => useEngine("wasm"));

/** x·σ(x) and three derivatives, from σ′ = σ(1 − σ) and d = 1 − 2σ, in doubles. */
const exact: readonly ((x: number) => number)[] = [
  (x) => x / (1 + Math.exp(-x)),
  (x) => at(x, (s, up) => s + x * up),
  (x) => at(x, (_, up, d) => up * (2 + x * d)),
  (x) => at(x, (_, up, d) => up * d * (2 + x * d) + up * (d - 2 * x * up)),
];

function at(x: number, f: (s: number, slope: number, d: number) => number): number {
  const s = 1 / (1 + Math.exp(-x));
  const rest = 1 / (1 + Math.exp(x));
  return f(s, s * rest, rest - s);
}

const derivative =
  (f: (x: tf.Tensor) => tf.Tensor) =>
  (x: tf.Tensor): tf.Tensor =>
    tf.grad((y) => tf.sum(f(y)))(x);

const orders = [0, 1, 2, 3] as const;
const functions = orders.map((order) => {
  let f: (x: tf.Tensor) => tf.Tensor = silu;
  for (let i = 0; i < order; i++) f = derivative(f);
  return f;
});

describe("silu", () => {
  it.each(orders)("has derivative %i", (order) => {
    fc.assert(
      fc.property(fc.array(fc.float({ min: -40, max: 40, noNaN: true }), { minLength: 1, maxLength: 20 }), (xs) => {
        const found = scope(() => (functions[order] as (x: tf.Tensor) => tf.Tensor)(tf.tensor1d(xs)).dataSync());
        for (const [i, y] of found.entries()) {
          const wanted = (exact[order] as (x: number) => number)(xs[i] as number);
          expect(Math.abs(y - wanted), `x = ${xs[i]}`).toBeLessThanOrEqual(2e-6 * Math.max(1, Math.abs(wanted)));
        }
      }),
    );
  });

  it("is 0 at −∞ and x at ∞ as far as single width reaches", () => {
    const value = (x: number) => scope(() => silu(tf.scalar(x)).dataSync()[0]);
    expect(value(-200)).toBeCloseTo(0, 30);
    expect(value(200)).toBe(200);
  });
});
