import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { useEngine } from "../engine/engine.ts";
import { type ArrayLike, ndarray, toTensor } from "./array.ts";
import { TiltedError } from "./errors.ts";
import { scope } from "./scope.ts";

beforeAll(() => useEngine("wasm"));

it("numbers, tensors and arrays with a shape become tensors", () => {
  scope(() => {
    expect(toTensor(2).shape).toEqual([]);
    const t = tf.tensor([1, 2]);
    expect(toTensor(t)).toBe(t);
    expect([...toTensor(ndarray(Float32Array.of(1, 2, 3, 4), [2, 2])).dataSync()]).toEqual([1, 2, 3, 4]);
  });
});

it.each([
  [[1, 2], /got a plain array of length 2; write ndarray\(Float32Array.of\(1, 2\)\)/],
  [Float32Array.of(1), /got a bare Float32Array/],
  [undefined, /got undefined/],
  [null, /got null/],
  [{ data: [1] }, /got an object/],
  ["1", /got 1/],
])("anything else is refused with advice: %o", (value, message) => {
  const run = () => toTensor(value as unknown as ArrayLike);
  expect(run).toThrow(TiltedError);
  expect(run).toThrow(message);
});
