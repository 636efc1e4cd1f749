/** The penguins of the example: their gaps are those of the record. */
import { describe, expect, it } from "vitest";
import { KINDS, MEASURES, readPenguins } from "../../examples/missing/table.ts";

describe("the penguins", () => {
  it("are 344, two of them never measured and eleven of unknown sex", () => {
    const { x, mask } = readPenguins();
    expect(x.shape).toEqual([344, KINDS.length]);
    const gaps = KINDS.map((_, j) => mask.data.filter((s, at) => at % KINDS.length === j && s === 0).length);
    expect(gaps).toEqual([...MEASURES.map(() => 2), 0, 0, 11]);
    expect(x.data.every((v, at) => Number.isNaN(v) === (mask.data[at] === 0))).toBe(true);
  });
});
