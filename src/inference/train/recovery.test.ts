/** The good states that a training keeps. */
import { expect, it } from "vitest";
import { ndarray } from "../../core/array.ts";
import { ring } from "./recovery.ts";

it("keeps the last states only, as copies", () => {
  const kept = ring(2);
  const params = new Float32Array(1);
  for (const step of [1, 2, 3]) {
    params[0] = step;
    kept.offer({ step, epoch: step - 1, loss: 0, copy: () => ({ w: ndarray(params.slice()) }) });
  }
  expect(kept.entries.map(({ step, params: p }) => [step, p.w?.data[0]])).toEqual([
    [2, 2],
    [3, 3],
  ]);
  expect(kept.choose()?.step).toBe(3);
});
