/** Elementary functions of tensors against double precision, over all of float32, and at the ends of the range. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { scope } from "../../core/scope.ts";
import { useEngine } from "../engine.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

/** Floats of every size and sign: bit patterns at even steps, their neighbours, and the special values. */
const EVERYWHERE = (() => {
  const words = Uint32Array.from({ length: 200_003 }, (_, i) => Math.imul(i, 21_475) + (i % 7));
  const all = [...new Float32Array(words.buffer)].filter((x) => !Number.isNaN(x));
  for (let i = -400; i <= 400; i++) all.push(i / 4, 1 + i / 2 ** 12, i / 2 ** 20, 0.625 + i / 2 ** 24, -88 + i / 50);
  return Float32Array.from(all);
})();

const FUNCTIONS: readonly (readonly [string, (x: tf.Tensor) => tf.Tensor, (x: number) => number])[] = [
  ["exp", tf.exp, Math.exp],
  ["log", tf.log, Math.log],
  ["log1p", tf.log1p, Math.log1p],
  ["softplus", tf.softplus, (x) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)))],
  ["tanh", tf.tanh, Math.tanh],
];
const SMALLEST = 2 ** -149;
const LARGEST = 3.4028234663852886e38;
/** Errors allowed, in units of the last place of the result. */
const UNITS = 3;

describe.each(FUNCTIONS)("%s", (name, f, truth) => {
  it("is right to a few units of the last place, everywhere", () => {
    const found = scope(() => f(tf.tensor1d(EVERYWHERE)).dataSync());
    found.forEach((y, i) => {
      const x = EVERYWHERE[i] as number;
      const exact = truth(x);
      const rounded = Math.fround(exact);
      if (!Number.isFinite(rounded) || Number.isNaN(rounded)) {
        // At the edge a last place decides between the largest number and infinity.
        if (!(y === LARGEST && exact < 1.0000003 * LARGEST)) expect(y, `${name}(${x})`).toBe(rounded);
      } else {
        const unit = Math.max(SMALLEST, 2 ** (Math.floor(Math.log2(Math.abs(exact))) - 23));
        if (!(Math.abs(y - exact) <= UNITS * unit)) expect.fail(`${name}(${x}) is ${y}, should be ${exact}`);
      }
    });
  });

  it("keeps infinities and NaN, and zeros with their sign where it has one", () => {
    const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, SMALLEST, -SMALLEST];
    const found = scope(() => [...f(tf.tensor1d(special)).dataSync()]);
    expect(found).toEqual(special.map((x) => Math.fround(truth(x))));
  });

  it("gives an element the same bits wherever it lies, and touches nothing beside", () => {
    const values = EVERYWHERE.subarray(1000, 1011);
    const whole = scope(() => f(tf.tensor1d(values)).dataSync().slice());
    for (let n = 0; n < 11; n++) {
      const [part, beside] = scope(() => {
        const x = tf.tensor1d(values.subarray(n));
        const y = f(x);
        const neighbour = tf.fill([5], 7);
        const again = f(x);
        expect(again.dataSync()).toEqual(y.dataSync());
        return [y.dataSync().slice(), neighbour.dataSync().slice()];
      });
      expect(part).toEqual(whole.slice(n));
      expect([...(beside as Float32Array)]).toEqual([7, 7, 7, 7, 7]);
    }
  });
});
