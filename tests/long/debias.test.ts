/** The walkthrough itself, without figures: it meets its goals, and the same seed gives the same numbers. About six minutes. */
import { describe, expect, it } from "vitest";
import { DEFAULTS } from "../../examples/debias/options.ts";
import { debias } from "../../examples/debias/pipeline.ts";
import { loadDigits } from "../../examples/debias/sets.ts";

describe("the walkthrough", () => {
  it("makes the classes even at little cost, and repeats itself bit for bit", async () => {
    const loaded = await loadDigits(undefined)();
    if (loaded._tag === "Left") throw loaded.left;
    const run = () => debias(loaded.right, DEFAULTS, { stage() {} }, false);
    const first = await run();
    const { snis } = first.tilts.aggregate;
    expect(snis.tv).toBeLessThanOrEqual(0.05);
    expect(snis.essRatio).toBeGreaterThanOrEqual(0.5);
    expect(first.langevin.tv).toBeLessThanOrEqual(0.05);
    expect(first.before.tv).toBeGreaterThan(2 * snis.tv);
    const second = await run();
    expect(second.tilts.aggregate.snis).toEqual(snis);
    expect(second.langevin).toEqual(first.langevin);
    expect(second.vae.validation).toEqual(first.vae.validation);
  });
});
