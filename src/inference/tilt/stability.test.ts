/** When a training stops, and to which of its states it goes back. */
import { describe, expect, it } from "vitest";
import { divergence, type EnergyCheck, lastGood } from "./stability.ts";

describe("the stop rule of a training", () => {
  const check = (gap: number, i: number): EnergyCheck => ({ step: i + 1, target: gap, negatives: 0, gap });

  it("stops a gap that keeps rising, not one that wavers, shrinks or is small", () => {
    const reason = (gaps: readonly number[]) => divergence(gaps.map(check), { patience: 4 });
    expect(reason([1, 1, 2, 4, 8, 16])).toMatch(/rose 4 checks in a row to 16/);
    expect(reason([1, 5, 3, 8, 2, 9])).toBeUndefined();
    expect(reason([16, 8, 4, 2, 1, 0.5])).toBeUndefined();
    expect(reason([0.01, 0.02, 0.04, 0.08, 0.16, 0.32])).toBeUndefined();
  });

  it("goes back to the last state before the gap rose, the newest if it did not, the oldest if all are younger", () => {
    const states = [2, 3].map((step) => ({ step, epoch: step - 1, params: {} }));
    const from = (gaps: readonly number[]) =>
      lastGood(states, gaps.map(check), { patience: 1, growth: 1, floor: 0 })?.step;
    expect(from([1, 0.5, 3])).toBe(2);
    expect(from([3, 2, 1])).toBe(3);
    expect(from([1, 2, 3])).toBe(2);
  });
});
