/** When a training stops, and which of its states are kept. */
import { describe, expect, it } from "vitest";
import { divergence, type EnergyLook, ring } from "./stability.ts";

describe("what watches a training", () => {
  const look = (gap: number, i: number): EnergyLook => ({ step: i + 1, target: gap, negatives: 0, gap });

  it("stops a gap that keeps rising, not one that wavers, shrinks or is small", () => {
    const looks = (gaps: readonly number[]) => divergence(gaps.map(look), { looks: 4 });
    expect(looks([1, 1, 2, 4, 8, 16])).toMatch(/rose 4 looks in a row to 16/);
    expect(looks([1, 5, 3, 8, 2, 9])).toBeUndefined();
    expect(looks([16, 8, 4, 2, 1, 0.5])).toBeUndefined();
    expect(looks([0.01, 0.02, 0.04, 0.08, 0.16, 0.32])).toBeUndefined();
  });

  it("keeps the last states only, as copies", () => {
    const kept = ring(2);
    const params = new Float32Array(1);
    for (const step of [1, 2, 3]) {
      params[0] = step;
      kept.push({ step, params });
    }
    expect(kept.entries.map(({ step, params: p }) => [step, p[0]])).toEqual([
      [2, 2],
      [3, 3],
    ]);
    expect(kept.before(2)?.step).toBe(2);
    expect(kept.before(0)?.step).toBe(2);
  });
});
