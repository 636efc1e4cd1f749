/** The ops of the library at the ends of their range; the table of ops checks them and their derivatives in the middle. */
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { scope } from "../core/scope.ts";
import { useEngine } from "./engine.ts";
import { gather, logSigmoid, logSoftmax, logSumExp, mean, softplus, stopGradient, sum } from "./ops.ts";

const numbers = (run: () => tf.Tensor): number[] => scope(() => [...run().dataSync()]);
const INF = Number.POSITIVE_INFINITY;

let before = 0;
beforeAll(async () => {
  await useEngine("wasm");
});
beforeEach(() => {
  before = tf.memory().numTensors;
});
afterEach(() => {
  expect(tf.memory().numTensors).toBe(before);
});

describe("logSumExp", () => {
  it("has the limits that tf.logSumExp lacks", () => {
    expect(
      numbers(() =>
        logSumExp(
          tf.tensor2d([
            [-INF, -INF],
            [INF, 0],
            [-INF, 3],
            [1000, 1000],
          ]),
          1,
        ),
      ),
    ).toEqual([-INF, INF, 3, Math.fround(1000 + Math.LN2)]);
    expect(numbers(() => tf.logSumExp(tf.tensor1d([-INF, -INF])))).toEqual([Number.NaN]);
  });

  it("passes a NaN on", () => {
    expect(numbers(() => logSumExp(tf.tensor1d([Number.NaN, 1])))).toEqual([Number.NaN]);
  });

  it("keeps the axes it is told to", () => {
    const shapes = scope(() => {
      const x = tf.zeros([2, 3, 4]);
      return [logSumExp(x, 1).shape, logSumExp(x, [0, 2], true).shape, logSumExp(x).shape, logSumExp(x, -1).shape];
    });
    expect(shapes).toEqual([[2, 4], [1, 3, 1], [], [2, 3]]);
  });

  it("has the softmax as gradient, also beside −∞ and where elements tie", () => {
    const slope = numbers(() => tf.grad((x) => logSumExp(x))(tf.tensor1d([-INF, 2, 2])));
    expect(slope[0]).toBe(0);
    expect(slope[1]).toBeCloseTo(0.5, 6);
    expect(slope[2]).toBeCloseTo(0.5, 6);
  });
});

describe("the rest", () => {
  it("logSoftmax normalises along any axis", () => {
    const total = numbers(() =>
      tf.sum(
        tf.exp(
          logSoftmax(
            tf.tensor2d([
              [1, 200],
              [3, -200],
            ]),
            0,
          ),
        ),
        0,
      ),
    );
    for (const one of total) expect(one).toBeCloseTo(1, 6);
  });

  it("softplus and logSigmoid keep their tails", () => {
    expect(numbers(() => softplus(tf.tensor1d([-100, -30, 30, 1e30])))).toEqual([
      Math.fround(Math.exp(-100)),
      expect.closeTo(Math.exp(-30), 18),
      30,
      Math.fround(1e30),
    ]);
    expect(numbers(() => logSigmoid(tf.tensor1d([-1e4, 1e4])))).toEqual([-10000, -0]);
    expect(numbers(() => tf.grad((x) => tf.sum(softplus(x)))(tf.tensor1d([0, -1e4, 1e4])))).toEqual([0.5, 0, 1]);
  });

  it("stopGradient is a constant at every order", () => {
    const once = numbers(() => tf.grad((x) => tf.mul(x, stopGradient(tf.square(x))))(tf.scalar(3)));
    const twice = numbers(() => tf.grad((y) => tf.grad((x) => tf.mul(tf.square(x), stopGradient(x)))(y))(tf.scalar(3)));
    const only = numbers(() => tf.grad((x) => stopGradient(tf.exp(x)))(tf.scalar(3)));
    expect([once, twice, only]).toEqual([[9], [6], [0]]);
  });

  it("sums and means of whole numbers are exact", () => {
    const big = 2 ** 24 + 1;
    expect(numbers(() => sum(tf.tensor1d([big, -3, 7], "int32")))).toEqual([big + 4]);
    expect(
      numbers(() =>
        sum(
          tf.tensor2d(
            [
              [big, 1],
              [1, 1],
            ],
            [2, 2],
            "int32",
          ),
          0,
        ),
      ),
    ).toEqual([big + 1, 2]);
    expect(numbers(() => sum(tf.tensor1d([true, true, false], "bool")))).toEqual([2]);
    expect(
      numbers(() =>
        mean(
          tf.tensor2d([
            [1, 2],
            [3, 6],
          ]),
          1,
        ),
      ),
    ).toEqual([1.5, 4.5]);
    expect(numbers(() => mean(tf.zeros([0, 2]), 0))).toEqual([Number.NaN, Number.NaN]);
    expect(numbers(() => sum(tf.zeros([0, 2]), 0))).toEqual([0, 0]);
  });

  it("gather takes arrays and tensors of indices", () => {
    expect(
      numbers(() =>
        gather(
          tf.tensor2d([
            [1, 2],
            [3, 4],
          ]),
          Int32Array.of(1, 1),
        ),
      ),
    ).toEqual([3, 4, 3, 4]);
    expect(
      numbers(() =>
        gather(
          tf.tensor2d([
            [1, 2],
            [3, 4],
          ]),
          tf.tensor1d([1], "int32"),
          1,
        ),
      ),
    ).toEqual([2, 4]);
  });
});
